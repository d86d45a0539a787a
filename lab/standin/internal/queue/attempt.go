package queue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/mailstore"
	"tailwart.lab/standin/internal/trace"
)

// failure is a delivery that did not work.
type failure struct {
	permanent bool
	tls       bool
	reason    string
	// kind is the server's name for what failed; host and code are the answering server's.
	kind string
	host string
	code int
}

func (f *failure) Error() string { return f.reason }

func temporary(format string, args ...any) *failure {
	return &failure{reason: fmt.Sprintf(format, args...)}
}

// retries are the server's default intervals; the last one repeats.
var retries = []time.Duration{2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour}

const expiry = 72 * time.Hour

func domainOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}

func (q *Queue) fields(m *Message, queue string, more ...any) []any {
	to := make([]string, len(m.Recipients))
	for i, r := range m.Recipients {
		to[i] = r.Address
	}
	return append([]any{"queueId", m.ID, "queueName", queue, "from", m.From, "to", to, "size", m.Size, "total", len(m.Recipients)}, more...)
}

func (q *Queue) env(m *Message, r *Recipient) expr.Env {
	env := q.Functions()
	env["rcpt_domain"], env["rcpt"], env["sender"], env["sender_domain"] = domainOf(r.Address), r.Address, m.From, domainOf(m.From)
	env["source"], env["retry_num"], env["last_error"], env["size"] = m.Source, r.Attempts, "none", m.Size
	env["received_from_ip"], env["received_via_port"] = m.ReceivedFrom.String(), int(m.Port)
	if r.TLS {
		env["last_error"] = "tls"
	}
	return env
}

// Functions are the functions of expressions that ask the directory.
func (q *Queue) Functions() expr.Env {
	return expr.Env{
		"is_local_domain": q.Directory.IsLocalDomain,
		"is_local_address": func(address string) bool {
			_, _, found := q.Directory.Expand(address)
			return found
		},
		"system": func(name string) string {
			host := q.Hostname()
			if _, domain, _ := strings.Cut(host, "."); name == "domain" {
				return domain
			}
			return host
		},
	}
}

// attempt tries to deliver to every recipient that is due, by domain.
func (q *Queue) attempt(m *Message) {
	defer q.finish(m)
	started := time.Now()
	body, err := q.Blobs.Get(m.Blob)
	byDomain := map[string][]*Recipient{}
	for _, r := range m.Recipients {
		if pending(r) && !r.Next.After(started) {
			byDomain[domainOf(r.Address)] = append(byDomain[domainOf(r.Address)], r)
		}
	}
	for domain, recipients := range byDomain {
		env := q.env(m, recipients[0])
		queue := expr.Text(expr.Choose(q.strategy["schedule"], env))
		route := expr.Text(expr.Choose(q.strategy["route"], env))
		q.Log.Info("Delivery attempt started", "delivery.attempt-start", q.fields(m, queue)...)
		q.Log.Info("New delivery attempt for domain", "delivery.domain-delivery-start", q.fields(m, queue, "domain", domain)...)
		if err != nil {
			q.Log.Emit("error", "Blob store error", "store.blob-read-error", q.fields(m, queue, "reason", err.Error())...)
			q.settle(m, queue, recipients, temporary("message body is not available: %v", err))
		} else {
			q.deliver(m, queue, q.routes[route], recipients, body)
		}
		q.Log.Info("Delivery attempt ended", "delivery.attempt-end", q.fields(m, queue, "elapsed", time.Since(started))...)
	}
	q.report(m, body)
}

func (q *Queue) deliver(m *Message, queue string, route map[string]any, recipients []*Recipient, body []byte) {
	switch route["@type"] {
	case "Local":
		for _, r := range recipients {
			q.settle(m, queue, []*Recipient{r}, q.deliverLocal(m, queue, r, body))
		}
	case "Relay":
		q.relay(m, queue, route, recipients, body)
	default:
		// An unknown route name is treated as direct delivery: this is what breaks
		// local mail when the store never got its `local` route.
		q.exchange(m, queue, route, recipients, body)
	}
}

func (q *Queue) deliverLocal(m *Message, queue string, r *Recipient, body []byte) error {
	accounts, outside, found := q.Directory.Expand(r.Address)
	if !found {
		return &failure{permanent: true, reason: "550 5.1.1 Mailbox does not exist."}
	}
	for _, account := range accounts {
		started := time.Now()
		message := append([]byte("Delivered-To: "+r.Address+"\r\n"), body...)
		if m.Source == "unauthenticated" {
			status := "X-Spam-Status: No\r\n"
			message = append([]byte("Delivered-To: "+r.Address+"\r\n"+status), body...)
		}
		quotas, _ := account.Value["quotas"].(map[string]any)
		quota, _ := quotas["maxDiskQuota"].(float64)
		wanted, err := q.Sieve.Run(account.ID, m.From, r.Address, message)
		if err != nil {
			q.Log.Info("Sieve runtime error", "sieve.runtime-error", q.fields(m, queue, "reason", err.Error())...)
		}
		outside = append(outside, wanted.Redirect...)
		msg, err := q.file(account.ID, wanted.Mailboxes, message, int64(quota))
		if errors.Is(err, mailstore.ErrQuota) {
			// The sender is told when the message expires: until then there may be room again.
			return temporary("Mailbox over quota.")
		}
		if err != nil {
			return temporary("message could not be stored: %v", err)
		}
		if q.OnTraffic != nil {
			q.OnTraffic(account.ID)
		}
		q.Log.Info("Message ingested", "message-ingest.ham", q.fields(m, queue, "accountId", number(account.ID), "documentId", msg.UID,
			"mailboxId", trace.Raw("[0]"), "blobId", msg.Blob, "changeId", msg.UID, "messageId", messageID(body), "size", m.Size, "elapsed", time.Since(started))...)
	}
	if len(outside) > 0 {
		forward := &Message{From: m.From, Source: m.Source, ReceivedFrom: m.ReceivedFrom, Port: m.Port}
		for _, address := range outside {
			forward.Recipients = append(forward.Recipients, &Recipient{Address: address})
		}
		if err := q.Add(forward, body); err != nil {
			return temporary("message could not be passed on: %v", err)
		}
	}
	q.Log.Info("DSN success notification", "delivery.dsn-success", q.fields(m, queue, "to", r.Address, "hostname", "localhost", "code", 250, "details", "OK")...)
	q.Log.Info("Delivery completed", "delivery.completed", q.fields(m, queue, "elapsed", trace.Raw("0ms"))...)
	return nil
}

// file puts a message into mailboxes; into the inbox where one does not exist.
func (q *Queue) file(account string, mailboxes []string, message []byte, quota int64) (mailstore.Message, error) {
	var last mailstore.Message
	for _, name := range mailboxes {
		_, stored, err := q.Mail.Append(account, name, message, nil, time.Now(), quota)
		if errors.Is(err, mailstore.ErrNoMailbox) {
			_, stored, err = q.Mail.Append(account, "INBOX", message, nil, time.Now(), quota)
		}
		if err != nil {
			return last, err
		}
		last = stored
	}
	return last, nil
}

// settle notes the outcome of an attempt for its recipients.
func (q *Queue) settle(m *Message, queue string, recipients []*Recipient, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range recipients {
		r.Attempts++
		r.Queue = queue
		if err == nil {
			r.Status, r.Last = "delivered", ""
			continue
		}
		var f *failure
		if !errors.As(err, &f) {
			f = temporary("%v", err)
		}
		r.Last, r.TLS, r.Kind, r.Host, r.Code = f.reason, f.tls, f.kind, f.host, f.code
		wait := retries[min(r.Attempts, len(retries))-1]
		if f.tls && r.Attempts == 1 {
			// The strategy answers a TLS failure with another TLS policy: no reason to wait.
			wait = 0
		}
		r.Next = time.Now().UTC().Add(wait)
		r.Status = "temporary"
		if f.permanent || r.Next.After(m.Created.Add(expiry)) {
			r.Status = "failed"
		}
		title, code := "SMTP RCPT TO rejected", "delivery.rcpt-to-rejected"
		if f.kind == "connectionError" {
			title, code = "Connection error", "delivery.connect-error"
		}
		q.Log.Info(title, code, q.fields(m, queue, "hostname", f.host, "to", r.Address, "reason", f.reason, "nextRetry", r.Next)...)
		if r.Status == "failed" {
			// Logged whether or not there is anybody to be told.
			q.Log.Info("DSN permanent failure notification", "delivery.dsn-perm-fail",
				q.fields(m, queue, "to", r.Address, "hostname", f.host, "details", f.reason, "total", r.Attempts)...)
		}
	}
}

// report sends a notification for recipients that failed for good.
func (q *Queue) report(m *Message, body []byte) {
	failed := slices.DeleteFunc(slices.Clone(m.Recipients), func(r *Recipient) bool { return r.Status != "failed" })
	if len(failed) == 0 || m.From == "" || slices.ContainsFunc(m.Recipients, pending) {
		return
	}
	dsn := &Message{Source: "dsn", Recipients: []*Recipient{{Address: m.From}}}
	if err := q.Add(dsn, q.notification(m, failed, body)); err != nil {
		q.Log.Emit("error", "Data store error", "store.data-write-error", "reason", err.Error())
	}
}
