// Package smtpd speaks SMTP and submission as the server does: the replies are
// the recorded ones, word by word.
package smtpd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

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
}

const (
	idleTimeout = 5 * time.Minute
	maxLine     = 2048
	defaultSize = 104857600
)

var errQuit = errors.New("session is over")

// session is one connection.
type session struct {
	*Server
	conn   *network.Conn
	reader *bufio.Reader

	helo       string
	extended   bool
	who        *directory.Identity
	authFailed int
	rcptFailed int

	mailFrom   *string
	recipients []string
	bdat       []byte
	checks     *checks
}

// Serve runs a session.
func (s *Server) Serve(c *network.Conn) {
	x := &session{Server: s, conn: c, reader: bufio.NewReaderSize(c, 4096)}
	defer func() { x.conn.Close() }()
	x.reply("220 " + expr.Text(x.stage("MtaStageConnect", "smtpGreeting")))
	for {
		x.conn.SetReadDeadline(time.Now().Add(idleTimeout))
		line, err := x.line()
		if err != nil {
			return
		}
		if err := x.command(line); err != nil {
			return
		}
	}
}

func (x *session) line() (string, error) {
	var line []byte
	for {
		part, err := x.reader.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			return strings.TrimRight(string(line), "\r\n"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
		if len(line) > maxLine*8 {
			x.reply("500 5.5.2 Line too long.")
			return "", io.ErrShortBuffer
		}
	}
}

func (x *session) reply(text string) {
	x.conn.SetWriteDeadline(time.Now().Add(time.Minute))
	io.WriteString(x.conn, text+"\r\n")
}

// stage evaluates a setting of one of the x:MtaStage… objects for this session.
func (x *session) stage(object, property string) any {
	return expr.Choose(x.Registry.Singleton(object)[property], x.env())
}

func (x *session) env() expr.Env {
	return expr.Env{
		Variable: func(name string) any {
			switch name {
			case "local_port":
				return float64(x.conn.Local.Port())
			case "is_tls":
				return x.conn.TLS
			case "listener":
				return x.conn.ListenerID
			case "remote_ip":
				return x.conn.Remote.Addr().String()
			case "helo_domain":
				return x.helo
			case "authenticated_as":
				if x.who != nil {
					return x.who.Name
				}
			case "sender":
				if x.mailFrom != nil {
					return *x.mailFrom
				}
			case "sender_domain":
				if x.mailFrom != nil {
					_, domain, _ := strings.Cut(*x.mailFrom, "@")
					return strings.ToLower(domain)
				}
			case "recipients":
				out := make([]any, len(x.recipients))
				for i, r := range x.recipients {
					out[i] = r
				}
				return out
			}
			return ""
		},
		Function: x.Queue.Function,
	}
}

// pause delays the answer to a failure, as the settings say.
func (x *session) pause(object string) {
	if ms, ok := x.stage(object, "waitOnFail").(float64); ok && ms > 0 {
		time.Sleep(min(time.Duration(ms)*time.Millisecond, time.Minute))
	}
}

func (x *session) limit(object, property string, fallback int) int {
	if n, ok := x.stage(object, property).(float64); ok && n > 0 {
		return int(n)
	}
	return fallback
}

func (x *session) command(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "LHLO":
		x.hello(rest, true)
	case "HELO":
		x.hello(rest, false)
	case "STARTTLS":
		return x.startTLS()
	case "AUTH":
		return x.auth(rest)
	case "MAIL":
		x.mail(rest)
	case "RCPT":
		return x.rcpt(rest)
	case "DATA":
		return x.data()
	case "BDAT":
		return x.chunk(rest)
	case "RSET":
		x.reset()
		x.reply("250 2.0.0 OK")
	case "NOOP":
		x.reply("250 2.0.0 OK")
	case "VRFY":
		x.reply("252 2.5.1 VRFY is disabled.")
	case "EXPN":
		x.reply("252 2.5.1 EXPN is disabled.")
	case "HELP":
		x.reply("250 2.0.0 Help can be found at https://stalw.art")
	case "QUIT":
		x.reply("221 2.0.0 Bye.")
		return errQuit
	default:
		x.reply("500 5.5.1 Invalid command.")
	}
	return nil
}

func (x *session) reset() {
	x.mailFrom, x.recipients, x.bdat, x.checks = nil, nil, nil, nil
}

func (x *session) hello(domain string, extended bool) {
	domain = strings.TrimSpace(domain)
	if domain == "" || (expr.Truth(x.stage("MtaStageEhlo", "rejectNonFqdn")) && !strings.Contains(domain, ".") && !strings.HasPrefix(domain, "[")) {
		x.reply("550 5.5.0 Invalid EHLO domain.")
		return
	}
	x.reset()
	x.helo, x.extended = domain, extended
	x.Options.Log.Info("SMTP EHLO command", "smtp.ehlo", x.conn.Fields("domain", domain)...)
	host := x.Hostname()
	if !extended {
		x.reply("250 " + host + " you had me at HELO")
		return
	}
	lines := []string{host + " you had me at EHLO"}
	if !x.conn.TLS {
		lines = append(lines, "STARTTLS")
	}
	lines = append(lines, "SMTPUTF8", "SIZE "+strconv.Itoa(x.limit("MtaStageData", "maxMessageSize", defaultSize)), "REQUIRETLS", "PIPELINING",
		"NO-SOLICITING", "ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME")
	if mechanisms := x.mechanisms(); len(mechanisms) > 0 && x.who == nil {
		lines = append(lines, "AUTH "+strings.Join(mechanisms, " "))
	}
	lines = append(lines, "8BITMIME")
	for i, l := range lines {
		separator := "-"
		if i == len(lines)-1 {
			separator = " "
		}
		lines[i] = "250" + separator + l
	}
	x.reply(strings.Join(lines, "\r\n"))
}

func (x *session) startTLS() error {
	if x.conn.TLS {
		x.reply("504 5.7.4 Already in TLS mode.")
		return nil
	}
	x.reply("220 2.0.0 Ready to start TLS.")
	if !x.conn.StartTLS(x.Options) {
		return errQuit
	}
	// Whatever came in clear after STARTTLS is not to be believed.
	x.reader = bufio.NewReaderSize(x.conn, 4096)
	x.reset()
	x.helo, x.who = "", nil
	return nil
}

// path reads <address> and the parameters after it.
func path(text, keyword string) (address string, params map[string]string, err error) {
	if len(text) < len(keyword) || !strings.EqualFold(text[:len(keyword)], keyword) {
		return "", nil, errors.New("missing keyword")
	}
	text = strings.TrimSpace(text[len(keyword):])
	open, end := strings.IndexByte(text, '<'), strings.IndexByte(text, '>')
	if open != 0 || end < 0 {
		return "", nil, errors.New("missing angle brackets")
	}
	params = map[string]string{}
	for word := range strings.FieldsSeq(text[end+1:]) {
		name, value, _ := strings.Cut(word, "=")
		params[strings.ToUpper(name)] = value
	}
	address = text[1:end]
	// Source routes are obsolete and ignored (RFC 5321, appendix C).
	if at := strings.IndexByte(address, ':'); strings.HasPrefix(address, "@") && at > 0 {
		address = address[at+1:]
	}
	if address != "" && (strings.Count(address, "@") < 1 || strings.ContainsAny(address, " \t")) {
		return "", nil, fmt.Errorf("malformed address %q", address)
	}
	return address, params, nil
}
