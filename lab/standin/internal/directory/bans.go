package directory

import (
	"net/netip"
	"time"

	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/schema"
)

type failures struct {
	count  int
	since  time.Time
	banned bool
}

// failed counts a refused login. Bans live in memory: a restart flushes them.
func (d *Directory) failed(from netip.Addr) {
	if d.allowed(from) {
		return
	}
	rate, _ := d.reg.Singleton("Security")["authBanRate"].(map[string]any)
	limit, ok := rate["count"].(float64)
	if !ok {
		return
	}
	period, _ := rate["period"].(float64)
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.bans[from.String()]
	if f == nil || time.Since(f.since) > time.Duration(period)*time.Millisecond {
		f = &failures{since: time.Now()}
		d.bans[from.String()] = f
	}
	f.count++
	f.banned = f.banned || float64(f.count) >= limit
}

func (d *Directory) succeeded(from netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.bans[from.String()]; f != nil && !f.banned {
		delete(d.bans, from.String())
	}
}

// Banned says whether an address is refused before it can say anything.
func (d *Directory) Banned(from netip.Addr) bool {
	if d.allowed(from) {
		return false
	}
	d.mu.Lock()
	f := d.bans[from.String()]
	d.mu.Unlock()
	return (f != nil && f.banned) || d.listed("BlockedIp", from)
}

func (d *Directory) allowed(from netip.Addr) bool { return d.listed("AllowedIp", from) }

func (d *Directory) listed(kind string, from netip.Addr) bool {
	for _, value := range d.reg.Values(kind) {
		if p, ok := schema.ParseNetwork(expr.Text(value["address"])); ok && p.Contains(from.Unmap()) {
			return usable(map[string]any{"expiresAt": value["expiresAt"]}, from)
		}
	}
	return false
}
