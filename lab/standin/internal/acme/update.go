package acme

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"tailwart.lab/standin/internal/config"
	"tailwart.lab/standin/internal/expr"
)

// updater writes records by RFC 2136 with a TSIG key (RFC 8945).
type updater struct {
	zone        string
	server      string
	protocol    string
	keyName     string
	secret      string
	algorithm   string
	ttl         uint32
	timeout     time.Duration
	propagation time.Duration
}

var algorithms = map[string]string{
	"hmac-sha1": dns.HmacSHA1, "hmac-sha224": dns.HmacSHA224, "hmac-sha256": dns.HmacSHA256,
	"hmac-sha384": dns.HmacSHA384, "hmac-sha512": dns.HmacSHA512,
}

// updater is made from the DNS server that a domain's management names.
func (m *Manager) updater(domain map[string]any) (*updater, error) {
	management, _ := domain["dnsManagement"].(map[string]any)
	if management["@type"] != "Automatic" {
		return nil, errors.New("the domain has no DNS server for DNS-01 challenges")
	}
	server := m.Registry.Get("DnsServer", expr.Text(management["dnsServerId"]))
	if server == nil {
		return nil, errors.New("the domain's DNS server does not exist")
	}
	if server["@type"] != "Tsig" {
		return nil, fmt.Errorf("DNS provider %v is not known to this stand-in, only Tsig", server["@type"])
	}
	secret, err := config.Secret(server["key"])
	if err != nil {
		return nil, err
	}
	algorithm, ok := algorithms[expr.Text(server["tsigAlgorithm"])]
	if !ok {
		return nil, fmt.Errorf("TSIG algorithm %v is not known to this stand-in", server["tsigAlgorithm"])
	}
	return &updater{
		zone:     dns.Fqdn(config.Text(management, "origin", expr.Text(domain["name"]))),
		server:   net.JoinHostPort(expr.Text(server["host"]), strconv.Itoa(config.Int(server, "port", 53))),
		protocol: config.Text(server, "protocol", "udp"), keyName: dns.CanonicalName(expr.Text(server["keyName"])), secret: secret, algorithm: algorithm,
		ttl: uint32(config.Int(server, "ttl", 300000) / 1000), timeout: duration(server, "timeout", 30000),
		propagation: duration(server, "propagationTimeout", 60000),
	}, nil
}

func (u *updater) send(message *dns.Msg) error {
	message.SetTsig(u.keyName, u.algorithm, 300, time.Now().Unix())
	client := &dns.Client{Net: u.protocol, Timeout: u.timeout, TsigSecret: map[string]string{u.keyName: u.secret}}
	answer, _, err := client.Exchange(message, u.server)
	if answer != nil && answer.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("%s answered %s", u.server, dns.RcodeToString[answer.Rcode])
	}
	return err
}

func (u *updater) record(owner, value string) dns.RR {
	return &dns.TXT{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: u.ttl}, Txt: []string{value}}
}

// add inserts a value beside what the name has: a domain and its wildcard share it.
func (u *updater) add(owner, value string) error {
	message := new(dns.Msg).SetUpdate(u.zone)
	message.Insert([]dns.RR{u.record(owner, value)})
	return u.send(message)
}

func (u *updater) remove(owner string) error {
	message := new(dns.Msg).SetUpdate(u.zone)
	message.RemoveRRset([]dns.RR{u.record(owner, "")})
	return u.send(message)
}

// replace writes records given in zone file form over those of the same name.
func (u *updater) replace(records []string) error {
	message := new(dns.Msg).SetUpdate(u.zone)
	for _, line := range records {
		rr, err := dns.NewRR(strings.ReplaceAll(line, "\n", " "))
		if err != nil {
			return err
		}
		rr.Header().Ttl = u.ttl
		message.RemoveRRset([]dns.RR{rr})
		message.Insert([]dns.RR{rr})
	}
	return u.send(message)
}
