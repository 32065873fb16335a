package s3server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// errStalled is what reading a body ends with when the client sends nothing for too long.
var errStalled = errors.New("the client sent nothing for too long")

// reply is what is answered: it counts, and cuts off a client that does not read.
type reply struct {
	http.ResponseWriter
	deadlines *http.ResponseController
	stall     time.Duration
	before    func()    // what is done before the answer begins; nil: nothing
	expected  time.Time // when the client was given its time
	status    int
	sent      int64 // bytes of the body
	received  int64 // bytes of the request's body
}

func newReply(w http.ResponseWriter, l Limits) *reply {
	rw := &reply{ResponseWriter: w, deadlines: http.NewResponseController(w), stall: l.StallTime}
	rw.expectReader()
	return rw
}

// expectReader gives the client its time to take what comes next. A connection keeps the deadline of
// the request before, so each sets its own; but not for every few bytes. Writers of tests have none.
func (w *reply) expectReader() {
	const part = 64
	now := time.Now()
	if now.Sub(w.expected) >= w.stall/part {
		w.expected = now
		_ = w.deadlines.SetWriteDeadline(now.Add(w.stall))
	}
}

// Unwrap is for [http.ResponseController].
func (w *reply) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *reply) begun() bool { return w.status != 0 }

// WriteHeader implements [http.ResponseWriter].
func (w *reply) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		if w.before != nil {
			w.before()
		}
		w.expectReader()
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write sends p within the time a client may take for it.
func (w *reply) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.expectReader()
	n, err := w.ResponseWriter.Write(p)
	w.sent += int64(n)
	return n, err
}

// sendFile sends length bytes of a stream that is a [syscall.Conn], which net/http leaves to the kernel if
// it can. A client has as much time for as many bytes as with Write: if that is over, and it took them, it has it again.
func (w *reply) sendFile(stream io.Reader, length int64) error {
	for length > 0 {
		w.expectReader()
		n, err := io.Copy(w.ResponseWriter, io.LimitReader(stream, length))
		w.sent += n
		length -= n
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && n >= copyBytes:
		case err != nil:
			return err
		case n == 0:
			return io.ErrUnexpectedEOF // the file is shorter than it was
		}
	}
	return nil
}

// send writes a document. A client that is gone cannot be told.
func (w *reply) send(p []byte) { _, _ = w.Write(p) }

// limitBody is the request with a body that must not stall: not while it is read, and not when nobody
// reads it, for net/http may read what is left of it before it answers. That looks at the
// body of its own request, which is left alone.
func (w *reply) limitBody(r *http.Request) *http.Request {
	if r.Body == nil || r.Body == http.NoBody {
		return r
	}
	b := &movingBody{ReadCloser: r.Body, w: w}
	b.expectWriter()
	own := r.WithContext(r.Context())
	own.Body = b
	return own
}

type movingBody struct {
	io.ReadCloser
	w   *reply
	err error // io.EOF or what it failed with, and nothing more comes of it
}

func (b *movingBody) expectWriter() { _ = b.w.deadlines.SetReadDeadline(time.Now().Add(b.w.stall)) }

// Read waits for the next bytes no longer than the client may stall. After the last the connection
// has all the time the handler needs: a deadline that passes then would end the request.
func (b *movingBody) Read(p []byte) (int, error) {
	b.expectWriter()
	n, err := b.ReadCloser.Read(p)
	b.w.received += int64(n)
	switch {
	case err == io.EOF:
		_ = b.w.deadlines.SetReadDeadline(time.Time{})
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errStalled
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err) // of HTTP/2, or of chunks that are none: net/http has no names for it
	}
	b.err = err
	return n, err
}

// copyBytes is the size of the buffers objects are sent through.
const copyBytes = 256 << 10

// buffers are reused: a client that reads slowly holds one, and nothing else.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { return new([copyBytes]byte) }}}
}

// copy sends src to w.
func (b *buffers) copy(w io.Writer, src io.Reader) error {
	buf := b.pool.Get().(*[copyBytes]byte)
	defer b.pool.Put(buf)
	_, err := io.CopyBuffer(onlyWriter{w}, onlyReader{src}, buf[:])
	return err
}

// onlyWriter and onlyReader hide ReadFrom and WriteTo, which would bring buffers of their own.
type onlyWriter struct{ io.Writer }
type onlyReader struct{ io.Reader }
