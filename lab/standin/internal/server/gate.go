package server

import (
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"tailwart.lab/standin/internal/expr"
	"tailwart.lab/standin/internal/jmap"
	"tailwart.lab/standin/internal/network"
)

// useHTTP takes x:Http from the settings.
func (s *Server) useHTTP() {
	settings := s.reg.Singleton("Http")
	s.http.Store(&settings)
}

// serveHTTP serves one connection of a listener of protocol http.
func (s *Server) serveHTTP(c *network.Conn) {
	web := &http.Server{Handler: s.gate(c), ReadHeaderTimeout: time.Minute, IdleTimeout: 5 * time.Minute}
	network.Serve(c, web.Serve)
}

// gate refuses banned addresses, and what the endpoint rule of x:Http refuses on this listener. The loopback always
// passes the rule, on every listener, and so does everybody in recovery mode.
func (s *Server) gate(c *network.Conn) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Stand-In", s.name())
		settings := *s.http.Load()
		remote := c.Remote.Addr()
		if settings["useXForwarded"] == true {
			remote = forwarded(r, remote)
		}
		r.RemoteAddr = netip.AddrPortFrom(remote, c.Remote.Port()).String()
		if s.dir.Banned(remote) {
			s.log.Info("Blocked IP address", "security.ip-blocked", c.Fields("remoteIp", remote)...)
			jmap.Status(w, http.StatusForbidden)
			return
		}
		if status := s.allowed(settings, c, remote, r); status != http.StatusOK && !s.recovery && !remote.IsLoopback() {
			jmap.Status(w, status)
			return
		}
		s.mux.ServeHTTP(w, r)
	})
}

func (s *Server) allowed(settings map[string]any, c *network.Conn, remote netip.Addr, r *http.Request) int {
	headers := []any{"host: " + r.Host}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[name] {
			headers = append(headers, strings.ToLower(name)+": "+value)
		}
	}
	protocol := "http"
	if c.TLS {
		protocol = "https"
	}
	answer := expr.Choose(settings["allowedEndpoints"], expr.Env{
		"listener": c.ListenerID, "path": r.URL.EscapedPath(), "method": r.Method, "remote_ip": remote.String(),
		"local_port": int(c.Local.Port()), "is_tls": c.TLS, "protocol": protocol, "headers": headers, "url": r.RequestURI,
	})
	status, err := strconv.Atoi(expr.Text(answer))
	if err != nil {
		return http.StatusOK
	}
	return status
}

// forwarded is the client that the request's headers name. The server believes them of everybody, and takes the
// first address of each.
func forwarded(r *http.Request, remote netip.Addr) netip.Addr {
	if _, rest, ok := strings.Cut(strings.ToLower(r.Header.Get("Forwarded")), "for="); ok {
		rest = strings.TrimLeft(rest, `"[ `)
		end := strings.IndexFunc(rest, func(c rune) bool { return !strings.ContainsRune("0123456789abcdef:.", c) })
		if end >= 0 {
			rest = rest[:end]
		}
		if a, err := netip.ParseAddr(rest); err == nil {
			return a.Unmap()
		}
	}
	first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ",")
	if a, err := netip.ParseAddr(strings.TrimSpace(first)); err == nil {
		return a.Unmap()
	}
	return remote
}
