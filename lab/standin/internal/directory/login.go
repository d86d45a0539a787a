package directory

import (
	"crypto/sha256"
	"crypto/subtle"
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

// Login checks a name and a password coming from an address.
func (d *Directory) Login(name, secret string, from netip.Addr) (*Identity, bool) {
	if d.Banned(from) {
		return nil, false
	}
	who := d.login(name, secret, from)
	if who == nil {
		d.failed(from)
		return nil, false
	}
	d.succeeded(from)
	return who, true
}

func (d *Directory) login(name, secret string, from netip.Addr) *Identity {
	if r := d.recovery; r != nil && name == r.Name && subtle.ConstantTimeCompare([]byte(secret), []byte(r.Password)) == 1 {
		return &Identity{ID: RecoveryID, Name: r.Name, Admin: true}
	}
	local, domain, _, ok := d.canonical(name)
	if !ok {
		// A name without a domain is looked up in the default domain.
		id := expr.Text(d.reg.Singleton("SystemSettings")["defaultDomainId"])
		value := d.reg.Get("Domain", id)
		if value == nil || strings.Contains(name, "@") {
			return nil
		}
		local, domain = strings.ToLower(name), strings.ToLower(expr.Text(value["name"]))
	}
	account, kind := d.lookup(local + "@" + domain)
	if kind != "Account" || account.Value["@type"] != "User" {
		return nil
	}
	credentials, _ := account.Value["credentials"].(map[string]any)
	for _, c := range credentials {
		credential, _ := c.(map[string]any)
		if usable(credential, from) && d.verify(expr.Text(credential["secret"]), secret) {
			return identity(account)
		}
	}
	for _, c := range Keys(account.Value, "AppPassword") {
		if usable(c, from) && d.verify(expr.Text(c["secret"]), secret) {
			return identity(account)
		}
	}
	return nil
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
func (d *Directory) Bearer(token string, from netip.Addr) (*Identity, bool) {
	if d.Banned(from) {
		return nil, false
	}
	accountID, _, ok := password.ParseAPIKey(token)
	if ok {
		if value := d.reg.Get("Account", accountID); value != nil {
			for _, k := range Keys(value, "ApiKey") {
				if usable(k, from) && expr.Text(k["secret"]) == password.Fingerprint(token) {
					return identity(registry.Object{ID: accountID, Value: value}), true
				}
			}
		}
	}
	d.failed(from)
	return nil, false
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
