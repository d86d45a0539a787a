package network

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// Dialect is what a protocol engine leaves no hook for: the commands that are
// answered before it, and the server's own words.
type Dialect interface {
	// Command is shown a line from the client; true says that it was answered.
	Command(line string) bool
	// Reply is shown a line from the engine, without its end, and returns what is
	// sent instead; nothing is sent for an empty one.
	Reply(line string) string
}

// maxReply bounds what is taken for a reply; longer writes are message bodies.
const maxReply = 4096

// Wire carries a connection to a protocol engine, line by line. It does STARTTLS
// itself: behind the engine's own, replies could no longer be worded.
type Wire struct {
	*Conn
	// Last closes the connection after the reply that is being written.
	Last bool
	// Raw counts the octets from the client that are no lines: a chunk of a
	// message need not end one.
	Raw int64

	options Options
	dialect Dialect
	reader  *bufio.Reader
	pending []byte
	secured bool
}

// NewWire puts a dialect on a connection.
func NewWire(c *Conn, o Options, d Dialect) *Wire {
	return &Wire{Conn: c, options: o, dialect: d, reader: bufio.NewReaderSize(c, 16384)}
}

// Run lets an engine serve the connection until it ends, from the start again
// after STARTTLS: the engine must forget what it was told in clear.
func (w *Wire) Run(serve func(net.Listener) error) {
	for {
		Serve(w, serve)
		if !w.secured {
			return
		}
		w.secured = false
		w.reader.Reset(w.Conn)
	}
}

// Upgrade answers a STARTTLS command and does the handshake.
func (w *Wire) Upgrade(reply string) {
	w.Send(reply)
	if w.secured = w.StartTLS(w.options); !w.secured {
		w.Conn.Close()
	}
}

// Send writes a line as it is.
func (w *Wire) Send(format string, args ...any) { fmt.Fprintf(w.Conn, format+"\r\n", args...) }

// Read implements net.Conn. It hands out one line at a time, or what is Raw.
func (w *Wire) Read(p []byte) (int, error) {
	for len(w.pending) == 0 {
		if w.Raw > 0 {
			n, err := w.reader.Read(p[:min(int64(len(p)), w.Raw)])
			w.Raw -= int64(n)
			return n, err
		}
		line, err := w.reader.ReadSlice('\n')
		if len(line) == 0 {
			return 0, err
		}
		if err == nil && w.dialect.Command(string(line)) {
			if w.secured {
				return 0, io.EOF
			}
			continue
		}
		w.pending = line
	}
	n := copy(p, w.pending)
	w.pending = w.pending[n:]
	return n, nil
}

// Write implements net.Conn.
func (w *Wire) Write(p []byte) (int, error) {
	out := p
	if len(p) < maxReply {
		if line, whole := strings.CutSuffix(string(p), "\r\n"); whole && !strings.Contains(line, "\n") {
			if line = w.dialect.Reply(line); line == "" {
				return len(p), nil
			}
			out = []byte(line + "\r\n")
		}
	}
	_, err := w.Conn.Write(out)
	if w.Last {
		w.Conn.Close()
	}
	return len(p), err
}

// Close implements net.Conn. STARTTLS ends the engine's run, not the connection.
func (w *Wire) Close() error {
	if w.secured {
		return nil
	}
	return w.Conn.Close()
}

// Printf logs what an engine could not handle; a peer that hangs up is no news.
func (w *Wire) Printf(format string, args ...any) {
	level := "debug"
	if strings.HasPrefix(format, "panic") {
		level = "error"
	}
	w.options.Log.Emit(level, "Connection error", "network.error", w.Fields("reason", fmt.Sprintf(format, args...))...)
}

// Println is Printf for engines that want it.
func (w *Wire) Println(args ...any) { w.Printf("%s", fmt.Sprint(args...)) }

// Serve lets a server that wants a listener serve one connection until its end.
func Serve(c net.Conn, serve func(net.Listener) error) {
	serve(&leg{Conn: c, done: make(chan struct{})})
}

// leg is a listener that accepts one connection and then waits for its end.
type leg struct {
	net.Conn
	accepted bool
	once     sync.Once
	done     chan struct{}
}

func (l *leg) Accept() (net.Conn, error) {
	if !l.accepted {
		l.accepted = true
		return l, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *leg) Addr() net.Addr { return l.LocalAddr() }

func (l *leg) Close() (err error) {
	l.once.Do(func() {
		err = l.Conn.Close()
		close(l.done)
	})
	return err
}
