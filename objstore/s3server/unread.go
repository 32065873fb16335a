package s3server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// drainBytes is how much of an unwanted body is read to keep a connection; it is net/http's too.
const drainBytes = 256 << 10

// unwanted is what is left of the body of a refused request.
type unwanted struct {
	body  *movingBody
	keeps bool // the connection, if all of it comes
}

// answerFirst has the answer to a refused request sent before the rest of its body is read, which net/http reads first: who
// announces a body and does not send it would hear nothing. It returns what is then to be drained; nil: all was read.
func (w *reply) answerFirst(r *http.Request) *unwanted {
	body, ok := r.Body.(*movingBody)
	if !ok || body.err == io.EOF || r.ProtoMajor != 1 || w.deadlines.EnableFullDuplex() != nil {
		return nil
	}
	left := r.ContentLength - w.received // negative of a length that is not told
	keeps := body.err == nil && left <= drainBytes && r.Header.Get("Expect") == ""
	if !keeps {
		w.Header().Set("Connection", "close")
	}
	return &unwanted{body, keeps}
}

// drain sends the answer and reads what is left of a body, so that the connection can be used again. If that is much, or is
// not sent in time, the connection is closed: what came later would be taken for a request.
func (w *reply) drain(ctx context.Context, rest *unwanted, l Limits) {
	if w.deadlines.Flush() == nil {
		if rest.keeps && w.comes(rest.body, l.DrainTime) {
			return
		}
		linger(ctx, l.LingerTime)
	}
	panic(http.ErrAbortHandler)
}

// comes reports whether all that is left of a body does.
func (w *reply) comes(body *movingBody, within time.Duration) bool {
	if w.deadlines.SetReadDeadline(time.Now().Add(within)) != nil {
		return false
	}
	if _, err := io.CopyN(io.Discard, body.ReadCloser, drainBytes+1); !errors.Is(err, io.EOF) {
		return false
	}
	_ = w.deadlines.SetReadDeadline(time.Time{}) // as after any body
	return true
}

// linger tells the client of a request that no more is answered, and gives it time to notice. A connection that is closed while
// somebody sends is reset, and a client that hears of that before it has read the answer may never do so.
func linger(ctx context.Context, within time.Duration) {
	conn, _ := ctx.Value(connKey{}).(net.Conn)
	half, ok := conn.(closeWriter)
	if ok && half.CloseWrite() == nil && conn.SetReadDeadline(time.Now().Add(within)) == nil {
		_, _ = io.Copy(io.Discard, conn)
	}
}
