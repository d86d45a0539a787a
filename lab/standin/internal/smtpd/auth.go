package smtpd

import (
	"encoding/base64"
	"slices"
	"strings"

	"tailwart.lab/standin/internal/directory"
	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/ids"
)

// mechanisms are the SASL mechanisms the settings offer on this connection, in
// the order in which the server names them.
func (x *session) mechanisms() []string {
	list, _ := x.stage("MtaStageAuth", "saslMechanisms").([]any)
	var out []string
	for _, name := range []string{"plain", "login", "xoauth2", "oauthbearer"} {
		if slices.ContainsFunc(list, func(v any) bool { return expr.Text(v) == name }) {
			out = append(out, strings.ToUpper(name))
		}
	}
	return out
}

func (x *session) auth(rest string) error {
	offered := x.mechanisms()
	mechanism, initial, hasInitial := strings.Cut(rest, " ")
	mechanism = strings.ToUpper(mechanism)
	switch {
	case len(offered) == 0:
		x.Options.Log.Info("Authentication not allowed", "smtp.auth-not-allowed", x.conn.Fields()...)
		x.reply("503 5.5.1 AUTH not allowed.")
		return nil
	case x.who != nil:
		x.reply("503 5.5.1 Already authenticated.")
		return nil
	case x.mailFrom != nil:
		x.reply("503 5.5.1 AUTH not allowed during a mail transaction.")
		return nil
	case !slices.Contains(offered, mechanism):
		x.reply("554 5.7.8 Authentication mechanism not supported.")
		return nil
	}
	ask := func(challenge string) (string, bool) {
		x.reply("334 " + base64.StdEncoding.EncodeToString([]byte(challenge)))
		line, err := x.line()
		if err != nil || line == "*" {
			return "", false
		}
		raw, err := base64.StdEncoding.DecodeString(line)
		return string(raw), err == nil
	}
	var name, secret string
	ok := true
	switch mechanism {
	case "PLAIN":
		var raw []byte
		var err error
		text := ""
		if hasInitial && initial != "" {
			raw, err = base64.StdEncoding.DecodeString(initial)
			text, ok = string(raw), err == nil
		} else {
			text, ok = ask("")
		}
		parts := strings.Split(text, "\x00")
		if ok = ok && len(parts) == 3; ok {
			name, secret = parts[1], parts[2]
		}
	case "LOGIN":
		if hasInitial && initial != "" {
			raw, err := base64.StdEncoding.DecodeString(initial)
			name, ok = string(raw), err == nil
		} else {
			name, ok = ask("Username:")
		}
		if ok {
			secret, ok = ask("Password:")
		}
	default:
		// No OAuth server runs here: no token can be valid.
		if !hasInitial {
			_, ok = ask("")
		}
		if ok {
			return x.authFailure()
		}
	}
	if !ok {
		x.reply("500 5.5.6 Invalid challenge.")
		return nil
	}
	who, valid := x.Directory.Login(name, secret, x.conn.Remote.Addr())
	if !valid || who.ID == directory.RecoveryID {
		return x.authFailure()
	}
	x.who = who
	account, _ := ids.Decode(who.ID)
	x.Options.Log.Info("Authentication successful", "auth.success", x.conn.Fields("accountName", who.Name, "accountId", account)...)
	x.reply("235 2.7.0 Authentication succeeded.")
	return nil
}

func (x *session) authFailure() error {
	x.authFailed++
	x.Options.Log.Info("Authentication failed", "auth.failed", x.conn.Fields()...)
	x.pause("MtaStageAuth")
	if x.authFailed >= x.limit("MtaStageAuth", "maxFailures", 3) {
		x.reply("421 4.3.0 Too many authentication errors, disconnecting.")
		return errQuit
	}
	x.reply("535 5.7.8 Authentication credentials invalid.")
	return nil
}
