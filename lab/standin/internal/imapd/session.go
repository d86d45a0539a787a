// Package imapd speaks IMAP4 as the server does: greeting, capabilities and
// completion texts are the recorded ones.
package imapd

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"tailwart.lab/standin/internal/directory"
	"tailwart.lab/standin/internal/ids"
	"tailwart.lab/standin/internal/mailstore"
	"tailwart.lab/standin/internal/network"
	"tailwart.lab/standin/internal/registry"
)

// Server is what all sessions share.
type Server struct {
	Options   network.Options
	Registry  *registry.Registry
	Directory *directory.Directory
	Mail      *mailstore.Mail
}

const (
	capsBefore = "IMAP4rev2 IMAP4rev1 ENABLE SASL-IR LITERAL+ ID UTF8=ACCEPT JMAPACCESS"
	capsLogin  = " AUTH=PLAIN AUTH=OAUTHBEARER AUTH=XOAUTH2"
	capsAfter  = " IDLE NAMESPACE CHILDREN MULTIAPPEND BINARY UNSELECT ACL UIDPLUS ESEARCH WITHIN SEARCHRES SORT THREAD=REFERENCES" +
		" LIST-EXTENDED LIST-STATUS ESORT SORT=DISPLAY SPECIAL-USE CREATE-SPECIAL-USE MOVE CONDSTORE QRESYNC UNAUTHENTICATE" +
		" STATUS=SIZE OBJECTID PREVIEW RIGHTS=texk QUOTA QUOTA=RES-STORAGE"
	anonymousTimeout = time.Minute
	idleTimeout      = 30 * time.Minute
)

var (
	errLogout = errors.New("session is over")
	errBad    = errors.New("bad arguments")
)

type session struct {
	*Server
	conn   *network.Conn
	out    *bufio.Writer
	parser *parser
	who    *directory.Identity
	failed int

	box      *mailstore.Mailbox
	readOnly bool
	view     []mailstore.Message
}

// Serve runs a session.
func (s *Server) Serve(c *network.Conn) {
	x := &session{Server: s}
	x.use(c)
	defer func() { x.conn.Close() }()
	x.line("* OK [CAPABILITY %s] Stalwart IMAP4rev2 at your service.", x.capabilities())
	for {
		x.out.Flush()
		timeout := anonymousTimeout
		if x.who != nil {
			timeout = idleTimeout
		}
		x.conn.SetDeadline(time.Now().Add(timeout))
		tag, name, args, err := x.parser.command()
		switch {
		case errors.Is(err, errSyntax):
			if tag == "" {
				tag = "*"
			}
			x.line("%s BAD Expected a command.", tag)
			continue
		case err != nil:
			return
		}
		if err := x.run(tag, name, args); err != nil {
			x.out.Flush()
			return
		}
	}
}

func (x *session) use(c *network.Conn) {
	x.conn = c
	x.out = bufio.NewWriterSize(c, 16384)
	x.parser = &parser{bufio.NewReaderSize(c, 16384), func() {
		x.line("+ Ready for literal data.")
		x.out.Flush()
	}}
}

func (x *session) line(format string, args ...any) { fmt.Fprintf(x.out, format+"\r\n", args...) }

func (x *session) ok(tag, text string) error {
	x.line("%s OK %s", tag, text)
	return nil
}

func (x *session) no(tag, text string) error {
	x.line("%s NO %s", tag, text)
	return nil
}

func (x *session) capabilities() string {
	caps := capsBefore
	if x.who != nil {
		return caps + capsAfter
	}
	caps += capsLogin
	if !x.conn.TLS {
		caps += " STARTTLS"
	}
	return caps
}

type command struct {
	run func(x *session, tag string, args []arg, uid bool) error
	// auth and selected are the states a command needs.
	auth, selected bool
}

var commands map[string]command

func init() {
	commands = map[string]command{
		"LIST": {(*session).list, true, false}, "LSUB": {(*session).list, true, false}, "SELECT": {(*session).selectBox, true, false},
		"EXAMINE": {(*session).selectBox, true, false}, "STATUS": {(*session).status, true, false}, "CREATE": {(*session).create, true, false},
		"DELETE": {(*session).remove, true, false}, "RENAME": {(*session).rename, true, false}, "SUBSCRIBE": {(*session).subscribe, true, false},
		"UNSUBSCRIBE": {(*session).subscribe, true, false}, "APPEND": {(*session).append, true, false}, "NAMESPACE": {(*session).namespace, true, false},
		"IDLE": {(*session).idle, true, false}, "GETQUOTAROOT": {(*session).quota, true, false}, "GETQUOTA": {(*session).quota, true, false},
		"FETCH": {(*session).fetch, true, true}, "STORE": {(*session).store, true, true}, "SEARCH": {(*session).search, true, true},
		"COPY": {(*session).copy, true, true}, "MOVE": {(*session).copy, true, true}, "EXPUNGE": {(*session).expunge, true, true},
		"CLOSE": {(*session).close, true, true}, "UNSELECT": {(*session).close, true, true}, "CHECK": {(*session).noop, true, true},
	}
}

func (x *session) run(tag, name string, args []arg) error {
	switch name {
	case "CAPABILITY":
		x.line("* CAPABILITY %s", x.capabilities())
		return x.ok(tag, "CAPABILITY completed")
	case "NOOP":
		return x.noop(tag, nil, false)
	case "ID":
		x.line(`* ID ("name" "Stalwart" "version" "0.16.7" "vendor" "stand-in for Stalwart Labs LLC")`)
		return x.ok(tag, "ID completed")
	case "ENABLE":
		return x.enable(tag, args)
	case "STARTTLS":
		return x.startTLS(tag)
	case "LOGIN":
		return x.login(tag, args)
	case "AUTHENTICATE":
		return x.authenticate(tag, args)
	case "LOGOUT":
		x.line("* BYE Stalwart IMAP4rev2 bids you farewell.")
		x.ok(tag, "LOGOUT completed")
		return errLogout
	}
	uid := false
	if name == "UID" && len(args) > 0 {
		uid, name, args = true, strings.ToUpper(args[0].text), args[1:]
	}
	c, known := commands[name]
	switch {
	case !known:
		x.line("%s BAD Unknown command %q.", tag, name)
		return nil
	case c.auth && x.who == nil:
		return x.no(tag, "Not authenticated.")
	case c.selected && x.box == nil:
		return x.no(tag, "No mailbox selected.")
	}
	// LSUB, EXAMINE and the like share a function with their sibling.
	err := c.run(x, tag, append([]arg{{text: name}}, args...), uid)
	if errors.Is(err, errBad) || errors.Is(err, errSyntax) {
		x.line("%s BAD Invalid arguments for %s.", tag, name)
		return nil
	}
	if err != nil && !errors.Is(err, errLogout) && !errors.Is(err, io.EOF) {
		return x.no(tag, failureText(err))
	}
	return err
}

func failureText(err error) string {
	switch {
	case errors.Is(err, mailstore.ErrNoMailbox):
		return "[NONEXISTENT] Mailbox does not exist."
	case errors.Is(err, mailstore.ErrExists):
		return "[ALREADYEXISTS] Mailbox already exists."
	case errors.Is(err, mailstore.ErrProtected):
		return "[NOPERM] You are not allowed to change this mailbox."
	case errors.Is(err, mailstore.ErrQuota):
		return "[OVERQUOTA] Quota exceeded."
	}
	return "[CONTACTADMIN] Internal server error, please try again later."
}

func (x *session) startTLS(tag string) error {
	if x.conn.TLS {
		return x.no(tag, "Already in TLS mode.")
	}
	x.ok(tag, "Begin TLS negotiation now")
	x.out.Flush()
	if !x.conn.StartTLS(x.Options) {
		return errLogout
	}
	x.use(x.conn)
	return nil
}

func (x *session) enable(tag string, args []arg) error {
	var names []string
	for _, a := range args {
		names = append(names, strings.ToUpper(a.text))
	}
	x.line("* ENABLED %s", strings.Join(names, " "))
	return x.ok(tag, "ENABLE completed")
}

func (x *session) login(tag string, args []arg) error {
	if !x.conn.TLS && x.Registry.Singleton("Imap")["allowPlainTextAuth"] != true {
		return x.no(tag, "LOGIN is disabled on the clear-text port.")
	}
	if len(args) != 2 {
		x.line("%s BAD Invalid arguments for LOGIN.", tag)
		return nil
	}
	return x.check(tag, args[0].text, args[1].text)
}

func (x *session) authenticate(tag string, args []arg) error {
	if len(args) == 0 {
		x.line("%s BAD Missing authentication mechanism.", tag)
		return nil
	}
	if !x.conn.TLS && x.Registry.Singleton("Imap")["allowPlainTextAuth"] != true {
		return x.no(tag, "AUTHENTICATE is disabled on the clear-text port.")
	}
	if !strings.EqualFold(args[0].text, "PLAIN") {
		return x.no(tag, "[CANNOT] Authentication mechanism not supported.")
	}
	initial := ""
	if len(args) > 1 {
		initial = args[1].text
	} else {
		x.line("+ ")
		x.out.Flush()
		line, err := x.parser.reader.ReadString('\n')
		if err != nil {
			return err
		}
		initial = strings.TrimRight(line, "\r\n")
	}
	raw, err := base64.StdEncoding.DecodeString(initial)
	parts := strings.Split(string(raw), "\x00")
	if err != nil || len(parts) != 3 {
		x.line("%s BAD Invalid challenge.", tag)
		return nil
	}
	return x.check(tag, parts[1], parts[2])
}

func (x *session) check(tag, name, secret string) error {
	if x.who != nil {
		x.line("%s BAD Already authenticated.", tag)
		return nil
	}
	who, valid := x.Directory.Login(name, secret, x.conn.Remote.Addr())
	if !valid || who.ID == directory.RecoveryID {
		x.failed++
		x.Options.Log.Info("Authentication failed", "auth.failed", x.conn.Fields("accountName", name)...)
		x.no(tag, "[AUTHENTICATIONFAILED] Authentication failed")
		if limit, _ := x.Registry.Singleton("Imap")["maxAuthFailures"].(float64); x.failed >= int(limit) {
			x.line("* BYE Too many authentication requests from this connection.")
			return errLogout
		}
		return nil
	}
	x.who = who
	account, _ := ids.Decode(who.ID)
	x.Options.Log.Info("Authentication successful", "auth.success", x.conn.Fields("accountName", who.Name, "accountId", account)...)
	return x.ok(tag, fmt.Sprintf("[CAPABILITY %s] Authentication successful", x.capabilities()))
}
