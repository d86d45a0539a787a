package smtpd

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"blitiri.com.ar/go/spf"
	"github.com/emersion/go-msgauth/dkim"

	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/network"
	"tailwart.lab/standin/internal/queue"
)

const date = "Mon, 02 Jan 2006 15:04:05 -0700"

// headers are the lines that the server puts on top of a message.
func (x *session) headers(m *queue.Message, body []byte) []byte {
	var b bytes.Buffer
	original := headerOf(body)
	on := func(property string) bool { return expr.Truth(x.stage("MtaStageData", property)) }
	if on("addReceivedHeader") {
		x.receivedHeader(&b, m)
	}
	if c := x.checks; c != nil {
		c.done.Wait()
		if on("addAuthResultsHeader") {
			x.authResults(&b, c, original, body)
		}
		if on("addReceivedSpfHeader") {
			fmt.Fprintf(&b, "Received-SPF: %s (%s)\r\n\treceiver=%s; client-ip=%s; envelope-from=\"%s\"; helo=%s;\r\n",
				c.mailSPF, x.spfReason(c.mailSPF, c.from), x.Hostname(), m.ReceivedFrom, c.from, x.helo)
		}
	}
	if expr.Truth(x.stage("MtaStageData", "enableSpamFilter")) && x.Registry.Singleton("SpamSettings")["enable"] == true {
		b.WriteString("X-Spam-Result: ARC_NA (0.00)\r\nX-Spam-Score: ham, score=0.00\r\n")
	}
	if on("addReturnPathHeader") {
		fmt.Fprintf(&b, "Return-Path: <%s>\r\n", m.From)
	}
	if on("addDateHeader") && original.Get("Date") == "" {
		fmt.Fprintf(&b, "Date: %s\r\n", time.Now().UTC().Format(date))
	}
	if on("addMessageIdHeader") && original.Get("Message-Id") == "" {
		fmt.Fprintf(&b, "Message-ID: <%s@%s>\r\n", m.Hex(), x.Hostname())
	}
	return b.Bytes()
}

func headerOf(body []byte) mail.Header {
	m, err := mail.ReadMessage(bytes.NewReader(body))
	if err != nil {
		return mail.Header{}
	}
	return m.Header
}

func (x *session) receivedHeader(b *bytes.Buffer, m *queue.Message) {
	rdns, protocol := "unknown", "ESMTP"
	if x.checks != nil {
		x.checks.done.Wait()
		if x.checks.rdns != "" {
			rdns = x.checks.rdns
		}
	}
	fmt.Fprintf(b, "Received: from %s (%s [%s])\r\n", x.helo, rdns, m.ReceivedFrom)
	if secure, ok := x.conn.Conn.(*tls.Conn); ok {
		version, suite := network.TLSNames(secure.ConnectionState())
		fmt.Fprintf(b, "\t(using %s with cipher %s)\r\n", version, suite)
		protocol = "ESMTPS"
	}
	if x.who != nil {
		protocol += "A"
	}
	fmt.Fprintf(b, "\tby %s (Stalwart SMTP) with %s id %s;\r\n\t%s\r\n", x.Hostname(), protocol, strings.ToUpper(m.Hex()), time.Now().UTC().Format(date))
}

func (x *session) spfReason(result spf.Result, from string) string {
	host := x.Hostname()
	if from == "" {
		from = "postmaster@" + x.helo
	}
	switch result {
	case spf.Pass:
		return fmt.Sprintf("%s: domain of %s designates %s as permitted sender", host, from, x.conn.Remote.Addr())
	case spf.Fail, spf.SoftFail:
		return fmt.Sprintf("%s: domain of %s does not designate %s as permitted sender", host, from, x.conn.Remote.Addr())
	case spf.TempError:
		return fmt.Sprintf("%s: temporary dns error validating %s", host, from)
	case spf.PermError:
		return fmt.Sprintf("%s: unable to verify SPF record for %s", host, from)
	}
	return fmt.Sprintf("%s: no SPF records found for %s", host, from)
}

func (x *session) authResults(b *bytes.Buffer, c *checks, original mail.Header, body []byte) {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	verified, _ := dkim.Verify(bytes.NewReader(body))
	var passed []string
	for _, v := range verified {
		result := "pass"
		switch {
		case dkim.IsTempFail(v.Err):
			result = "temperror"
		case dkim.IsPermFail(v.Err):
			result = "permerror"
		case v.Err != nil:
			result = "fail"
		default:
			passed = append(passed, v.Domain)
		}
		add("dkim=%s header.d=%s", result, v.Domain)
	}
	add("spf=%s (%s) smtp.helo=%s", c.heloSPF, x.spfReason(c.heloSPF, "postmaster@"+x.helo), x.helo)
	add("spf=%s (%s) smtp.mailfrom=%s", c.mailSPF, x.spfReason(c.mailSPF, c.from), c.from)
	iprev := "pass"
	if c.rdnsFail != "" {
		iprev = c.rdnsFail + " (dns error)"
	}
	add("iprev=%s policy.iprev=%s", iprev, x.conn.Remote.Addr())
	from := ""
	if list, err := original.AddressList("From"); err == nil && len(list) == 1 {
		_, from, _ = strings.Cut(list[0].Address, "@")
	}
	_, envelope, _ := strings.Cut(c.from, "@")
	result, policy := dmarcResult(from, c.mailSPF == spf.Pass, envelope, passed)
	if result == "temperror" {
		result += " (dns error)"
	}
	add("dmarc=%s header.from=%s policy.dmarc=%s", result, from, policy)
	fmt.Fprintf(b, "Authentication-Results: %s;\r\n\t%s\r\n", x.Hostname(), strings.Join(parts, ";\r\n\t"))
}
