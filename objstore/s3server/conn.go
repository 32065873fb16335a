package s3server

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// boundedConn is a connection that takes a place of a [boundedListener]. It can hold back what is written, so that
// net/http, whose buffer is smaller than most answers, sends head and body by one system call.
type boundedConn struct {
	net.Conn
	release func()
	pieces  *pieces

	// Of the goroutine that answers.
	held *[]byte // what is held back; nil: nothing is
}

// pieces are buffers for what is held back.
type pieces struct{ pool sync.Pool }

func (p *pieces) get() *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, 8<<10)
	return &b
}

// inOnePiece sends what f writes after f returned. The first error is the one that counts.
func (c *boundedConn) inOnePiece(f func() error) (err error) {
	c.held = c.pieces.get()
	defer func() {
		held := c.held
		c.held = nil
		if len(*held) > 0 {
			_, writeErr := c.Conn.Write(*held)
			err = errors.Join(err, writeErr)
		}
		*held = (*held)[:0]
		c.pieces.pool.Put(held)
	}()
	return f()
}

// Write sends p, or holds it back.
func (c *boundedConn) Write(p []byte) (int, error) {
	if c.held != nil {
		*c.held = append(*c.held, p...)
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// ReadFrom is there for net/http, which leaves files to the kernel if the connection can.
func (c *boundedConn) ReadFrom(r io.Reader) (int64, error) {
	if c.held != nil {
		return io.Copy(onlyWriter{c}, r)
	}
	return io.Copy(c.Conn, r)
}

// Close gives the place back.
func (c *boundedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// closeWriter is a connection that can say that nothing more is written to it, and be read on.
type closeWriter interface{ CloseWrite() error }

// CloseWrite does that, if the connection can. It is there for net/http too.
func (c *boundedConn) CloseWrite() error {
	if half, ok := c.Conn.(closeWriter); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// connKey is where the context of a request has its connection.
type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// connOf is the connection of a request, or nil if it can hold nothing back: with TLS, or a listener that is not ours.
func connOf(ctx context.Context) *boundedConn {
	c, _ := ctx.Value(connKey{}).(*boundedConn)
	return c
}
