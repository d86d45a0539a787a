package network

import (
	"io"
	"net"
)

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
