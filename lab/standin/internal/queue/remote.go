package queue

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tailwart.lab/standin/internal/config"
	"tailwart.lab/standin/internal/expr"
)

// hop is a server that takes a message over.
type hop struct {
	host         string
	addresses    []netip.Addr
	port         int
	implicitTLS  bool
	allowInvalid bool
	startTLS     string
	username     string
	password     string
}

const dialTimeout = 30 * time.Second

// away leaves out addresses of this machine: a server that is nowhere else is
// refused for good, for it would be this one.
func (h *hop) away() error {
	h.addresses = slices.DeleteFunc(h.addresses, netip.Addr.IsLoopback)
	if len(h.addresses) == 0 {
		return &failure{permanent: true, kind: "connectionError", host: h.host, reason: "host resolves loopback address"}
	}
	return nil
}

// relay passes a message on to a smarthost.
func (q *Queue) relay(m *Message, queue string, route map[string]any, recipients []*Recipient, body []byte) {
	secret, err := config.Secret(route["authSecret"])
	if err != nil {
		q.settle(m, queue, recipients, temporary("%v", err))
		return
	}
	h := hop{
		host: expr.Text(route["address"]), port: config.Int(route, "port", 25), implicitTLS: config.Flag(route, "implicitTls"),
		allowInvalid: config.Flag(route, "allowInvalidCerts"),
		username:     expr.Text(route["authUsername"]), password: secret, startTLS: "optional",
	}
	q.tlsPolicy(m, recipients[0], &h)
	if a, err := netip.ParseAddr(h.host); err == nil {
		h.addresses = []netip.Addr{a}
	} else if h.addresses, err = resolve(h.host, "v4ThenV6"); err != nil {
		q.settle(m, queue, recipients, &failure{kind: "dnsError", host: h.host, reason: fmt.Sprintf("relay host %s: %v", h.host, err)})
		return
	}
	if err := h.away(); err != nil {
		q.settle(m, queue, recipients, err)
		return
	}
	q.transfer(m, queue, h, recipients, body)
}

func (q *Queue) tlsPolicy(m *Message, r *Recipient, h *hop) {
	name := expr.Text(expr.Choose(q.strategy["tls"], q.env(m, r)))
	if strategy, ok := q.Registry.Find("MtaTlsStrategy", name); ok {
		h.allowInvalid = h.allowInvalid || config.Flag(strategy.Value, "allowInvalidCerts")
		h.startTLS = config.Text(strategy.Value, "startTls", "optional")
	}
}

// exchange delivers to the mail exchangers of the recipients' domain.
func (q *Queue) exchange(m *Message, queue string, route map[string]any, recipients []*Recipient, body []byte) {
	domain := domainOf(recipients[0].Address)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	exchangers, err := net.DefaultResolver.LookupMX(ctx, domain)
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		exchangers, err = []*net.MX{{Host: domain}}, nil
	}
	if err != nil {
		q.settle(m, queue, recipients, &failure{kind: "dnsError", reason: fmt.Sprintf("MX lookup for %s: %v", domain, err)})
		return
	}
	strategy := config.Text(route, "ipLookupStrategy", "v4ThenV6")
	last := error(&failure{permanent: true, reason: "no mail exchanger for " + domain})
	for _, mx := range exchangers[:min(len(exchangers), config.Int(route, "maxMxHosts", 5))] {
		h := hop{host: strings.TrimSuffix(mx.Host, "."), port: 25, startTLS: "optional"}
		q.tlsPolicy(m, recipients[0], &h)
		if h.addresses, err = resolve(h.host, strategy); err != nil {
			last = temporary("address of %s: %v", h.host, err)
			continue
		}
		if last = h.away(); last != nil {
			continue
		}
		if last = q.send(m, queue, h, recipients, body); last == nil {
			return
		}
		var f *failure
		if errors.As(last, &f) && f.permanent {
			break
		}
	}
	q.settle(m, queue, recipients, last)
}

func resolve(host, strategy string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var v4, v6 []netip.Addr
	for _, a := range found {
		if a = a.Unmap(); a.Is4() {
			v4 = append(v4, a)
		} else {
			v6 = append(v6, a)
		}
	}
	switch strategy {
	case "v4Only":
		found = v4
	case "v6Only":
		found = v6
	case "v6ThenV4":
		found = append(v6, v4...)
	default:
		found = append(v4, v6...)
	}
	if len(found) == 0 {
		return nil, errors.New("no usable address")
	}
	return found, nil
}

// transfer sends and settles.
func (q *Queue) transfer(m *Message, queue string, h hop, recipients []*Recipient, body []byte) {
	if err := q.send(m, queue, h, recipients, body); err != nil {
		q.settle(m, queue, recipients, err)
	}
}

// send hands a message over. Recipients the server answered for are settled
// here; an error concerns all of them and is for the caller to settle.
func (q *Queue) send(m *Message, queue string, h hop, recipients []*Recipient, body []byte) error {
	client, err := q.connect(m, queue, h)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Mail(m.From); err != nil {
		return classify("MAIL FROM", err)
	}
	var accepted []*Recipient
	for _, r := range recipients {
		if err := client.Rcpt(r.Address); err != nil {
			q.settle(m, queue, []*Recipient{r}, classify("RCPT TO", err))
			continue
		}
		accepted = append(accepted, r)
	}
	if len(accepted) == 0 {
		return nil
	}
	if err := writeBody(client, body); err != nil {
		q.settle(m, queue, accepted, classify("DATA", err))
		return nil
	}
	client.Quit()
	q.settle(m, queue, accepted, nil)
	for _, r := range accepted {
		q.Log.Info("Message delivered", "delivery.delivered", q.fields(m, queue, "hostname", h.host, "to", r.Address, "code", 250, "details", "OK")...)
	}
	q.Log.Info("Delivery completed", "delivery.completed", q.fields(m, queue)...)
	return nil
}

func writeBody(client *smtp.Client, body []byte) error {
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := bytes.NewReader(body).WriteTo(w); err != nil {
		return err
	}
	return w.Close()
}

// connect opens a session: address by address, TLS as far as it can be had,
// then authentication.
func (q *Queue) connect(m *Message, queue string, h hop) (*smtp.Client, error) {
	var last error
	for _, a := range h.addresses {
		at := net.JoinHostPort(a.String(), strconv.Itoa(h.port))
		conn, err := net.DialTimeout("tcp", at, dialTimeout)
		if err != nil {
			q.Log.Info("Connection error", "delivery.connect-error", q.fields(m, queue, "hostname", h.host, "remoteIp", a, "remotePort", h.port, "reason", err.Error())...)
			last = &failure{kind: "connectionError", host: h.host, reason: ioReason(err)}
			continue
		}
		q.Log.Info("Connecting to remote server", "delivery.connect", q.fields(m, queue, "hostname", h.host, "remoteIp", a, "remotePort", h.port)...)
		conn.SetDeadline(time.Now().Add(10 * time.Minute))
		return q.greet(conn, h)
	}
	return nil, last
}

func (q *Queue) greet(conn net.Conn, h hop) (*smtp.Client, error) {
	tlsConfig := &tls.Config{ServerName: h.host, InsecureSkipVerify: h.allowInvalid} //nolint:gosec // the route's own switch
	if h.implicitTLS {
		secure := tls.Client(conn, tlsConfig)
		if err := secure.Handshake(); err != nil {
			conn.Close()
			return nil, &failure{tls: true, kind: "tlsError", host: h.host, reason: "TLS with " + h.host + ": " + err.Error()}
		}
		conn = secure
	}
	client, err := smtp.NewClient(conn, h.host)
	if err != nil {
		conn.Close()
		return nil, classify("greeting", err)
	}
	if err := q.prepare(client, h, tlsConfig); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

func (q *Queue) prepare(client *smtp.Client, h hop, tlsConfig *tls.Config) error {
	if err := client.Hello(q.Hostname()); err != nil {
		return classify("EHLO", err)
	}
	offered, _ := client.Extension("STARTTLS")
	switch {
	case h.implicitTLS || h.startTLS == "disable":
	case offered:
		if err := client.StartTLS(tlsConfig); err != nil {
			return &failure{tls: true, kind: "tlsError", host: h.host, reason: "STARTTLS with " + h.host + ": " + err.Error()}
		}
	case h.startTLS == "require":
		return &failure{tls: true, kind: "tlsError", host: h.host, reason: h.host + " does not offer STARTTLS"}
	}
	if h.username == "" {
		return nil
	}
	if err := client.Auth(credentials{h}); err != nil {
		return classify("AUTH", err)
	}
	return nil
}

// credentials authenticates with PLAIN, or LOGIN where only that is offered.
// The library's own PLAIN refuses servers without TLS; whether that is allowed
// is for the TLS strategy to say.
type credentials struct{ hop }

func (c credentials) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !slices.Contains(server.Auth, "PLAIN") && slices.Contains(server.Auth, "LOGIN") {
		return "LOGIN", nil, nil
	}
	return "PLAIN", []byte("\x00" + c.username + "\x00" + c.password), nil
}

func (c credentials) Next(challenge []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	if strings.HasPrefix(strings.ToLower(string(challenge)), "user") {
		return []byte(c.username), nil
	}
	return []byte(c.password), nil
}

// classify turns a server's refusal into a temporary or a permanent failure.
func classify(stage string, err error) error {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		// A relay that refuses the login may take it again once that is mended:
		// mail is not thrown away for it.
		permanent := reply.Code >= 500 && stage != "AUTH"
		return &failure{permanent: permanent, kind: "unexpectedResponse", code: reply.Code, reason: stage + ": " + reply.Error()}
	}
	return temporary("%s: %v", stage, err)
}

// ioReason words a failed connection as the server does.
func ioReason(err error) string {
	var number syscall.Errno
	if !errors.As(err, &number) {
		return "I/O error: " + err.Error()
	}
	words := number.Error()
	return fmt.Sprintf("I/O error: %s (os error %d)", strings.ToUpper(words[:1])+words[1:], int(number))
}
