package network

import (
	"bufio"
	"io"
	"net"
	"time"

	"github.com/pires/go-proxyproto"
)

// buffered reads first what came with the PROXY header's packet.
type buffered struct {
	net.Conn
	reader *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.reader.Read(p) }

// readProxyHeader takes the client's address from a PROXY header, which a
// trusted peer must send before anything else.
func (c *Conn) readProxyHeader(timeout time.Duration) error {
	c.SetReadDeadline(time.Now().Add(timeout))
	reader := bufio.NewReader(c.Conn)
	header, err := proxyproto.Read(reader)
	if err != nil {
		return err
	}
	c.SetReadDeadline(time.Time{})
	c.Conn = buffered{c.Conn, reader}
	if header.Command.IsProxy() {
		if source := addrPort(header.SourceAddr); source.IsValid() {
			c.Remote = source
		}
	}
	return nil
}

// Accepted is a net.Listener made of connections that are handed to it, so that
// the standard HTTP server can serve what the listeners accepted.
type Accepted struct {
	conns chan net.Conn
	done  chan struct{}
}

// NewAccepted makes an empty one.
func NewAccepted() *Accepted {
	return &Accepted{conns: make(chan net.Conn), done: make(chan struct{})}
}

// Hand gives a connection to whoever accepts.
func (a *Accepted) Hand(c *Conn) {
	select {
	case a.conns <- c:
	case <-a.done:
		c.Close()
	}
}

// Accept implements net.Listener.
func (a *Accepted) Accept() (net.Conn, error) {
	select {
	case c := <-a.conns:
		return c, nil
	case <-a.done:
		return nil, io.EOF
	}
}

// Close implements net.Listener.
func (a *Accepted) Close() error {
	close(a.done)
	return nil
}

// Addr implements net.Listener.
func (a *Accepted) Addr() net.Addr { return &net.TCPAddr{} }
