package smtpd

import (
	"slices"
	"strings"

	"github.com/emersion/go-sasl"

	"tailwart.lab/standin/internal/directory"
	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/ids"
)

// AuthMechanisms implements smtp.AuthSession: what the settings offer on this
// connection, in the order in which the server names them.
func (x *session) AuthMechanisms() []string {
	list, _ := x.stage("MtaStageAuth", "saslMechanisms").([]any)
	var out []string
	for _, name := range []string{"plain", "login", "xoauth2", "oauthbearer"} {
		if slices.ContainsFunc(list, func(v any) bool { return expr.Text(v) == name }) {
			out = append(out, strings.ToUpper(name))
		}
	}
	return out
}

// Auth implements smtp.AuthSession.
func (x *session) Auth(mechanism string) (sasl.Server, error) {
	offered := x.AuthMechanisms()
	switch {
	case len(offered) == 0:
		x.Options.Log.Info("Authentication not allowed", "smtp.auth-not-allowed", x.conn.Fields()...)
		return nil, reply("503 5.5.1 AUTH not allowed.")
	case x.mailFrom != nil:
		return nil, reply("503 5.5.1 AUTH not allowed during a mail transaction.")
	case !slices.Contains(offered, mechanism):
		return nil, reply("554 5.7.8 Authentication mechanism not supported.")
	}
	switch mechanism {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, name, secret string) error { return x.login(name, secret) }), nil
	case "LOGIN":
		return &loginServer{login: x.login}, nil
	}
	// No OAuth server runs here: no token can be valid. The exchange is one message.
	return sasl.NewAnonymousServer(func(string) error { return x.refused() }), nil
}

// loginServer is the server's side of LOGIN, which the library has no more.
type loginServer struct {
	name  *string
	login func(name, secret string) error
}

// Next implements sasl.Server.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	text := string(response)
	switch {
	case response == nil:
		return []byte("Username:"), false, nil
	case l.name == nil:
		l.name = &text
		return []byte("Password:"), false, nil
	}
	return nil, true, l.login(*l.name, text)
}

func (x *session) refused() error {
	x.authFailed++
	x.Options.Log.Info("Authentication failed", "auth.failed", x.conn.Fields()...)
	x.pause("MtaStageAuth")
	if x.authFailed >= x.limit("MtaStageAuth", "maxFailures", 3) {
		return reply("421 4.3.0 Too many authentication errors, disconnecting.")
	}
	return reply("535 5.7.8 Authentication credentials invalid.")
}

func (x *session) login(name, secret string) error {
	who, err := x.Directory.Login(name, secret, x.conn.Remote.Addr())
	if err == directory.ErrBanned {
		x.Options.Log.Info("Banned due to authentication errors", "security.authentication-ban", x.conn.Fields("accountName", name)...)
	}
	if err != nil || who.ID == directory.RecoveryID {
		return x.refused()
	}
	x.who = who
	account, _ := ids.Decode(who.ID)
	x.Options.Log.Info("Authentication successful", "auth.success", x.conn.Fields("accountName", who.Name, "accountId", account)...)
	return nil
}
