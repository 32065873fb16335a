package s3store_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// stalling is a body of which nothing more comes after its beginning, until the request is given up.
type stalling struct {
	io.ReadCloser
	ctx  context.Context
	left int
}

// Read implements [io.Reader].
func (s *stalling) Read(p []byte) (int, error) {
	if s.left <= 0 {
		<-s.ctx.Done()
		return 0, s.ctx.Err()
	}
	n, err := s.ReadCloser.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}

// A store that is stopped, or whose network is gone, in the middle of a request is as one whose connection broke then: reads are sent
// again, and what became of a write is found out. Nobody waits until it goes on.
func TestStoreThatStallsIsAskedAgain(t *testing.T) {
	const size = 64 << 10
	text := strings.Repeat("x", size-1) + "y"
	neverAnswers := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	for _, k := range []kind{ours, foreign} {
		b := newBench(t, k)
		store, err := s3store.Open(t.Context(), s3store.Options{
			Bucket: "box", Endpoint: b.url, Region: "us-east-1", PrefetchBytes: 4 << 10, Patience: 100 * time.Millisecond,
		}, s3store.Parts{HTTP: &http.Client{Transport: b.wire}, Clock: noWait{}, Credentials: aws.AnonymousCredentials{}})
		if err != nil {
			t.Fatal(err)
		}
		put(t, b.other, "k", text, objstore.IfAbsent())
		b.wire.next(http.MethodHead, neverAnswers)
		if _, err := store.Head(t.Context(), "k"); err != nil {
			t.Errorf("%v: a head that is not answered: %v", k, err)
		}
		b.wire.next(http.MethodGet, neverAnswers)
		want(t, store, "k", text)
		b.wire.next(http.MethodGet, func(r *http.Request) (*http.Response, error) {
			reply, err := b.wire.send(r)
			if err == nil {
				reply.Body = &stalling{reply.Body, r.Context(), 50}
			}
			return reply, err
		})
		want(t, store, "k", text)
		b.wire.next(http.MethodPut, func(r *http.Request) (*http.Response, error) {
			if _, err := io.CopyN(io.Discard, r.Body, size/2); err != nil {
				return nil, err
			}
			return neverAnswers(r)
		})
		_, err = store.Put(t.Context(), "taken in part", strings.NewReader(text), objstore.IfAbsent(), objstore.PutOptions{})
		if k == ours && err != nil || k == foreign && objstore.KindOf(err) != objstore.ErrUnknown { // who sends a create again may bring back what was deleted
			t.Errorf("%v: a put that was taken in part: %v", k, err)
		}
		b.wire.next(http.MethodPut, func(r *http.Request) (*http.Response, error) {
			reply, err := b.wire.send(r)
			if err == nil {
				err = reply.Body.Close()
			}
			if err != nil {
				return nil, err
			}
			return neverAnswers(r)
		})
		put(t, store, "taken", text, objstore.IfAbsent())
		want(t, b.other, "taken", text)
	}
}
