package s3store

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// PatienceDefault is how long a store may take to begin an answer to a read, to send more of it, and to take more of
// what is written.
const PatienceDefault = 30 * time.Second

// changePatience is how many times as long it may take for what changes something in one step. For copies and completions of uploads
// it may take any time: they are as slow as objects are large.
const changePatience = 4

// steady ends requests of a store that stalls, as if the connection had broken.
type steady struct {
	client   s3.HTTPClient
	patience time.Duration
}

// Do implements [s3.HTTPClient].
func (c steady) Do(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	w := &watch{patience: c.patience, cancel: cancel}
	w.timer = time.AfterFunc(c.patience, w.stall)
	w.timer.Stop()
	r = r.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &sentBody{r.Body, w, answerPatience(r, c.patience)}
	} else {
		w.expect(answerPatience(r, c.patience))
	}
	response, err := c.client.Do(r)
	w.timer.Stop()
	if err != nil {
		cancel()
		return nil, w.cause(err)
	}
	response.Body = &receivedBody{response.Body, w}
	return response, nil
}

// answerPatience is how long the answer to r may take to begin, once all of r was sent; 0: any time.
func answerPatience(r *http.Request, patience time.Duration) time.Duration {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return patience
	case r.Method == http.MethodPost || r.Header.Get("x-amz-copy-source") != "":
		return 0
	default:
		return changePatience * patience
	}
}

// watch ends a request when what is expected of the store does not come in time.
type watch struct {
	patience time.Duration
	cancel   func()
	timer    *time.Timer
	stalled  atomic.Bool
}

func (w *watch) stall() {
	w.stalled.Store(true)
	w.cancel()
}

// expect gives the store its time from now on; 0: any.
func (w *watch) expect(most time.Duration) {
	w.timer.Stop()
	if most > 0 {
		w.timer.Reset(most)
	}
}

// cause is what a request ended with.
func (w *watch) cause(err error) error {
	if !w.stalled.Load() {
		return err
	}
	return &net.OpError{Op: "await", Net: "answer", Err: os.ErrDeadlineExceeded}
}

// sentBody is what is sent. Between two reads of it the store takes what was read.
type sentBody struct {
	io.ReadCloser
	watch  *watch
	answer time.Duration
}

// Read implements [io.Reader].
func (b *sentBody) Read(p []byte) (int, error) {
	b.watch.timer.Stop()
	n, err := b.ReadCloser.Read(p)
	switch err {
	case nil:
		b.watch.expect(b.watch.patience)
	case io.EOF:
		b.watch.expect(b.answer)
	}
	return n, err
}

// receivedBody is what is answered.
type receivedBody struct {
	io.ReadCloser
	watch *watch
}

// Read implements [io.Reader].
func (b *receivedBody) Read(p []byte) (int, error) {
	b.watch.expect(b.watch.patience)
	n, err := b.ReadCloser.Read(p)
	b.watch.timer.Stop()
	if err != nil && err != io.EOF {
		err = b.watch.cause(err)
	}
	return n, err
}

// Close ends the request.
func (b *receivedBody) Close() error {
	b.watch.timer.Stop()
	defer b.watch.cancel()
	return b.ReadCloser.Close()
}
