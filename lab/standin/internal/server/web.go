package server

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/template"

	"tailwart.lab/standin/internal/jmap"
)

// web serves the documents that mail clients and servers look for, and the API.
func (s *Server) web(api http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", api)
	mux.HandleFunc("GET /.well-known/mta-sts.txt", func(w http.ResponseWriter, r *http.Request) {
		domain, ok := strings.CutPrefix(hostOf(r), "mta-sts.")
		if !ok || !s.dir.IsLocalDomain(domain) {
			jmap.NotFound(w)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("X-Stand-In", s.name())
		io.WriteString(w, s.zone.Policy())
	})
	mux.HandleFunc("GET /mail/config-v1.1.xml", s.autoconfig)
	mux.HandleFunc("GET /.well-known/autoconfig/mail/config-v1.1.xml", s.autoconfig)
	mux.HandleFunc("/autodiscover/autodiscover.xml", s.autodiscover)
	mux.HandleFunc("/Autodiscover/Autodiscover.xml", s.autodiscover)
	return mux
}

func hostOf(r *http.Request) string {
	host, _, _ := strings.Cut(r.Host, ":")
	return strings.ToLower(host)
}

var autoconfigTemplate = template.Must(template.New("").Parse(`<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1">
	<emailProvider id="{{.Domain}}">
		<domain>{{.Domain}}</domain>
		<displayName>{{.Address}}</displayName>
		<displayShortName>{{.Domain}}</displayShortName>
		<incomingServer type="imap">
			<hostname>{{.Host}}</hostname>
			<port>993</port>
			<socketType>SSL</socketType>
			<username>{{.Address}}</username>
			<authentication>password-cleartext</authentication>
		</incomingServer>
		<outgoingServer type="smtp">
			<hostname>{{.Host}}</hostname>
			<port>465</port>
			<socketType>SSL</socketType>
			<username>{{.Address}}</username>
			<authentication>password-cleartext</authentication>
		</outgoingServer>
	</emailProvider>
</clientConfig>
`))

var autodiscoverTemplate = template.Must(template.New("").Parse(`<?xml version="1.0" encoding="UTF-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006">
	<Response xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a">
		<User>
			<DisplayName>{{.Address}}</DisplayName>
			<AutoDiscoverSMTPAddress>{{.Address}}</AutoDiscoverSMTPAddress>
		</User>
		<Account>
			<AccountType>email</AccountType>
			<Action>settings</Action>
			<Protocol>
				<Type>IMAP</Type><Server>{{.Host}}</Server><Port>993</Port><LoginName>{{.Address}}</LoginName><SSL>on</SSL><AuthRequired>on</AuthRequired>
			</Protocol>
			<Protocol>
				<Type>SMTP</Type><Server>{{.Host}}</Server><Port>465</Port><LoginName>{{.Address}}</LoginName><SSL>on</SSL><AuthRequired>on</AuthRequired>
			</Protocol>
		</Account>
	</Response>
</Autodiscover>
`))

func (s *Server) clientSettings(w http.ResponseWriter, t *template.Template, address string) {
	_, domain, ok := strings.Cut(address, "@")
	if !ok || !s.dir.IsLocalDomain(domain) {
		jmap.NotFound(w)
		return
	}
	escape := func(text string) string {
		var b strings.Builder
		xml.EscapeText(&b, []byte(text))
		return b.String()
	}
	w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	w.Header().Set("X-Stand-In", s.name())
	t.Execute(w, map[string]string{"Domain": escape(domain), "Host": escape(s.hostname()), "Address": escape(address)})
}

func (s *Server) autoconfig(w http.ResponseWriter, r *http.Request) {
	address := r.URL.Query().Get("emailaddress")
	if address == "" {
		address = fmt.Sprintf("%%EMAILADDRESS%%@%s", strings.TrimPrefix(hostOf(r), "autoconfig."))
	}
	s.clientSettings(w, autoconfigTemplate, address)
}

func (s *Server) autodiscover(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Address string `xml:"Request>EMailAddress"`
	}
	if err := xml.NewDecoder(io.LimitReader(r.Body, 65536)).Decode(&request); err != nil {
		http.Error(w, "invalid autodiscover request", http.StatusBadRequest)
		return
	}
	s.clientSettings(w, autodiscoverTemplate, request.Address)
}
