package remote

import (
	"context"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// steadyBytes is how much a server takes, at least, in the time that requests wait for it.
const steadyBytes = 64 << 10

// steadyConn is a connection to a server that must not stall while it is sent something: then what is sent fails as timed out.
type steadyConn struct {
	net.Conn
	patience time.Duration
}

// dialSteady makes them.
func dialSteady(dial func(context.Context) (net.Conn, error), patience time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: patience}
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		if dial != nil {
			conn, err = dial(ctx)
		} else {
			conn, err = dialer.DialContext(ctx, network, address)
		}
		if err != nil {
			return nil, err
		}
		return steadyConn{conn, patience}, nil
	}
}

// Write implements [net.Conn].
func (c steadyConn) Write(p []byte) (n int, err error) {
	for first := true; first || n < len(p); first = false {
		if err := c.SetWriteDeadline(time.Now().Add(c.patience)); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(p[n:min(n+steadyBytes, len(p))])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// steadyBody is the body of an answer that must not stall while it is read: then the attempt it is of ends. One goroutine reads it.
type steadyBody struct {
	io.ReadCloser
	patience time.Duration // 0: it may
	timer    *time.Timer   // runs during Read
	stalled  atomic.Bool
}

// steady makes one; end ends the attempt.
func steady(body io.ReadCloser, patience time.Duration, end func()) *steadyBody {
	b := &steadyBody{ReadCloser: body, patience: patience}
	b.timer = time.AfterFunc(patience, func() {
		b.stalled.Store(true)
		end()
	})
	b.timer.Stop()
	return b
}

// Read implements [io.Reader].
func (b *steadyBody) Read(p []byte) (int, error) {
	if b.patience > 0 {
		b.timer.Reset(b.patience)
		defer b.timer.Stop()
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && b.stalled.Load() {
		err = &net.OpError{Op: "read", Net: "body", Err: os.ErrDeadlineExceeded}
	}
	return n, err
}

// Close implements [io.Closer].
func (b *steadyBody) Close() error {
	b.timer.Stop()
	return b.ReadCloser.Close()
}
