package smtpd

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/emersion/go-smtp"

	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/queue"
	"tailwart.lab/standin/internal/store"
	"tailwart.lab/standin/internal/trace"
)

// Mail implements smtp.Session.
func (x *session) Mail(address string, options *smtp.MailOptions) error {
	switch {
	case x.mailFrom != nil:
		return reply("503 5.5.1 Multiple MAIL commands not allowed.")
	case x.who == nil && expr.Truth(x.stage("MtaStageAuth", "require")):
		return reply("503 5.5.1 You must authenticate first.")
	case options.Size > int64(x.maxSize()):
		return errTooBig
	case x.who != nil && expr.Truth(x.stage("MtaStageAuth", "mustMatchSender")) && !x.Directory.MaySend(x.who.Account, address):
		return reply("501 5.5.4 You are not allowed to send from this address.")
	}
	x.mailFrom = &address
	if !expr.Truth(x.stage("MtaStageMail", "isSenderAllowed")) {
		x.mailFrom = nil
		return reply("550 5.7.1 Sender address not allowed.")
	}
	if !x.withinRates(false) {
		x.mailFrom = nil
		return errRate
	}
	if x.who == nil {
		x.checks = x.startChecks(address)
	}
	x.Options.Log.Info("SMTP MAIL FROM command", "smtp.mail-from", x.conn.Fields("from", address)...)
	return nil
}

var (
	errTooBig = reply("552 5.3.4 Message too big for system.")
	errRate   = reply("452 4.4.5 Rate limit exceeded, try again later.")
)

// Rcpt implements smtp.Session.
func (x *session) Rcpt(address string, _ *smtp.RcptOptions) error {
	if slices.Contains(x.recipients, address) {
		return nil
	}
	if len(x.recipients) >= x.limit("MtaStageRcpt", "maxRecipients", 100) {
		return reply("455 4.5.3 Too many recipients.")
	}
	if x.Directory.IsLocalDomain(address[strings.LastIndexByte(address, '@')+1:]) {
		if _, _, found := x.Directory.Expand(address); !found {
			x.Options.Log.Info("Mailbox does not exist", "smtp.mailbox-does-not-exist", x.conn.Fields("to", address)...)
			return x.refuseRecipient("550 5.1.2 Mailbox does not exist.", address)
		}
	} else if !expr.Truth(x.stage("MtaStageRcpt", "allowRelaying")) {
		x.Options.Log.Info("Relay not allowed", "smtp.relay-not-allowed", x.conn.Fields("to", address)...)
		return x.refuseRecipient("550 5.1.2 Relay not allowed.", address)
	}
	x.recipients = append(x.recipients, address)
	if !x.withinRates(true) {
		x.recipients = x.recipients[:len(x.recipients)-1]
		return errRate
	}
	x.Options.Log.Info("SMTP RCPT TO command", "smtp.rcpt-to", x.conn.Fields("to", address)...)
	return nil
}

func (x *session) refuseRecipient(text, address string) error {
	x.rcptFailed++
	x.pause("MtaStageRcpt")
	if x.Directory.RefuseRecipient(address, x.conn.Remote.Addr()) {
		x.Options.Log.Info("Banned due to abuse", "security.abuse-ban", x.conn.Fields("to", address)...)
	}
	if x.rcptFailed >= x.limit("MtaStageRcpt", "maxFailures", 5) {
		return reply("421 4.3.0 Too many errors, disconnecting.")
	}
	return reply(text)
}

// Reset implements smtp.Session.
func (x *session) Reset() { x.mailFrom, x.recipients, x.checks = nil, nil, nil }

// Logout implements smtp.Session.
func (x *session) Logout() error {
	x.Reset()
	return nil
}

// Data implements smtp.Session: it queues a complete message.
func (x *session) Data(r io.Reader) error {
	if x.taken >= x.limit("MtaStageData", "maxMessages", 10) {
		return reply("452 4.4.5 Maximum number of messages per session exceeded.")
	}
	limit := x.maxSize()
	body, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return err
	}
	if len(body) > limit {
		return errTooBig
	}
	id := x.Queue.Clock.Next()
	m := &queue.Message{ID: id, From: *x.mailFrom, Source: "unauthenticated", ReceivedFrom: x.conn.Remote.Addr(), Port: x.conn.Local.Port()}
	for _, r := range x.recipients {
		m.Recipients = append(m.Recipients, &queue.Recipient{Address: r})
	}
	body = normalise(body)
	title, code := "Queued message for delivery", "queue.message-queued"
	if x.who != nil {
		m.Source = "authenticated"
		title, code = "Queued message submission for delivery", "queue.authenticated-message-queued"
	}
	x.Options.Log.Info("DKIM verification failed", "smtp.dkim-fail", x.conn.Fields("strict", false, "result", trace.Raw("[]"), "elapsed", trace.Raw("0ms"))...)
	if len(headerOf(body)["Received"]) >= x.limit("MtaStageData", "maxReceivedHeaders", 50) {
		return reply("450 4.4.6 Too many Received headers. Possible loop detected.")
	}
	body = append(x.headers(m, body), body...)
	if x.who != nil {
		if domain := expr.Text(expr.Choose(x.Registry.Singleton("SenderAuth")["dkimSignDomain"], x.env())); domain != "" && domain != "false" {
			body = x.Signer.Sign(domain, body)
		}
	}
	if err := x.Queue.Add(m, body); err != nil {
		x.Options.Log.Emit("error", "Failed to queue message", "queue.error", x.conn.Fields("reason", store.Reason(err))...)
		return reply("451 4.3.5 Unable to accept message at this time.")
	}
	x.Options.Log.Info(title, code, x.conn.Fields("queueId", id, "from", m.From, "to", x.recipients, "size", len(body), "nextRetry", m.Created,
		"nextDsn", m.Created.AddDate(0, 0, 1), "expires", m.Created.AddDate(0, 0, 3))...)
	x.taken++
	return reply("250 2.0.0 Message queued with id " + m.Hex() + ".")
}

// normalise gives every line the CRLF that signatures and IMAP count on.
func normalise(body []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}
