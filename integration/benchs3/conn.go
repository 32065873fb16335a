package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

const (
	readBufferBytes = 256 << 10
	// replyTime is how long a server may take for one request.
	replyTime = 10 * time.Minute // the largest uploads, side by side, on a slow disk
)

// request is the bytes of one request, made and signed before it is timed, and its good answer.
type request struct {
	head   []byte
	body   [][]byte // pieces, which requests may share
	bare   bool     // the answer has no body, whatever its headers say
	status int
}

// conn is a connection that is kept alive, for one worker. It knows as much of HTTP as it takes
// to find the end of an answer, so that the client costs little beside the server.
type conn struct {
	net net.Conn
	r   *bufio.Reader
}

func dial(ctx context.Context, addr string) (*conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return newConn(c), nil
}

func newConn(c net.Conn) *conn { return &conn{c, bufio.NewReaderSize(c, readBufferBytes)} }

func (c *conn) close() error { return c.net.Close() }

// do sends a request and reads the answer to its end.
func (c *conn) do(q *request) (answer, error) {
	if err := c.net.SetDeadline(time.Now().Add(replyTime)); err != nil {
		return answer{}, err
	}
	parts := append(net.Buffers{q.head}, q.body...)
	if _, err := parts.WriteTo(c.net); err != nil {
		return answer{}, fmt.Errorf("send: %w", err)
	}
	a, err := c.answer()
	if err != nil {
		return a, fmt.Errorf("answer: %w", err)
	}
	if a.status != q.status {
		text, _ := c.r.Peek(min(c.r.Buffered(), 512)) // as much as came along
		return a, fmt.Errorf("status %d, not %d: %s", a.status, q.status, bytes.TrimSpace(text))
	}
	if q.bare || a.status == 204 {
		return a, nil
	}
	return a, c.skip(a)
}

// answer is what the head of an answer says.
type answer struct {
	status  int
	etag    string
	length  int // -1: unknown
	chunked bool
}

func (c *conn) answer() (a answer, err error) {
	line, err := c.line()
	if err != nil {
		return a, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return a, fmt.Errorf("%q is no status", line)
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return a, fmt.Errorf("%q is no status", line)
	}
	a.length = -1
	for {
		if line, err = c.line(); err != nil || len(line) == 0 {
			return a, err
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if a.length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return a, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			a.chunked = true
		case bytes.EqualFold(name, []byte("ETag")):
			a.etag = string(bytes.TrimSpace(value))
		}
	}
}

// line is the next line without its end, valid until the next read.
func (c *conn) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

func (c *conn) skip(a answer) error {
	if !a.chunked {
		if a.length < 0 {
			return errors.New("an answer without length")
		}
		_, err := c.r.Discard(a.length)
		return err
	}
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(line), 16, 64)
		if err != nil {
			return err
		}
		if _, err := c.r.Discard(int(n) + len("\r\n")); err != nil || n == 0 {
			return err
		}
	}
}
