// Package smtpd takes mail in, by SMTP and submission. The protocol is go-smtp's;
// this package has the server's rules, capabilities and words.
package smtpd

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"tailwart.lab/standin/internal/directory"
	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/network"
	"tailwart.lab/standin/internal/queue"
	"tailwart.lab/standin/internal/registry"
	"tailwart.lab/standin/internal/sign"
)

// Server is what all sessions share.
type Server struct {
	Options   network.Options
	Registry  *registry.Registry
	Directory *directory.Directory
	Queue     *queue.Queue
	Signer    *sign.Signer
	Hostname  func() string
	Rates     Rates
}

const (
	idleTimeout = 5 * time.Minute
	maxLine     = 1 << 20
	defaultSize = 104857600
)

// words are the engine's replies, by how they begin, and what the server says
// instead.
var words = []struct{ engine, server string }{
	{"250 2.0.0 Roger", "250 2.1.0 OK"},
	{"250 2.0.0 I'll make sure", "250 2.1.5 OK"},
	{"250 2.0.0 Session reset", "250 2.0.0 OK"},
	{"250 2.0.0 I have successfully", "250 2.0.0 OK"},
	{"250 2.0.0 Continue", "250 2.6.0 Chunk accepted."},
	{"354 ", "354 Start mail input; end with <CRLF>.<CRLF>"},
	{"235 ", "235 2.7.0 Authentication succeeded."},
	{"221 ", "221 2.0.0 Bye."},
	{"500 5.5.2 ", "500 5.5.1 Invalid command."},
	{"501 5.5.2 Bad command", "500 5.5.1 Invalid command."},
	{"501 5.5.2 Domain/address", "501 5.5.2 Syntax error, expected: EHLO domain"},
	{"501 5.5.2 Was expecting MAIL", "501 5.5.2 Syntax error, expected: MAIL FROM:<reverse-path> [parameters]"},
	{"501 5.5.2 Was expecting RCPT", "501 5.5.2 Syntax error, expected: RCPT TO:<forward-path> [parameters]"},
	{"502 5.5.1 Please introduce", "503 5.5.1 Polite people say EHLO first."},
	{"502 5.5.1 Missing MAIL", "503 5.5.1 MAIL is required first."},
	{"502 5.5.1 Missing RCPT", "503 5.5.1 RCPT is required first."},
	{"503 5.5.1 Already auth", "503 5.5.1 Already authenticated."},
	{"454 4.7.0 ", "500 5.5.6 Invalid challenge."},
}

// reply makes the error that the engine answers with these words.
func reply(text string) error {
	e := &smtp.SMTPError{Message: text[10:]}
	fmt.Sscanf(text, "%d %d.%d.%d", &e.Code, &e.EnhancedCode[0], &e.EnhancedCode[1], &e.EnhancedCode[2])
	return e
}

// session is one connection; it implements smtp.AuthSession.
type session struct {
	*Server
	conn    *network.Conn
	wire    *network.Wire
	engine  *smtp.Conn
	greeted bool
	inData  bool

	helo       string
	who        *directory.Identity
	authFailed int
	rcptFailed int
	// taken counts the messages of this connection.
	taken int

	mailFrom   *string
	recipients []string
	checks     *checks
}

// Serve runs a session.
func (s *Server) Serve(c *network.Conn) {
	x := &session{Server: s, conn: c}
	x.wire = network.NewWire(c, s.Options, x)
	x.wire.Run(func(l net.Listener) error {
		engine := smtp.NewServer(smtp.BackendFunc(x.begin))
		engine.MaxLineLength, engine.ReadTimeout, engine.WriteTimeout, engine.ErrorLog = maxLine, idleTimeout, time.Minute, x.wire
		// Which mechanisms need TLS is a setting: AuthMechanisms asks it.
		engine.AllowInsecureAuth, engine.EnableSMTPUTF8, engine.EnableBINARYMIME, engine.EnableREQUIRETLS = true, true, true, true
		return engine.Serve(l)
	})
}

// begin is called by the first EHLO or HELO.
func (x *session) begin(engine *smtp.Conn) (smtp.Session, error) {
	domain := engine.Hostname()
	if expr.Truth(x.stage("MtaStageEhlo", "rejectNonFqdn")) && !strings.Contains(domain, ".") && !strings.HasPrefix(domain, "[") {
		return nil, reply("550 5.5.0 Invalid EHLO domain.")
	}
	x.engine, x.who = engine, nil
	return x, nil
}

// Command implements network.Dialect.
func (x *session) Command(line string) bool {
	if words := strings.Fields(line); !x.inData && len(words) > 1 && strings.EqualFold(words[0], "BDAT") && len(x.recipients) > 0 {
		if size, err := strconv.ParseInt(words[1], 10, 64); err == nil {
			x.wire.Raw = size
		}
		return false
	}
	if x.mailFrom != nil || !strings.EqualFold(strings.TrimSpace(line), "STARTTLS") {
		return false
	}
	if x.conn.TLS {
		x.wire.Send("504 5.7.4 Already in TLS mode.")
	} else {
		x.wire.Upgrade("220 2.0.0 Ready to start TLS.")
	}
	return true
}

// Reply implements network.Dialect.
func (x *session) Reply(line string) string {
	x.inData = strings.HasPrefix(line, "354 ")
	switch {
	case strings.HasPrefix(line, "250-"):
		// The whole answer to EHLO stands in for its last line.
		return ""
	case strings.HasPrefix(line, "250 2.0.0 Hello "):
		return "250 " + x.hello() + " you had me at HELO"
	case strings.HasPrefix(line, "250 SIZE"):
		return x.capabilities(x.hello())
	case strings.HasPrefix(line, "220 "):
		if x.greeted {
			return ""
		}
		x.greeted = true
		return "220 " + expr.Text(x.stage("MtaStageConnect", "smtpGreeting"))
	}
	x.wire.Last = strings.HasPrefix(line, "421 ")
	for _, w := range words {
		if strings.HasPrefix(line, w.engine) {
			return w.server
		}
	}
	return line
}

func (x *session) hello() string {
	x.helo = x.engine.Hostname()
	x.Options.Log.Info("SMTP EHLO command", "smtp.ehlo", x.conn.Fields("domain", x.helo)...)
	return x.Hostname()
}

func (x *session) capabilities(host string) string {
	lines := []string{host + " you had me at EHLO"}
	if !x.conn.TLS {
		lines = append(lines, "STARTTLS")
	}
	lines = append(lines, "SMTPUTF8", "SIZE "+strconv.Itoa(x.maxSize()), "REQUIRETLS", "PIPELINING",
		"NO-SOLICITING", "ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME")
	if mechanisms := x.AuthMechanisms(); len(mechanisms) > 0 && x.who == nil {
		lines = append(lines, "AUTH "+strings.Join(mechanisms, " "))
	}
	return "250-" + strings.Join(lines, "\r\n250-") + "\r\n250 8BITMIME"
}

// stage evaluates a setting of one of the x:MtaStage… objects for this session.
func (x *session) stage(object, property string) any {
	return expr.Choose(x.Registry.Singleton(object)[property], x.env())
}

func (x *session) env() expr.Env {
	env := x.Queue.Functions()
	env["local_port"], env["is_tls"], env["listener"] = int(x.conn.Local.Port()), x.conn.TLS, x.conn.ListenerID
	env["remote_ip"], env["helo_domain"] = x.conn.Remote.Addr().String(), x.helo
	if x.who != nil {
		env["authenticated_as"] = x.who.Name
	}
	if x.mailFrom != nil {
		_, domain, _ := strings.Cut(*x.mailFrom, "@")
		env["sender"], env["sender_domain"] = *x.mailFrom, strings.ToLower(domain)
	}
	if n := len(x.recipients); n > 0 {
		env["rcpt"], env["rcpt_domain"] = x.recipients[n-1], strings.ToLower(x.recipients[n-1][strings.LastIndexByte(x.recipients[n-1], '@')+1:])
	}
	return env
}

// pause delays the answer to a failure, as the settings say.
func (x *session) pause(object string) {
	time.Sleep(min(time.Duration(x.limit(object, "waitOnFail", 0))*time.Millisecond, time.Minute))
}

func (x *session) limit(object, property string, fallback int) int {
	if n, ok := x.stage(object, property).(int); ok && n > 0 {
		return n
	}
	return fallback
}

func (x *session) maxSize() int { return x.limit("MtaStageData", "maxMessageSize", defaultSize) }
