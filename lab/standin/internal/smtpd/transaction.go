package smtpd

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"

	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/queue"
	"tailwart.lab/standin/internal/store"
	"tailwart.lab/standin/internal/trace"
)

func (x *session) mail(rest string) {
	switch {
	case x.helo == "" && expr.Truth(x.stage("MtaStageEhlo", "require")):
		x.reply("503 5.5.1 Polite people say EHLO first.")
		return
	case x.mailFrom != nil:
		x.reply("503 5.5.1 Multiple MAIL commands not allowed.")
		return
	case x.who == nil && expr.Truth(x.stage("MtaStageAuth", "require")):
		x.reply("503 5.5.1 You must authenticate first.")
		return
	}
	address, params, err := path(rest, "FROM:")
	if err != nil {
		x.reply("501 5.5.4 Invalid MAIL FROM parameters.")
		return
	}
	if size, _ := strconv.Atoi(params["SIZE"]); size > x.limit("MtaStageData", "maxMessageSize", defaultSize) {
		x.reply("552 5.3.4 Message too big for system.")
		return
	}
	if x.who != nil && expr.Truth(x.stage("MtaStageAuth", "mustMatchSender")) && !x.Directory.MaySend(x.who.Account, address) {
		x.reply("501 5.5.4 You are not allowed to send from this address.")
		return
	}
	x.mailFrom = &address
	if x.who == nil {
		x.checks = x.startChecks(address)
	}
	x.Options.Log.Info("SMTP MAIL FROM command", "smtp.mail-from", x.conn.Fields("from", address)...)
	x.reply("250 2.1.0 OK")
}

func (x *session) rcpt(rest string) error {
	if x.mailFrom == nil {
		x.reply("503 5.5.1 MAIL is required first.")
		return nil
	}
	address, _, err := path(rest, "TO:")
	if err != nil || address == "" {
		x.reply("501 5.5.4 Invalid RCPT TO parameters.")
		return nil
	}
	if slices.Contains(x.recipients, address) {
		x.reply("250 2.1.5 OK")
		return nil
	}
	if len(x.recipients) >= x.limit("MtaStageRcpt", "maxRecipients", 100) {
		x.reply("455 4.5.3 Too many recipients.")
		return nil
	}
	domain := address[strings.LastIndexByte(address, '@')+1:]
	local := x.Directory.IsLocalDomain(domain)
	if local {
		if _, _, found := x.Directory.Expand(address); !found {
			x.Options.Log.Info("Mailbox does not exist", "smtp.mailbox-does-not-exist", x.conn.Fields("to", address)...)
			return x.refuseRecipient("550 5.1.2 Mailbox does not exist.")
		}
	} else if !expr.Truth(x.stage("MtaStageRcpt", "allowRelaying")) {
		x.Options.Log.Info("Relay not allowed", "smtp.relay-not-allowed", x.conn.Fields("to", address)...)
		return x.refuseRecipient("550 5.1.2 Relay not allowed.")
	}
	x.recipients = append(x.recipients, address)
	x.Options.Log.Info("SMTP RCPT TO command", "smtp.rcpt-to", x.conn.Fields("to", address)...)
	x.reply("250 2.1.5 OK")
	return nil
}

func (x *session) refuseRecipient(reply string) error {
	x.rcptFailed++
	x.pause("MtaStageRcpt")
	if x.rcptFailed >= x.limit("MtaStageRcpt", "maxFailures", 5) {
		x.reply("421 4.3.0 Too many errors, disconnecting.")
		return errQuit
	}
	x.reply(reply)
	return nil
}

func (x *session) data() error {
	if !x.transactionReady() {
		return nil
	}
	x.reply("354 Start mail input; end with <CRLF>.<CRLF>")
	limit := x.limit("MtaStageData", "maxMessageSize", defaultSize)
	var body bytes.Buffer
	tooBig := false
	for {
		line, err := x.reader.ReadBytes('\n')
		if err != nil {
			return err
		}
		if bytes.Equal(line, []byte(".\r\n")) || bytes.Equal(line, []byte(".\n")) {
			break
		}
		line = bytes.TrimPrefix(line, []byte("."))
		if body.Len()+len(line) > limit {
			tooBig = true
			continue
		}
		body.Write(line)
	}
	if tooBig {
		x.reset()
		x.reply("552 5.3.4 Message too big for system.")
		return nil
	}
	x.accept(body.Bytes())
	return nil
}

func (x *session) transactionReady() bool {
	switch {
	case x.mailFrom == nil:
		x.reply("503 5.5.1 MAIL is required first.")
	case len(x.recipients) == 0:
		x.reply("503 5.5.1 RCPT is required first.")
	default:
		return true
	}
	return false
}

// chunk takes one BDAT chunk (RFC 3030).
func (x *session) chunk(rest string) error {
	words := strings.Fields(rest)
	size := -1
	if len(words) > 0 {
		if n, err := strconv.Atoi(words[0]); err == nil {
			size = n
		}
	}
	limit := x.limit("MtaStageData", "maxMessageSize", defaultSize)
	if size < 0 {
		x.reply("501 5.5.4 Invalid BDAT parameters.")
		return nil
	}
	if len(x.bdat)+size > limit {
		x.reply("552 5.3.4 Message too big for system.")
		return errQuit
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(x.reader, body); err != nil {
		return err
	}
	if !x.transactionReady() {
		return nil
	}
	x.bdat = append(x.bdat, body...)
	if len(words) > 1 && strings.EqualFold(words[1], "LAST") {
		x.accept(x.bdat)
		return nil
	}
	x.reply("250 2.6.0 Chunk accepted.")
	return nil
}

// accept queues a complete message.
func (x *session) accept(body []byte) {
	defer x.reset()
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
	if received(body) >= x.limit("MtaStageData", "maxReceivedHeaders", 50) {
		x.reply("450 4.4.6 Too many Received headers. Possible loop detected.")
		return
	}
	body = append(x.headers(m, body), body...)
	if x.who != nil {
		if domain := expr.Text(expr.Choose(x.Registry.Singleton("SenderAuth")["dkimSignDomain"], x.env())); domain != "" && domain != "false" {
			body = x.Signer.Sign(domain, body)
		}
	}
	if err := x.Queue.Add(m, body); err != nil {
		x.Options.Log.Emit("error", "Failed to queue message", "queue.error", x.conn.Fields("reason", store.Reason(err))...)
		x.reply("451 4.3.5 Unable to accept message at this time.")
		return
	}
	to := x.recipients
	x.Options.Log.Info(title, code, x.conn.Fields("queueId", id, "from", m.From, "to", to, "size", len(body), "nextRetry", m.Created,
		"nextDsn", m.Created.AddDate(0, 0, 1), "expires", m.Created.AddDate(0, 0, 3))...)
	x.reply("250 2.0.0 Message queued with id " + m.Hex() + ".")
}

func received(body []byte) int {
	head, _, _ := bytes.Cut(body, []byte("\r\n\r\n"))
	n := bytes.Count(bytes.ToLower(head), []byte("\r\nreceived:"))
	if bytes.HasPrefix(bytes.ToLower(head), []byte("received:")) {
		n++
	}
	return n
}

// normalise gives every line the CRLF that signatures and IMAP count on.
func normalise(body []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}
