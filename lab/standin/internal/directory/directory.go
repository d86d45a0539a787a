// Package directory answers who an address belongs to and who may log in.
package directory

import (
	"cmp"
	"strings"
	"sync"

	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/registry"
)

// Directory is a view of the registry's domains, accounts and lists.
type Directory struct {
	reg      *registry.Registry
	recovery *Recovery

	mu       sync.Mutex
	verified map[[32]byte]bool
	guard    guard
}

// Recovery is the credential of STALWART_RECOVERY_ADMIN.
type Recovery struct{ Name, Password string }

// New makes a directory; recovery may be nil.
func New(reg *registry.Registry, recovery *Recovery) *Directory {
	d := &Directory{reg: reg, recovery: recovery, verified: map[[32]byte]bool{}, guard: guard{counts: map[bucket]int{}}}
	d.ReloadSecurity()
	d.ReloadBlocked()
	return d
}

// Domain finds an enabled domain by its name or an alias.
func (d *Directory) Domain(name string) (registry.Object, bool) {
	o, ok := d.reg.Find("Domain", strings.ToLower(name))
	if !ok || o.Value["isEnabled"] == false {
		return registry.Object{}, false
	}
	return o, true
}

// IsLocalDomain says whether mail to a domain stays here.
func (d *Directory) IsLocalDomain(name string) bool {
	_, ok := d.Domain(name)
	return ok
}

// canonical brings an address to the form that is looked up: lower case, the
// domain's own name instead of an alias.
func (d *Directory) canonical(address string) (local, domain string, object registry.Object, ok bool) {
	at := strings.LastIndexByte(address, '@')
	if at < 1 {
		return "", "", registry.Object{}, false
	}
	object, ok = d.Domain(address[at+1:])
	if !ok {
		return "", "", registry.Object{}, false
	}
	name, _ := object.Value["name"].(string)
	return strings.ToLower(address[:at]), strings.ToLower(name), object, true
}

// lookup finds the object that owns an address.
func (d *Directory) lookup(address string) (registry.Object, string) {
	for _, kind := range []string{"Account", "MailingList"} {
		if o, ok := d.reg.Find(kind, address); ok && aliasEnabled(o.Value, address) {
			return o, kind
		}
	}
	return registry.Object{}, ""
}

func aliasEnabled(value map[string]any, address string) bool {
	if value["emailAddress"] == address {
		return true
	}
	local, _, _ := strings.Cut(address, "@")
	aliases, _ := value["aliases"].(map[string]any)
	for _, a := range aliases {
		if m, ok := a.(map[string]any); ok && strings.EqualFold(expr.Text(m["name"]), local) {
			return m["enabled"] != false
		}
	}
	return true
}

// Expand turns a recipient into the accounts that get the message and the
// outside addresses it is passed on to; found is false for an unknown address.
func (d *Directory) Expand(address string) (accounts []registry.Object, outside []string, found bool) {
	seen := map[string]bool{}
	found = d.expand(address, seen, &accounts, &outside)
	return accounts, outside, found
}

func (d *Directory) expand(address string, seen map[string]bool, accounts *[]registry.Object, outside *[]string) bool {
	local, domain, domainObject, ok := d.canonical(address)
	if !ok {
		return false
	}
	full := local + "@" + domain
	if seen[full] {
		return true
	}
	seen[full] = true
	owner, kind := d.lookup(full)
	if kind == "" {
		if plain := withoutTag(domainObject.Value, local); plain != local {
			owner, kind = d.lookup(plain + "@" + domain)
		}
	}
	if catchAll := expr.Text(domainObject.Value["catchAllAddress"]); kind == "" && catchAll != "" {
		if !strings.EqualFold(catchAll, full) {
			return d.expand(catchAll, seen, accounts, outside)
		}
	}
	switch {
	case kind == "Account" && owner.Value["@type"] == "Group":
		for _, account := range d.reg.List("Account") {
			groups, _ := account.Value["memberGroupIds"].(map[string]any)
			if groups[owner.ID] == true {
				d.expand(expr.Text(account.Value["emailAddress"]), seen, accounts, outside)
			}
		}
	case kind == "Account":
		for _, a := range *accounts {
			if a.ID == owner.ID {
				return true
			}
		}
		*accounts = append(*accounts, owner)
	case kind == "MailingList":
		recipients, _ := owner.Value["recipients"].(map[string]any)
		for r := range recipients {
			if _, _, _, isLocal := d.canonical(r); isLocal {
				d.expand(r, seen, accounts, outside)
			} else {
				*outside = append(*outside, r)
			}
		}
	default:
		return false
	}
	return true
}

// withoutTag takes away what follows the separator of the domain's sub-addresses.
func withoutTag(domain map[string]any, local string) string {
	m, _ := domain["subAddressing"].(map[string]any)
	switch m["@type"] {
	case "Disabled":
		return local
	case "Custom":
		return cmp.Or(expr.Text(expr.Choose(m["customRule"], expr.Env{"rcpt": local})), local)
	}
	plain, _, _ := strings.Cut(local, "+")
	return plain
}

// MaySend says whether an account may use an address as the sender.
func (d *Directory) MaySend(account registry.Object, address string) bool {
	local, domain, object, ok := d.canonical(address)
	if !ok {
		return false
	}
	owner, kind := d.lookup(local + "@" + domain)
	if kind == "" {
		owner, kind = d.lookup(withoutTag(object.Value, local) + "@" + domain)
	}
	if kind == "Account" && owner.ID == account.ID {
		return true
	}
	groups, _ := account.Value["memberGroupIds"].(map[string]any)
	return kind == "Account" && groups[owner.ID] == true
}
