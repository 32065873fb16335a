package remote

import (
	"context"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// feed tells watchers of changes.
type feed struct {
	telling sync.Mutex // held while watchers are called

	mu sync.Mutex
	// Guarded by mu.
	begun    bool
	session  *session // told holds in it
	live     *session // it, while the server tells of changes; nil: it does not
	told     uint64   // number of the last change told
	awaited  uint64   // up to which somebody waits for us to have been told
	moved    chan struct{}
	watchers map[int]func(objstore.Change)
	last     int
}

func (f *feed) init() {
	f.moved = make(chan struct{})
	f.watchers = make(map[int]func(objstore.Change))
}

// Watch implements [objstore.Namespace]. It returns once the server tells of changes, or after
// Options.Patience: then those before it does are missed.
func (s *Store) Watch(w func(objstore.Change)) (stop func()) {
	f := &s.feed
	f.mu.Lock()
	f.last++
	id := f.last
	f.watchers[id] = w
	begun := f.begun
	f.begun = true
	f.mu.Unlock()
	if !begun {
		s.running.Go(s.follow)
	}
	f.wait(s.closing, s.opt.Patience, func() bool { return f.session != nil })
	return func() {
		f.telling.Lock()
		defer f.telling.Unlock()
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers, id)
	}
}

// wait returns when done says so, which is called with mu held.
func (f *feed) wait(ctx context.Context, patience time.Duration, done func() bool) {
	var timer *time.Timer
	for {
		f.mu.Lock()
		ready, moved := done(), f.moved
		f.mu.Unlock()
		if ready {
			return
		}
		if timer == nil {
			timer = time.NewTimer(patience)
			defer timer.Stop()
		}
		select {
		case <-moved:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// await returns once changes up to number were told: what is remembered here is never older than an answer. Who has
// changed nothing waits only while the server tells of changes.
func (f *feed) await(ctx context.Context, in *session, number uint64, patience time.Duration, changed bool) {
	f.wait(ctx, patience, func() bool {
		return !f.begun || f.session != in || f.told >= number || !changed && f.live != in
	})
}

// move notes how far watchers were told, and up to where somebody waits for that.
func (f *feed) move(in *session, told, awaited uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.session != in {
		f.awaited = 0
	}
	f.session, f.told, f.awaited = in, told, max(f.awaited, awaited)
	close(f.moved)
	f.moved = make(chan struct{})
}

// position is how far watchers were told, and in which session the server goes on telling; nil: it does not.
func (f *feed) position() (in *session, told uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live, f.told
}

// expected is up to where others wait for us to have been told. moved is closed when that may be further.
func (f *feed) expected() (awaited uint64, moved <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.awaited, f.moved
}

func (f *feed) tell(c objstore.Change) {
	f.telling.Lock()
	defer f.telling.Unlock()
	f.mu.Lock()
	all := make([]func(objstore.Change), 0, len(f.watchers))
	for _, w := range f.watchers {
		all = append(all, w)
	}
	f.mu.Unlock()
	for _, w := range all {
		w(c)
	}
}

// follow reads the stream of changes until the store is closed.
func (s *Store) follow() {
	for s.closing.Err() == nil {
		session, err := s.current(s.closing)
		if err == nil {
			err = s.followIn(session)
		}
		if s.closing.Err() == nil {
			s.parts.Logger.Debug("the stream of changes broke", "error", err)
			_ = s.parts.Clock.Sleep(s.closing, waitFirst) // ends with the store, too
		}
	}
}

// followIn reads one stream.
func (s *Store) followIn(in *session) error {
	f := &s.feed
	f.mu.Lock()
	told := f.told
	if f.session != in {
		told = 0
	}
	f.mu.Unlock()
	head := wire.Head{Protocol: wire.Protocol, Method: wire.MethodWatch, Session: in.id, ID: in.begin()}
	defer in.done(head.ID)
	head.Oldest = in.oldest()
	r, err := s.send(s.closing, &head, &wire.Watch{After: told}, nil)
	if err != nil {
		return err
	}
	defer r.body.Close()
	r.endless()
	if r.state.Lost {
		s.lost(in)
		return errLost
	}
	f.move(in, told, 0)
	s.begun(in)
	defer s.broken(in)
	for {
		var e wire.Event
		if err := wire.ReadMessage(r.body, &e); err != nil {
			return err
		}
		told = s.hear(in, told, &e)
	}
}

// hear takes up an event after the change told, and returns the last change that is told then.
func (s *Store) hear(in *session, told uint64, e *wire.Event) uint64 {
	switch {
	case e.Number > told && e.Change.Kind != 0:
		s.records.apply(e.Change, e.Infos)
		s.feed.tell(e.Change)
	case e.Number > told: // what was changed is not known any more
		s.records.forgetAll()
	case e.Awaited == 0:
		return told
	}
	told = max(told, e.Number)
	s.feed.move(in, told, e.Awaited)
	return told
}

// begun notes that the server tells of changes. What was asked for before is forgotten only now: it may have been changed since, and
// before the server began to count. Of what is asked for from now on every change is told.
func (s *Store) begun(in *session) {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	s.feed.live = in
	s.records.forgetAll()
}

// broken notes that it does so no longer: it may be gone, and another acknowledge changes in its place.
func (s *Store) broken(in *session) {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	if s.feed.live != in {
		return
	}
	s.feed.live = nil
	close(s.feed.moved)
	s.feed.moved = make(chan struct{})
	s.lease.end()
}
