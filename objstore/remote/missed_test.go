package remote_test

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	frames "github.com/etagfs/etagfs/objstore/wire"
)

// fork is a network over which nobody is told of changes while it is cut.
type fork struct {
	cut     atomic.Bool
	mended  chan struct{}
	watches atomic.Pointer[context.CancelFunc] // of the last who is told
}

// RoundTrip implements [http.RoundTripper].
func (f *fork) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.GetBody == nil { // it streams
		return http.DefaultTransport.RoundTrip(r)
	}
	head, err := headOf(r)
	if err == nil && head.Method == frames.MethodWatch {
		if f.cut.Load() {
			<-f.mended
		}
		ctx, cancel := context.WithCancel(r.Context())
		f.watches.Store(&cancel)
		r = r.WithContext(ctx)
	}
	if err != nil {
		return nil, err
	}
	return http.DefaultTransport.RoundTrip(r)
}

// C5: more is changed, while a client hears of nothing, than the server remembers for it. It goes on as before: what it changes is
// answered when it is told of that, it has a lease again, and nothing of what it knew before is taken for true.
func TestC5ClientThatMissedMoreThanIsRememberedGoesOn(t *testing.T) {
	s := newShared(t, time.Second)
	network := &fork{mended: make(chan struct{})}
	holder := s.holderOver(network, nothing)
	awaitTrust(t, holder)
	s.wanted(holder, "0", false)
	network.cut.Store(true)
	(*network.watches.Load())()
	for i := range 20_000 { // a server remembers 16384
		if _, err := s.direct.Make(t.Context(), dirNamed(s.direct.Root(), strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	s.handler.Settle()
	s.wanted(holder, "0", true)
	close(network.mended)
	awaitTrust(t, holder)
	s.wanted(holder, "19999", true)
	if _, err := holder.Make(t.Context(), dirNamed(holder.Root(), "mine")); err != nil {
		t.Fatal(err)
	}
	s.wanted(holder, "mine", true)
}
