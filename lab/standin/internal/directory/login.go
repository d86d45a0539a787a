package directory

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/netip"
	"strings"
	"time"

	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/password"
	"tailwart.lab/standin/internal/registry"
	"tailwart.lab/standin/internal/schema"
)

// RecoveryID is the account id of the recovery administrator.
const RecoveryID = "d333333"

// Identity is who a login belongs to.
type Identity struct {
	// ID is the account's id, Name what the session calls it.
	ID, Name string
	Admin    bool
	Account  registry.Object
}

// Why a login is refused.
var (
	// ErrRefused is a wrong name or password.
	ErrRefused = errors.New("refused")
	// ErrForbidden is a right password from an address that it is not for.
	ErrForbidden = errors.New("forbidden")
	// ErrBanned is a failure that was one too many: the address is banned now.
	ErrBanned = errors.New("banned")
)

// Login checks a name and a password coming from an address.
func (d *Directory) Login(name, secret string, from netip.Addr) (*Identity, error) {
	who, err := d.login(name, secret, from)
	if err != nil && d.failed(authFailure, name, from) {
		return nil, ErrBanned
	}
	return who, err
}

func (d *Directory) login(name, secret string, from netip.Addr) (*Identity, error) {
	if r := d.recovery; r != nil && name == r.Name && subtle.ConstantTimeCompare([]byte(secret), []byte(r.Password)) == 1 {
		return &Identity{ID: RecoveryID, Name: r.Name, Admin: true}, nil
	}
	local, domain, _, ok := d.canonical(name)
	if !ok {
		// A name without a domain is looked up in the default domain.
		id := expr.Text(d.reg.Singleton("SystemSettings")["defaultDomainId"])
		value := d.reg.Get("Domain", id)
		if value == nil || strings.Contains(name, "@") {
			return nil, ErrRefused
		}
		local, domain = strings.ToLower(name), strings.ToLower(expr.Text(value["name"]))
	}
	account, kind := d.lookup(local + "@" + domain)
	if kind != "Account" || account.Value["@type"] != "User" {
		return nil, ErrRefused
	}
	var held []map[string]any
	credentials, _ := account.Value["credentials"].(map[string]any)
	for _, c := range credentials {
		if credential, ok := c.(map[string]any); ok {
			held = append(held, credential)
		}
	}
	for _, c := range Keys(account.Value, "AppPassword") {
		held = append(held, c)
	}
	err := ErrRefused
	for _, c := range held {
		if !d.verify(expr.Text(c["secret"]), secret) {
			continue
		}
		if usable(c, from) {
			return identity(account), nil
		}
		err = ErrForbidden
	}
	return nil, err
}

// Keys are the API keys or app passwords of an account by id. They live inside
// the account, in a member that get never shows.
func Keys(account map[string]any, kind string) map[string]map[string]any {
	out := map[string]map[string]any{}
	held, _ := account["_"+kind].(map[string]any)
	for id, k := range held {
		if m, ok := k.(map[string]any); ok {
			out[id] = m
		}
	}
	return out
}

// Bearer finds the account that an API key belongs to.
func (d *Directory) Bearer(token string, from netip.Addr) (*Identity, error) {
	err := ErrRefused
	if accountID, _, ok := password.ParseAPIKey(token); ok {
		value := d.reg.Get("Account", accountID)
		for _, k := range Keys(value, "ApiKey") {
			if expr.Text(k["secret"]) != password.Fingerprint(token) {
				continue
			}
			if usable(k, from) {
				return identity(registry.Object{ID: accountID, Value: value}), nil
			}
			err = ErrForbidden
		}
	}
	if d.failed(authFailure, "", from) {
		return nil, ErrBanned
	}
	return nil, err
}

func usable(credential map[string]any, from netip.Addr) bool {
	if expires := expr.Text(credential["expiresAt"]); expires != "" {
		if t, err := time.Parse(time.RFC3339, expires); err == nil && time.Now().After(t) {
			return false
		}
	}
	allowed, _ := credential["allowedIps"].(map[string]any)
	for network := range allowed {
		if p, ok := schema.ParseNetwork(network); ok && p.Contains(from.Unmap()) {
			return true
		}
	}
	return len(allowed) == 0
}

func identity(account registry.Object) *Identity {
	roles, _ := account.Value["roles"].(map[string]any)
	return &Identity{ID: account.ID, Name: expr.Text(account.Value["emailAddress"]), Admin: roles["@type"] == "Admin", Account: account}
}

// verify checks a password against a hash. Argon2 is slow on purpose, so a pair
// that was right once is remembered.
func (d *Directory) verify(hash, secret string) bool {
	key := sha256.Sum256([]byte(hash + "\x00" + secret))
	d.mu.Lock()
	known := d.verified[key]
	d.mu.Unlock()
	if known {
		return true
	}
	if !password.Verify(hash, secret) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.verified) > 4096 {
		clear(d.verified)
	}
	d.verified[key] = true
	return true
}
