package badgerstore

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
)

// watchers are told of changes by the leader, in the order of commits.
type watchers struct {
	mu  sync.RWMutex // held for reading while watchers run
	all []*watcher   // GUARDED_BY(mu)

	forEvents atomic.Int64 // those that want events

	// telling is held by the leader from before a batch becomes visible until all were told of it.
	telling sync.RWMutex
}

// watcher wants the changes of a bucket, or its events.
type watcher struct {
	root   uint64
	f      func(objstore.Change)
	events func(objstore.Event)
}

// take tells w what concerns it.
func (w *watcher) take(c *change) {
	switch {
	case c.root != w.root:
	case c.event == nil && w.f != nil:
		w.f(c.Change)
	case c.event != nil && w.events != nil:
		w.events(*c.event)
	}
}

// wantEvents reports whether anybody wants events.
func (w *watchers) wantEvents() bool { return w.forEvents.Load() > 0 }

func (w *watchers) tell(changes []change) {
	if len(changes) == 0 {
		return
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, one := range w.all {
		for i := range changes {
			one.take(&changes[i])
		}
	}
}

func (w *watchers) add(one *watcher) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, one)
	if one.events != nil {
		w.forEvents.Add(1)
	}
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if one.events != nil {
			w.forEvents.Add(-1)
		}
		w.all = slices.DeleteFunc(slices.Clone(w.all), func(other *watcher) bool { return other == one })
	})
}

// AwaitTold implements [objstore.Teller].
func (b *Bucket) AwaitTold() {
	b.e.watchers.telling.RLock()
	//lint:ignore SA2001 this is a barrier: nothing is to be done inside
	b.e.watchers.telling.RUnlock()
}

// Watch implements [objstore.Namespace].
func (b *Bucket) Watch(f func(objstore.Change)) (stop func()) {
	return b.e.watchers.add(&watcher{root: b.root, f: f})
}
