package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// silence is how long the server has not answered. All requests wait for it together: what asks for several
// things one after the other, as a close does, waits no longer than one that asks for one.
type silence struct {
	mu    sync.Mutex
	since time.Time // GUARDED_BY(mu): attempts have had no answer since then; zero: the server answers
}

// broken notes that an attempt has no answer, for which it has waited that long already.
func (s *silence) broken(waited time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if since := time.Now().Add(-waited); s.since.IsZero() || since.Before(s.since) {
		s.since = since
	}
}

// over notes that there is an answer.
func (s *silence) over() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = time.Time{}
}

// lasts reports whether it has been that long.
func (s *silence) lasts(d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.since.IsZero() && time.Since(s.since) > d
}

// silentAttempt is how long an attempt waits for an answer of a server that requests do not wait for any more.
const silentAttempt = time.Second

// attempt is the context of an attempt. answered ends its limit, and done the context.
func (s *Store) attempt(ctx context.Context) (limited context.Context, answered func(), done func()) {
	ctx, cancel := context.WithCancel(ctx)
	if !s.silence.lasts(s.opt.Patience) {
		return ctx, func() {}, cancel
	}
	timer := time.AfterFunc(silentAttempt, cancel)
	return ctx, func() { timer.Stop() }, cancel
}

// unanswered notes that an attempt has failed.
func (s *Store) unanswered(cause error) {
	var timed net.Error
	if errors.As(cause, &timed) && timed.Timeout() {
		s.silence.broken(s.opt.Patience) // that long it has waited
		return
	}
	s.silence.broken(0)
}

// endingBody ends the context of an attempt with the body of its answer.
type endingBody struct {
	io.ReadCloser
	done func()
}

// Close implements [io.Closer].
func (b endingBody) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}
