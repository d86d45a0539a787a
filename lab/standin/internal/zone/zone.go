// Package zone writes the zone file that the server recommends for a domain.
package zone

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"tailwart.lab/standin/internal/registry"
	"tailwart.lab/standin/internal/tlscert"
)

// maxString is the length of one character-string of a TXT record (RFC 1035).
const maxString = 255

// Writer makes zone files.
type Writer struct {
	Registry     *registry.Registry
	Certificates *tlscert.Certificates
	Hostname     func() string
}

// File is the recommended zone of a domain.
func (w *Writer) File(domain registry.Object) string {
	name, _ := domain.Value["name"].(string)
	host := w.Hostname()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	for _, r := range w.Keys(domain) {
		line("%s", r)
	}
	w.tlsa(&b, name, host)
	for _, mx := range w.hosts() {
		if strings.HasSuffix(mx, "."+name) {
			line(`%s. IN TXT "v=spf1 a -all"`, mx)
		}
	}
	line(`%s. IN TXT "v=spf1 mx -all"`, name)
	for _, mx := range w.exchangers() {
		line("%s. IN MX %d %s.", name, mx.priority, mx.host)
	}
	report, _ := domain.Value["reportAddressUri"].(string)
	if report != "" && !strings.Contains(report, "@") {
		report += "@" + name
	}
	if report != "" {
		line(`_dmarc.%s. IN TXT "v=DMARC1; p=reject; rua=%s"`, name, report)
	}
	for _, s := range []struct {
		service string
		port    int
	}{{"caldavs", 443}, {"carddavs", 443}, {"imaps", 993}, {"jmap", 443}, {"pop3s", 995}, {"submissions", 465}} {
		line("_%s._tcp.%s. IN SRV 0 1 %d %s.", s.service, name, s.port, host)
	}
	line("mta-sts.%s. IN CNAME %s.", name, host)
	line(`_mta-sts.%s. IN TXT "v=STSv1; id=%d"`, name, w.PolicyID())
	if report != "" {
		line(`_smtp._tls.%s. IN TXT "v=TLSRPTv1; rua=%s"`, name, report)
	}
	w.issuance(line, domain, name, report)
	line("ua-auto-config.%s. IN CNAME %s.", name, host)
	sum := sha256.Sum256([]byte("ua-auto-config " + host))
	line(`_ua-auto-config.%s. IN TXT "v=UAAC1; a=sha256; d=%s"`, name, base64.StdEncoding.EncodeToString(sum[:]))
	line("autoconfig.%s. IN CNAME %s.", name, host)
	line("autodiscover.%s. IN CNAME %s.", name, host)
	return b.String()
}

// Keys are the DKIM records of a domain, in zone file form.
func (w *Writer) Keys(domain registry.Object) []string {
	name, _ := domain.Value["name"].(string)
	var out []string
	for _, key := range w.Registry.Values("DkimSignature") {
		if key["domainId"] != domain.ID || key["stage"] == "retired" {
			continue
		}
		algorithm := "rsa"
		if key["@type"] != "Dkim1RsaSha256" {
			algorithm = "ed25519"
		}
		text := fmt.Sprintf("v=DKIM1; k=%s; h=sha256; p=%s", algorithm, key["publicKey"])
		owner := fmt.Sprintf("%s._domainkey.%s.", key["selector"], name)
		if len(text) <= maxString {
			out = append(out, fmt.Sprintf("%s IN TXT %q", owner, text))
			continue
		}
		var parts []string
		for part := range slices.Chunk([]byte(text), maxString) {
			parts = append(parts, fmt.Sprintf("    %q", part))
		}
		out = append(out, fmt.Sprintf("%s IN TXT (\n%s\n)", owner, strings.Join(parts, "\n")))
	}
	return out
}

// tlsa writes the records for the served certificate, once there is one that a
// certificate authority issued: at the server's own name the ports of all that
// it could offer, at those of MX records that of mail.
func (w *Writer) tlsa(b *strings.Builder, domain, host string) {
	ports := map[string][]int{host: {993, 995, 443, 465}}
	for _, mx := range w.hosts() {
		ports[mx] = append(ports[mx], 25)
	}
	for _, name := range slices.Sorted(maps.Keys(ports)) {
		cert := w.Certificates.Issued(name)
		if cert == nil || (name != domain && !strings.HasSuffix(name, "."+domain)) {
			continue
		}
		write := func(usage int, spki []byte) {
			sum := sha256.Sum256(spki)
			for _, port := range ports[name] {
				fmt.Fprintf(b, "_%d._tcp.%s. IN TLSA %d 1 1 %s\n", port, name, usage, hex.EncodeToString(sum[:]))
			}
		}
		write(3, cert.Leaf.RawSubjectPublicKeyInfo)
		if issuer := tlscert.Issuer(cert); issuer != nil {
			write(2, issuer.RawSubjectPublicKeyInfo)
		}
	}
}

// issuance writes who may issue certificates: the registrable domain of the
// host of the provider's directory; nothing where that has none.
func (w *Writer) issuance(line func(string, ...any), domain registry.Object, name, report string) {
	managed, _ := domain.Value["certificateManagement"].(map[string]any)
	id, _ := managed["acmeProviderId"].(string)
	if managed["@type"] != "Automatic" || id == "" {
		return
	}
	provider := w.Registry.Get("AcmeProvider", id)
	directory, _ := provider["directory"].(string)
	where, err := url.Parse(directory)
	if err != nil {
		return
	}
	issuer := registrable(where.Hostname())
	if issuer == "" {
		return
	}
	account, _ := provider["accountUri"].(string)
	parameter := "accounturi"
	if account != "" {
		parameter += "=" + account
	}
	line(`%s. IN CAA 0 issue "%s;%s"`, name, issuer, parameter)
	if strings.HasPrefix(report, "mailto:") {
		line(`%s. IN CAA 0 iodef "%s"`, name, report)
	}
	policy := ""
	if names, _ := managed["subjectAlternativeNames"].(map[string]any); len(names) == 0 {
		policy = "; policy=wildcard"
	}
	line(`_validation-persist.%s. IN TXT "%s; accounturi=%s%s"`, name, issuer, account, policy)
}

// registrable is the part of a name that somebody registered. The server does
// not know addresses: of one like 192.0.2.1 it takes the last two numbers.
func registrable(host string) string {
	if address, err := netip.ParseAddr(host); err == nil && address.Is4() {
		return strings.Join(strings.Split(host, ".")[2:], ".")
	}
	name, _ := publicsuffix.EffectiveTLDPlusOne(host)
	return name
}

// hosts are the names of the MX records.
func (w *Writer) hosts() []string {
	var out []string
	for _, mx := range w.exchangers() {
		if !slices.Contains(out, mx.host) {
			out = append(out, mx.host)
		}
	}
	return out
}

type exchanger struct {
	host     string
	priority int
}

func (w *Writer) exchangers() []exchanger {
	configured, _ := w.Registry.Singleton("SystemSettings")["mailExchangers"].(map[string]any)
	var out []exchanger
	for _, k := range slices.Sorted(maps.Keys(configured)) {
		m, _ := configured[k].(map[string]any)
		e := exchanger{host: w.Hostname()}
		if h, _ := m["hostname"].(string); h != "" {
			e.host = strings.TrimSuffix(h, ".")
		}
		if p, ok := m["priority"].(float64); ok {
			e.priority = int(p)
		}
		out = append(out, e)
	}
	slices.SortStableFunc(out, func(a, b exchanger) int { return cmp.Compare(a.priority, b.priority) })
	return out
}

// Policy is the MTA-STS policy file (RFC 8461).
func (w *Writer) Policy() string {
	settings := w.Registry.Singleton("MtaSts")
	age, _ := settings["maxAge"].(float64)
	mode := settings["mode"]
	if mode == "disable" {
		mode = "none"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "version: STSv1\nmode: %v\n", mode)
	for _, mx := range w.exchangers() {
		fmt.Fprintf(&b, "mx: %s\n", mx.host)
	}
	fmt.Fprintf(&b, "max_age: %.0f\n", age/1000)
	return b.String()
}

// PolicyID changes with the policy.
func (w *Writer) PolicyID() uint64 {
	sum := sha256.Sum256([]byte(w.Policy()))
	return binary.BigEndian.Uint64(sum[:])
}
