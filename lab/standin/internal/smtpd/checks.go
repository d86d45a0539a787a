package smtpd

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"blitiri.com.ar/go/spf"
	"github.com/emersion/go-msgauth/dmarc"
	"golang.org/x/net/publicsuffix"
)

// checkTimeout bounds all look-ups of a message together. The real server
// waits up to 15 s for a resolver that is silent; the stand-in need not.
const checkTimeout = 3 * time.Second

// checks are the sender checks of a message from outside. They run while the
// client goes on talking and are awaited when the message is complete.
type checks struct {
	done     sync.WaitGroup
	from     string
	heloSPF  spf.Result
	mailSPF  spf.Result
	rdns     string
	rdnsFail string
}

func (x *session) startChecks(from string) *checks {
	c := &checks{from: from}
	ip, helo := x.conn.Remote.Addr(), x.helo
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	c.done.Go(func() { c.heloSPF = evaluate(ctx, ip, helo, "postmaster@"+helo) })
	c.done.Go(func() {
		sender := from
		if sender == "" {
			sender = "postmaster@" + helo
		}
		c.mailSPF = evaluate(ctx, ip, helo, sender)
	})
	c.done.Go(func() { c.reverse(ctx, ip) })
	go func() {
		c.done.Wait()
		cancel()
		x.logChecks(c)
	}()
	return c
}

func evaluate(ctx context.Context, ip netip.Addr, helo, sender string) spf.Result {
	result, _ := spf.CheckHostWithSender(net.IP(ip.AsSlice()), helo, sender, spf.WithContext(ctx))
	return result
}

// reverse finds the host name of an address and checks that it leads back.
func (c *checks) reverse(ctx context.Context, ip netip.Addr) {
	names, err := net.DefaultResolver.LookupAddr(ctx, ip.String())
	if err != nil {
		c.rdnsFail = "temperror"
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound {
			c.rdnsFail = "permerror"
		}
		return
	}
	c.rdnsFail = "fail"
	for _, name := range names {
		addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if a.Unmap() == ip {
				c.rdns, c.rdnsFail = strings.TrimSuffix(name, "."), ""
				return
			}
		}
	}
}

func (x *session) logChecks(c *checks) {
	if c.heloSPF != spf.Pass {
		x.Options.Log.Info("SPF EHLO check failed", "smtp.spf-ehlo-fail", x.conn.Fields("domain", x.helo, "result", string(c.heloSPF))...)
	}
	if c.mailSPF != spf.Pass {
		x.Options.Log.Info("SPF From check failed", "smtp.spf-from-fail", x.conn.Fields("domain", x.helo, "from", c.from, "result", string(c.mailSPF))...)
	}
	if c.rdnsFail != "" {
		x.Options.Log.Info("IPREV check failed", "smtp.iprev-fail", x.conn.Fields("domain", x.helo, "result", c.rdnsFail)...)
	}
}

// dmarcResult evaluates alignment of SPF and DKIM with the From domain.
func dmarcResult(domain string, spfPass bool, spfDomain string, dkimPassed []string) (result, policy string) {
	if domain == "" {
		return "none", "none"
	}
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	record, err := dmarc.LookupWithOptions(domain, &dmarc.LookupOptions{
		LookupTXT: func(name string) ([]string, error) { return net.DefaultResolver.LookupTXT(ctx, name) },
	})
	switch {
	case dmarc.IsTempFail(err):
		return "temperror", "none"
	case errors.Is(err, dmarc.ErrNoPolicy):
		return "none", "none"
	case err != nil:
		return "permerror", "none"
	case spfPass && aligned(spfDomain, domain), slices.ContainsFunc(dkimPassed, func(d string) bool { return aligned(d, domain) }):
		return "pass", string(record.Policy)
	}
	return "fail", string(record.Policy)
}

// aligned compares in the relaxed way (RFC 7489, 3.1).
func aligned(a, b string) bool {
	x, _ := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(a))
	y, _ := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(b))
	return x != "" && x == y
}
