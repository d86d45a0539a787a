package queue

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"tailwart.lab/standin/internal/ids"
)

func number(id string) uint64 {
	n, _ := ids.Decode(id)
	return n
}

func messageID(body []byte) string {
	m, err := mail.ReadMessage(bytes.NewReader(body))
	if err != nil {
		return ""
	}
	return strings.Trim(m.Header.Get("Message-Id"), "<> ")
}

// notification writes a delivery status notification (RFC 3464).
func (q *Queue) notification(m *Message, failed []*Recipient, body []byte) []byte {
	host := q.Hostname()
	boundary := "dsn-" + rand.Text()
	headers := body
	if end := bytes.Index(body, []byte("\r\n\r\n")); end >= 0 {
		headers = body[:end+2]
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("From: \"Mail Delivery Subsystem\" <MAILER-DAEMON@%s>", host)
	line("To: %s", m.From)
	line("Auto-Submitted: auto-generated")
	line("Subject: Failed to deliver message")
	line("Message-ID: <%s@%s>", strings.ToLower(rand.Text()), host)
	line("Date: %s", time.Now().UTC().Format(time.RFC1123Z))
	line("MIME-Version: 1.0")
	line("Content-Type: multipart/report; report-type=\"delivery-status\"; boundary=\"%s\"", boundary)
	line("\r\n--%s\r\nContent-Type: text/plain; charset=\"utf-8\"\r\n", boundary)
	line("Your message could not be delivered to the following recipients:\r\n")
	for _, r := range failed {
		line("<%s> (%s)", r.Address, r.Last)
	}
	line("\r\n--%s\r\nContent-Type: message/delivery-status\r\n", boundary)
	line("Reporting-MTA: dns;%s\r\nArrival-Date: %s", host, m.Created.Format(time.RFC1123Z))
	for _, r := range failed {
		line("\r\nFinal-Recipient: rfc822;%s\r\nAction: failed\r\nStatus: %s", r.Address, enhanced(r.Last))
		line("Diagnostic-Code: smtp;%s", strings.ReplaceAll(r.Last, "\n", " "))
	}
	line("\r\n--%s\r\nContent-Type: message/rfc822-headers\r\n", boundary)
	b.Write(headers)
	line("\r\n--%s--", boundary)
	return []byte(b.String())
}

// enhanced finds the enhanced status code in a reply.
func enhanced(reply string) string {
	for word := range strings.FieldsSeq(reply) {
		class, rest, ok := strings.Cut(word, ".")
		if _, err := strconv.Atoi(class); ok && err == nil && strings.Count(rest, ".") == 1 {
			return strings.TrimSuffix(word, ".")
		}
	}
	return "5.0.0"
}
