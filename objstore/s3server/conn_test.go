package s3server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// counting counts how often its connections are written to.
type counting struct {
	net.Listener
	writes atomic.Int64
}

type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (l *counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countingConn{c, &l.writes}, err
}

func (c countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func TestSmallObjectsAreSentInOnePiece(t *testing.T) {
	b := serve(t, s3server.Options{})
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, h, served := &counting{Listener: tcp}, b.handler.HTTP(nil), make(chan error, 1)
	go func() { served <- h.Serve(b.handler.Listener(l)) }()
	t.Cleanup(func() {
		if err := errors.Join(h.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	conn := dialTo(t, tcp.Addr().String())
	answers := bufio.NewReader(conn)
	for _, size := range []int{1, 2048, 4096, 5000, 64 << 10, 64<<10 + 1, 300 << 10} {
		want := strings.Repeat("0123456789", size/10+1)[:size]
		b.must("PUT", "/box/k", want)
		before := l.writes.Load()
		fmt.Fprint(conn, "GET /box/k HTTP/1.1\r\nHost: x\r\n\r\n") // on one connection: what was held back is forgotten
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || string(got) != want || resp.ContentLength != int64(size) {
			t.Errorf("%d bytes: %d came, %v", size, len(got), err)
		}
		if n := l.writes.Load() - before; (n == 1) != (size <= 64<<10) {
			t.Errorf("%d bytes took %d writes", size, n)
		}
	}
}
