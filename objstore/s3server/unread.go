package s3server

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// drainBytes is how much of an unwanted body is read to keep a connection; it is net/http's too.
const drainBytes = 256 << 10

// answerFirst has the answer to a refused request sent before the rest of its body is read, which net/http reads first: who
// announces a body and does not send it would hear nothing. It returns the body that is then to be drained; nil: none is, because all was read,
// or because net/http closes the connection without reading: where too much is left, or nobody says how much, where the client was not told to go on, or
// where the body has failed.
func (w *reply) answerFirst(r *http.Request) *movingBody {
	body, ok := r.Body.(*movingBody)
	left := r.ContentLength - w.received // negative of a length that is not told, which may be too much
	if !ok || body.ended || r.ProtoMajor != 1 || r.Header.Get("Expect") != "" || left < 0 || left > drainBytes {
		return nil
	}
	if w.deadlines.EnableFullDuplex() != nil {
		return nil
	}
	return body
}

// drain sends the answer and reads what is left of a body, so that the connection can be used again. If that is much, or is
// not sent in time, the connection is closed: what came later would be taken for a request.
func (w *reply) drain(body *movingBody, within time.Duration) {
	err := w.deadlines.Flush()
	if err == nil {
		err = w.deadlines.SetReadDeadline(time.Now().Add(within))
	}
	if err == nil {
		var n int64
		n, err = io.CopyN(io.Discard, body.ReadCloser, drainBytes+1)
		w.received += n
	}
	if !errors.Is(err, io.EOF) {
		panic(http.ErrAbortHandler)
	}
	_ = w.deadlines.SetReadDeadline(time.Time{}) // as after any body
}
