package directory

import (
	"net/netip"
	"sync"
	"time"

	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/schema"
)

// Reasons of a ban, as x:BlockedIp names them.
const (
	authFailure   = "authFailure"
	rcptToFailure = "rcptToFailure"
)

// settings are the names of x:Security that say when a reason bans and for how long.
var settings = map[string][2]string{
	authFailure: {"authBanRate", "authBanPeriod"}, rcptToFailure: {"abuseBanRate", "abuseBanPeriod"},
}

// guard is what the process has read of the ban settings, and what it counted
// since. A setting, an allowed address and a listed ban count when they are read:
// at the start and at the reload that concerns them.
type guard struct {
	mu       sync.Mutex
	security map[string]any
	allowed  []period
	blocked  []period
	counts   map[bucket]int
}

type period struct {
	network netip.Prefix
	until   time.Time
}

func (p period) holds(from netip.Addr) bool {
	return p.network.Contains(from) && (p.until.IsZero() || time.Now().Before(p.until))
}

// bucket counts the failures of one address or one name in one window of the rate.
type bucket struct {
	reason, who string
	window      int64
}

// ReloadSecurity takes rates, periods and allowed addresses from the settings.
func (d *Directory) ReloadSecurity() {
	security, allowed := d.reg.Singleton("Security"), periods(d.reg.Values("AllowedIp"))
	trusted, _ := d.reg.Singleton("SystemSettings")["proxyTrustedNetworks"].(map[string]any)
	for text := range trusted {
		allowed = append(allowed, periods([]map[string]any{{"address": text}})...)
	}
	d.guard.mu.Lock()
	defer d.guard.mu.Unlock()
	d.guard.security, d.guard.allowed = security, allowed
}

// ReloadBlocked takes the bans from x:BlockedIp, and forgets those that are over.
func (d *Directory) ReloadBlocked() {
	for _, o := range d.reg.List("BlockedIp") {
		if until := expiry(o.Value); !until.IsZero() && time.Now().After(until) {
			d.reg.Remove("BlockedIp", o.ID)
		}
	}
	blocked := periods(d.reg.Values("BlockedIp"))
	d.guard.mu.Lock()
	defer d.guard.mu.Unlock()
	d.guard.blocked = blocked
}

// ResetRates forgets what was counted: of addresses and of names.
func (d *Directory) ResetRates() {
	d.guard.mu.Lock()
	defer d.guard.mu.Unlock()
	clear(d.guard.counts)
}

func periods(objects []map[string]any) []period {
	var out []period
	for _, value := range objects {
		if network, ok := schema.ParseNetwork(expr.Text(value["address"])); ok {
			out = append(out, period{network, expiry(value)})
		}
	}
	return out
}

func expiry(value map[string]any) time.Time {
	t, _ := time.Parse(time.RFC3339, expr.Text(value["expiresAt"]))
	return t
}

// Banned says whether an address is refused before it can say anything.
func (d *Directory) Banned(from netip.Addr) bool {
	from = from.Unmap()
	d.guard.mu.Lock()
	defer d.guard.mu.Unlock()
	return !d.guard.isAllowed(from) && holds(d.guard.blocked, from)
}

func (g *guard) isAllowed(from netip.Addr) bool {
	return from == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || from == netip.IPv6Loopback() || holds(g.allowed, from)
}

func holds(list []period, from netip.Addr) bool {
	for _, p := range list {
		if p.holds(from) {
			return true
		}
	}
	return false
}

// RefuseRecipient counts a recipient that does not exist; true says that the address is banned now.
func (d *Directory) RefuseRecipient(address string, from netip.Addr) bool {
	return d.failed(rcptToFailure, address, from)
}

// failed counts a failure for the address and, while that is within its rate, for the name as well. So a name that
// many addresses tried bans every further address at its first failure.
func (d *Directory) failed(reason, who string, from netip.Addr) bool {
	from = from.Unmap()
	d.guard.mu.Lock()
	rate, ok := d.guard.security[settings[reason][0]].(map[string]any)
	if !ok || d.guard.isAllowed(from) {
		d.guard.mu.Unlock()
		return false
	}
	over := d.guard.count(rate, reason, from.String()) || (who != "" && d.guard.count(rate, reason, who))
	d.guard.mu.Unlock()
	if over {
		d.ban(reason, from)
	}
	return over
}

func (g *guard) count(rate map[string]any, reason, who string) bool {
	limit, _ := rate["count"].(float64)
	milliseconds, _ := rate["period"].(float64)
	b := bucket{reason, who, time.Now().Unix() / max(1, int64(milliseconds/1000))}
	g.counts[b]++
	return float64(g.counts[b]) > limit
}

// ban refuses an address from now on, and lists it. An address that is known keeps what is known of it, also
// when that is over: only a reload forgets.
func (d *Directory) ban(reason string, from netip.Addr) {
	now := time.Now().UTC().Truncate(time.Second)
	var until time.Time
	d.guard.mu.Lock()
	if milliseconds, ok := d.guard.security[settings[reason][1]].(float64); ok {
		until = now.Add(time.Duration(milliseconds) * time.Millisecond)
	}
	one := netip.PrefixFrom(from, from.BitLen())
	for _, p := range d.guard.blocked {
		if p.network == one {
			d.guard.mu.Unlock()
			return
		}
	}
	d.guard.blocked = append(d.guard.blocked, period{one, until})
	d.guard.mu.Unlock()
	if _, listed := d.reg.Find("BlockedIp", from.String()); listed {
		return
	}
	value := map[string]any{"address": from.String(), "reason": reason, "createdAt": now.Format(time.RFC3339), "expiresAt": nil}
	if !until.IsZero() {
		value["expiresAt"] = until.Format(time.RFC3339)
	}
	d.reg.Put("BlockedIp", "", value)
}
