// Package jmap serves the settings API: JMAP requests with the x: methods, the
// session, health and metrics.
package jmap

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"tailwart.lab/standin/internal/directory"
	"tailwart.lab/standin/internal/registry"
	"tailwart.lab/standin/internal/sieve"
)

// Limits of one request, as the session announces them.
const (
	maxRequest = 10000000
	maxCalls   = 16
	maxObjects = 500
)

//go:embed session.json
var sessionTemplate string

// Backend is what the API needs from the rest of the server.
type Backend interface {
	// ZoneFile is the recommended zone of a domain.
	ZoneFile(domain registry.Object) string
	// UsedQuota is the size of an account's mail in bytes.
	UsedQuota(accountID string) int64
	// Act runs an x:Action.
	Act(name string) *registry.Error
	// Metrics is the Prometheus page with 200, or 404 when it is switched off, or
	// 401 when it has a login of its own and the request has another.
	Metrics(r *http.Request) (page string, status int)
	// Queue lists the messages that wait, as x:QueuedMessage objects.
	Queue() []registry.Object
	// Unqueue drops one of them.
	Unqueue(id string) bool
	// Retry says when one of them is tried next.
	Retry(id string, when time.Time) bool
}

// Server answers HTTP requests for the API.
type Server struct {
	Registry  *registry.Registry
	Directory *directory.Directory
	Backend   Backend
	// Sieve holds people's scripts.
	Sieve *sieve.Scripts
	blobs uploads
	// State is the session state; it changes with every start.
	State string
	// StandIn is the value of the X-Stand-In header.
	StandIn string
	// Schema is the description of all objects, as it is served.
	Schema Description
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Stand-In", s.StandIn)
	for name, value := range s.extraHeaders() {
		w.Header().Set(name, value)
	}
	switch path := strings.TrimSuffix(r.URL.Path, "/"); {
	case path == "/healthz/live" || path == "/healthz/ready":
		// Ready means that a store is configured; it is no ping of the database.
		problem(w, http.StatusOK, "OK", "OK")
	case path == "/jmap/session" || path == "/.well-known/jmap":
		s.session(w, r)
	case path == "/jmap" && r.Method == http.MethodPost:
		s.api(w, r)
	case path == "/api/schema" || strings.HasPrefix(path, "/api/schema/"):
		s.describe(w, r, strings.TrimPrefix(path, "/api/schema"))
	case path == "" && s.root() != "":
		http.Redirect(w, r, s.root(), http.StatusFound)
	case path == "/metrics/prometheus":
		page, status := s.Backend.Metrics(r)
		switch status {
		case http.StatusOK:
		case http.StatusUnauthorized:
			Unauthorized(w)
			return
		default:
			NotFound(w)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		io.WriteString(w, page)
	default:
		NotFound(w)
	}
}

// root is the page that the server's address leads to; empty for none.
func (s *Server) root() string {
	if !s.Registry.Schema.Does("root-is-redirected") {
		return ""
	}
	return str(s.Registry.Singleton("Http")["redirectRoot"])
}

func (s *Server) extraHeaders() map[string]string {
	out := map[string]string{}
	headers, _ := s.Registry.Singleton("Http")["responseHeaders"].(map[string]any)
	for name, value := range headers {
		out[name], _ = value.(string)
	}
	return out
}

func writeJSON(w http.ResponseWriter, kind string, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	w.Write(raw)
}

func problem(w http.ResponseWriter, status int, title, detail string) {
	writeJSON(w, "application/problem+json", status, map[string]any{"type": "about:blank", "status": status, "title": title, "detail": detail})
}

// NotFound answers 404 with the server's problem document.
func NotFound(w http.ResponseWriter) {
	problem(w, http.StatusNotFound, "Not Found", "The requested resource does not exist on this server.")
}

// RemoteAddr is the client's address; behind a PROXY header, the header's.
func RemoteAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// Authenticate finds who sends a request, or answers 401, 403 or, at the failure that bans, 429.
func (s *Server) Authenticate(w http.ResponseWriter, r *http.Request) *directory.Identity {
	who, err := (*directory.Identity)(nil), directory.ErrRefused
	if name, secret, ok := r.BasicAuth(); ok {
		who, err = s.Directory.Login(strings.ToLower(strings.TrimSpace(name)), secret, RemoteAddr(r))
	} else if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		who, err = s.Directory.Bearer(token, RemoteAddr(r))
	}
	switch err {
	case nil:
		return who
	case directory.ErrForbidden:
		problem(w, http.StatusForbidden, "Forbidden", "You do not have enough permissions to access this resource.")
	case directory.ErrBanned:
		problem(w, http.StatusTooManyRequests, "Too Many Authentication Attempts", "Your request has been rate limited. Please try again in a few minutes.")
	default:
		Unauthorized(w)
	}
	return nil
}

// Unauthorized answers 401 with the server's problem document.
func Unauthorized(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="Stalwart Server", Basic realm="Stalwart Server"`)
	problem(w, http.StatusUnauthorized, "Unauthorized", "You have to authenticate first.")
}

// Status answers a request that the settings refuse, or a banned address.
func Status(w http.ResponseWriter, status int) {
	if status == http.StatusNotFound {
		NotFound(w)
		return
	}
	problem(w, status, http.StatusText(status), http.StatusText(status))
}

// sessionTemplate is the session as the version has it.
func (s *Server) sessionTemplate() string {
	if s.Registry.Schema.Does("session-emailpush") {
		return sessionTemplate
	}
	var lines []string
	for line := range strings.SplitSeq(sessionTemplate, "\n") {
		if !strings.Contains(line, ":emailpush\"") {
			lines = append(lines, strings.Replace(line, "9999-12-31", "65534-12-31", 1))
		}
	}
	return strings.Join(lines, "\n")
}

func (s *Server) session(w http.ResponseWriter, r *http.Request) {
	who := s.Authenticate(w, r)
	if who == nil {
		return
	}
	name, _ := json.Marshal(who.Name)
	body := strings.NewReplacer("ACCOUNT", who.ID, `"USERNAME"`, string(name), "STATE", s.State).Replace(s.sessionTemplate())
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, body)
}

type request struct {
	Using       []string            `json:"using"`
	MethodCalls [][]json.RawMessage `json:"methodCalls"`
	CreatedIDs  map[string]string   `json:"createdIds"`
}

func (s *Server) api(w http.ResponseWriter, r *http.Request) {
	who := s.Authenticate(w, r)
	if who == nil {
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		limit(w, "maxSizeRequest", "The request is larger than the server is willing to process.")
		return
	}
	var req request
	if err := json.Unmarshal(raw, &req); err != nil || req.MethodCalls == nil {
		writeJSON(w, "application/problem+json", http.StatusBadRequest, map[string]any{
			"type": "urn:ietf:params:jmap:error:notRequest", "status": 400, "detail": string(raw)})
		return
	}
	if len(req.MethodCalls) > maxCalls {
		limit(w, "maxCallsInRequest", "The request contains more method calls than the server is willing to process.")
		return
	}
	c := &context{server: s, who: who, created: req.CreatedIDs}
	if c.created == nil {
		c.created = map[string]string{}
	}
	for _, call := range req.MethodCalls {
		c.run(call)
	}
	writeJSON(w, "application/json", http.StatusOK, map[string]any{"methodResponses": c.responses, "sessionState": s.State})
}

func limit(w http.ResponseWriter, name, detail string) {
	writeJSON(w, "application/problem+json", http.StatusBadRequest, map[string]any{
		"type": "urn:ietf:params:jmap:error:limit", "status": 400, "detail": detail, "limit": name})
}

func methodError(kind, format string, args ...any) map[string]any {
	return map[string]any{"type": kind, "description": fmt.Sprintf(format, args...)}
}
