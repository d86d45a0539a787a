// Package imapd serves the mailboxes over IMAP. The protocol is go-imap's; this
// package has the server's logins, capabilities and words.
package imapd

import (
	"errors"
	"net"
	"regexp"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

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
	capsBefore = "IMAP4rev2 IMAP4rev1 ENABLE SASL-IR LITERAL+ ID UTF8=ACCEPT"
	capsJMAP   = " JMAPACCESS"
	capsLogin  = " AUTH=PLAIN AUTH=OAUTHBEARER AUTH=XOAUTH2"
	capsAfter  = " IDLE NAMESPACE CHILDREN MULTIAPPEND BINARY UNSELECT ACL UIDPLUS ESEARCH WITHIN SEARCHRES SORT THREAD=REFERENCES" +
		" LIST-EXTENDED LIST-STATUS ESORT SORT=DISPLAY SPECIAL-USE CREATE-SPECIAL-USE MOVE CONDSTORE QRESYNC UNAUTHENTICATE" +
		" STATUS=SIZE OBJECTID PREVIEW RIGHTS=texk QUOTA QUOTA=RES-STORAGE"
	capsLimits = " UIDONLY UIDBATCHES MESSAGELIMIT=1000000 SAVELIMIT=1000000"
	ready      = "IMAP server ready"
)

// words are the engine's texts and what the server says instead. The flags of a
// mailbox are told in the server's order, which is not the engine's.
var words = strings.NewReplacer(ready, "Stalwart IMAP4rev2 at your service.", "Logging out", "Stalwart IMAP4rev2 bids you farewell.",
	"PLAIN authentication successful", "Authentication successful", "Logged in", "Authentication successful",
	"Predicted next UID", "Next predicted UID", `"/" INBOX`, `"/" "INBOX"`,
	"* 0 RECENT", `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft)`+"\r\n* 0 RECENT\r\n"+
		`* OK [PERMANENTFLAGS (\Deleted \Seen \Answered \Flagged \Draft \*)] All allowed`)

var capabilityList = regexp.MustCompile(`^(\S+ OK \[|\* )CAPABILITY [^]]*`)

// session is one connection; it implements imapserver.SessionIMAP4rev2.
type session struct {
	*Server
	wire    *network.Wire
	greeted bool
	// raw says that lines from the client continue a command.
	raw bool
	// fetching says that lines to the client may be parts of messages.
	fetching bool
	who      *directory.Identity
	failed   int

	box      *mailstore.Mailbox
	readOnly bool
	view     []mailstore.Message
}

// Serve runs a session.
func (s *Server) Serve(c *network.Conn) {
	x := &session{Server: s}
	x.wire = network.NewWire(c, s.Options, x)
	x.wire.Run(func(l net.Listener) error {
		return imapserver.New(&imapserver.Options{
			NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) { return x, nil, nil },
			// Whether a login needs TLS is a setting: Login asks it.
			InsecureAuth: true,
			Caps:         imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}, imap.CapLiteralPlus: {}},
			Logger:       x.wire,
		}).Serve(l)
	})
}

// Command implements network.Dialect.
func (x *session) Command(line string) bool {
	if x.raw {
		return false
	}
	parts := strings.Fields(line)
	if len(parts) < 2 {
		x.wire.Send("* BAD Expected a command.")
		return true
	}
	switch tag := parts[0]; strings.ToUpper(parts[1]) {
	case "ID":
		x.wire.Send(`* ID ("name" "Stalwart" "version" "` + x.Registry.Schema.Version.String() + `" "vendor" "stand-in for Stalwart Labs LLC")` + "\r\n" + tag + " OK ID completed")
		return true
	case "STARTTLS":
		if x.wire.TLS {
			x.wire.Send("%s NO Already in TLS mode.", tag)
		} else {
			x.wire.Upgrade(tag + " OK Begin TLS negotiation now")
		}
		return true
	}
	x.raw = strings.HasSuffix(parts[len(parts)-1], "}")
	return false
}

// Reply implements network.Dialect.
func (x *session) Reply(line string) string {
	if x.fetching {
		return line
	}
	x.raw = strings.HasPrefix(line, "+ ") || (x.raw && strings.HasPrefix(line, "* "))
	if strings.HasSuffix(line, ready) {
		if x.greeted {
			return ""
		}
		x.greeted = true
	}
	line = words.Replace(capabilityList.ReplaceAllString(line, "${1}CAPABILITY "+x.capabilities()))
	switch {
	case strings.HasPrefix(line, "* FLAGS ()"), strings.HasPrefix(line, "* OK [PERMANENTFLAGS ()"):
		return ""
	case strings.Contains(line, " NO [AUTHENTICATIONFAILED]"):
		if limit, _ := x.Registry.Singleton("Imap")["maxAuthFailures"].(float64); x.failed > int(limit) {
			x.wire.Last = true
			line = "* NO [AUTHENTICATIONFAILED] Too many authentication attempts"
		}
	case strings.HasPrefix(line, "* OK [UIDNEXT ") && !x.Registry.Schema.Does("imap-objectid-plus"):
		line += "\r\n* OK [MAILBOXID (" + mailboxID(x.box) + ")] Unique Mailbox ID"
	}
	return line
}

func (x *session) capabilities() string {
	if x.who != nil {
		caps := capsBefore + capsJMAP + capsAfter
		if x.Registry.Schema.Does("imap-objectid-plus") {
			caps = strings.Replace(caps, " OBJECTID ", " OBJECTID+ ", 1)
		}
		if x.Registry.Schema.Does("imap-limits") {
			caps += capsLimits
		}
		return caps
	}
	caps := capsBefore
	if x.Registry.Schema.Does("imap-jmapaccess-before-login") {
		caps += capsJMAP
	}
	if x.wire.TLS {
		return caps + capsLogin
	}
	return caps + capsLogin + " STARTTLS"
}

// mailboxID is the OBJECTID of a mailbox: the letter i and the numbers of
// account and mailbox.
func mailboxID(box *mailstore.Mailbox) string {
	id := ids.Encode(uint64(box.ID))
	return "i" + strings.Repeat("a", max(0, 6-len(id))) + id
}

func refuse(code imap.ResponseCode, text string) error {
	return &imap.Error{Type: imap.StatusResponseTypeNo, Code: code, Text: text}
}

// Login implements imapserver.Session.
func (x *session) Login(name, secret string) error {
	if !x.wire.TLS && x.Registry.Singleton("Imap")["allowPlainTextAuth"] != true {
		return refuse("", "LOGIN is disabled on the clear-text port.")
	}
	who, err := x.Directory.Login(name, secret, x.wire.Remote.Addr())
	if err == directory.ErrBanned {
		x.Options.Log.Info("Banned due to authentication errors", "security.authentication-ban", x.wire.Fields("accountName", name)...)
	}
	if err != nil || who.ID == directory.RecoveryID {
		x.failed++
		x.Options.Log.Info("Authentication failed", "auth.failed", x.wire.Fields("accountName", name)...)
		return imapserver.ErrAuthFailed
	}
	x.who = who
	account, _ := ids.Decode(who.ID)
	x.Options.Log.Info("Authentication successful", "auth.success", x.wire.Fields("accountName", who.Name, "accountId", account)...)
	return nil
}

// failure words what went wrong with a mailbox.
func failure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mailstore.ErrNoMailbox):
		return refuse(imap.ResponseCodeNonExistent, "Mailbox does not exist.")
	case errors.Is(err, mailstore.ErrQuota):
		return refuse(imap.ResponseCodeOverQuota, "Quota exceeded.")
	}
	return refuse(imap.ResponseCodeContactAdmin, "Internal server error, please try again later.")
}

// Close implements imapserver.Session.
func (x *session) Close() error { return x.Unselect() }

var errFixed = refuse(imap.ResponseCodeCannot, "The mailboxes of this stand-in are fixed.")

// Create implements imapserver.Session.
func (*session) Create(string, *imap.CreateOptions) error { return errFixed }

// Delete implements imapserver.Session.
func (*session) Delete(string) error { return errFixed }

// Rename implements imapserver.Session.
func (*session) Rename(string, string, *imap.RenameOptions) error { return errFixed }

// Subscribe implements imapserver.Session.
func (*session) Subscribe(string) error { return nil }

// Unsubscribe implements imapserver.Session.
func (*session) Unsubscribe(string) error { return errFixed }
