// Package network opens the listeners that are stored as objects, reads PROXY
// headers from trusted peers and hands connections to the protocols.
package network

import (
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"

	"tailwart.lab/standin/internal/schema"
	"tailwart.lab/standin/internal/trace"
)

// headerTimeout is how long a trusted peer may stay silent. Until then it gets
// no greeting: the server waits for its PROXY header.
const headerTimeout = 60 * time.Second

// Conn is an accepted connection with what the protocols need to know of it.
type Conn struct {
	net.Conn
	// Remote is the client: the PROXY header's address when there was one.
	Remote     netip.AddrPort
	Local      netip.AddrPort
	ListenerID string
	TLS        bool
	// settings are the listener's own, where it has any.
	settings *tls.Config
}

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.Remote) }

// Fields are the log fields that start every line about a connection.
func (c *Conn) Fields(more ...any) []any {
	return append([]any{"listenerId", c.ListenerID, "localPort", c.Local.Port(), "remoteIp", c.Remote.Addr(), "remotePort", c.Remote.Port()}, more...)
}

// Handler serves one connection of a protocol.
type Handler func(c *Conn)

// Options are what all listeners share.
type Options struct {
	Log *trace.Log
	TLS *tls.Config
	// Trusted are the networks of the global setting; a listener's own replace them.
	Trusted  map[string]any
	Banned   func(netip.Addr) bool
	Handlers map[string]Handler
}

// Listener is an open listener.
type Listener struct {
	options  Options
	name     string
	handler  Handler
	implicit bool
	trusted  []netip.Prefix
	settings *tls.Config
	socket   net.Listener
}

// Set is all open listeners of the process. They are opened once: no setting
// that is written later opens, closes or re-configures one.
type Set struct {
	mu        sync.Mutex
	listeners []*Listener
}

func prefixes(networks any) []netip.Prefix {
	m, _ := networks.(map[string]any)
	var out []netip.Prefix
	for text := range m {
		if p, ok := schema.ParseNetwork(text); ok {
			out = append(out, p)
		}
	}
	return out
}

// Open binds an x:NetworkListener and serves it. A failure is logged and does
// not keep the other listeners from opening.
func (s *Set) Open(value map[string]any, o Options) {
	name, _ := value["name"].(string)
	protocol, _ := value["protocol"].(string)
	trusted := prefixes(value["overrideProxyTrustedNetworks"])
	if len(trusted) == 0 {
		trusted = prefixes(o.Trusted)
	}
	binds, _ := value["bind"].(map[string]any)
	for bind := range binds {
		socket, err := listen(bind)
		at, _ := netip.ParseAddrPort(bind)
		implicit := value["tlsImplicit"] == true
		fields := []any{"listenerId", name, "localIp", trace.Raw(at.Addr().String()), "localPort", at.Port()}
		if err != nil {
			o.Log.Emit("error", "Network listener error", "network.bind-error", append(fields, "reason", err.Error())...)
			continue
		}
		l := &Listener{options: o, name: name, handler: o.Handlers[protocol], implicit: implicit, trusted: trusted,
			settings: versionsOf(value, o.TLS), socket: socket}
		s.mu.Lock()
		s.listeners = append(s.listeners, l)
		s.mu.Unlock()
		o.Log.Info("Network listener started", "network.listen-start", append(fields, "tls", implicit)...)
		go l.serve()
	}
}

// versionsOf are the listener's own TLS settings: which versions it leaves out.
// Go chooses the ciphers of TLS 1.3 itself, so those are not left out here.
func versionsOf(value map[string]any, common *tls.Config) *tls.Config {
	disabled, _ := value["tlsDisableProtocols"].(map[string]any)
	if len(disabled) == 0 || common == nil {
		return nil
	}
	own := common.Clone()
	if disabled["tls12"] == true {
		own.MinVersion = tls.VersionTLS13
	}
	if disabled["tls13"] == true {
		own.MaxVersion = tls.VersionTLS12
	}
	return own
}

// listen binds an address; [::] takes IPv4 too. A host without IPv6 gets the
// IPv4 part instead of nothing.
func listen(bind string) (net.Listener, error) {
	at, err := netip.ParseAddrPort(bind)
	if err != nil {
		return nil, err
	}
	socket, err := net.Listen("tcp", bind)
	if err != nil && at.Addr() == netip.IPv6Unspecified() {
		if v4, v4Err := net.Listen("tcp4", netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port()).String()); v4Err == nil {
			return v4, nil
		}
	}
	return socket, err
}

// Close stops accepting.
func (s *Set) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		l.socket.Close()
	}
}

func (l *Listener) serve() {
	for {
		raw, err := l.socket.Accept()
		if err != nil {
			return
		}
		go l.accept(raw)
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
	}
	return netip.AddrPort{}
}

func (l *Listener) accept(raw net.Conn) {
	c := &Conn{Conn: raw, Remote: addrPort(raw.RemoteAddr()), Local: addrPort(raw.LocalAddr()), ListenerID: l.name, settings: l.settings}
	if slices.ContainsFunc(l.trusted, func(p netip.Prefix) bool { return p.Contains(c.Remote.Addr()) }) {
		fronted := proxyproto.NewConn(raw, proxyproto.WithPolicy(proxyproto.REQUIRE), proxyproto.SetReadHeaderTimeout(headerTimeout))
		// Waits for the header.
		if fronted.ProxyHeader() == nil {
			l.options.Log.Emit("error", "PROXY protocol error", "network.proxy-error", c.Fields("reason", "no valid header")...)
			raw.Close()
			return
		}
		c.Conn = fronted
		if client := addrPort(fronted.RemoteAddr()); client.IsValid() {
			c.Remote = client
		}
	}
	if l.options.Banned(c.Remote.Addr()) {
		l.options.Log.Info("Dropped connection from blocked IP address", "security.ip-blocked", c.Fields()...)
		raw.Close()
		return
	}
	if l.implicit && !c.StartTLS(l.options) {
		raw.Close()
		return
	}
	if l.handler == nil {
		// Protocols that the stand-in does not speak (POP3, ManageSieve) keep their port busy.
		c.Close()
		return
	}
	l.handler(c)
}

var versions = map[uint16]string{tls.VersionTLS12: "TLSv1_2", tls.VersionTLS13: "TLSv1_3"}

var suites = map[uint16]string{
	tls.TLS_AES_128_GCM_SHA256: "TLS13_AES_128_GCM_SHA256", tls.TLS_AES_256_GCM_SHA384: "TLS13_AES_256_GCM_SHA384",
	tls.TLS_CHACHA20_POLY1305_SHA256: "TLS13_CHACHA20_POLY1305_SHA256",
}

// TLSNames are the version and cipher of a handshake as the server spells them.
func TLSNames(state tls.ConnectionState) (version, suite string) {
	suite = suites[state.CipherSuite]
	if suite == "" {
		suite = tls.CipherSuiteName(state.CipherSuite)
	}
	return versions[state.Version], suite
}

// StartTLS does the server's side of a handshake on the connection.
func (c *Conn) StartTLS(o Options) bool {
	settings := o.TLS
	if c.settings != nil {
		settings = c.settings
	}
	secure := tls.Server(c.Conn, settings)
	secure.SetDeadline(time.Now().Add(time.Minute))
	if err := secure.Handshake(); err != nil {
		o.Log.Info("TLS handshake error", "tls.handshake-error", c.Fields("reason", err.Error())...)
		return false
	}
	secure.SetDeadline(time.Time{})
	version, suite := TLSNames(secure.ConnectionState())
	o.Log.Info("TLS handshake", "tls.handshake", c.Fields("listenerId", c.ListenerID, "version", version, "details", suite)...)
	c.Conn, c.TLS = secure, true
	return true
}
