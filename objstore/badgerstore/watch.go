package badgerstore

import (
	"slices"
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

// watchers are told of changes by the leader, in the order of commits.
type watchers struct {
	mu  sync.RWMutex // held for reading while watchers run
	all []*watcher   // GUARDED_BY(mu)
}

type watcher struct {
	root uint64 // of the bucket
	f    func(objstore.Change)
}

func (w *watchers) tell(changes []change) {
	if len(changes) == 0 {
		return
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, one := range w.all {
		for i := range changes {
			if changes[i].root == one.root {
				one.f(changes[i].Change)
			}
		}
	}
}

func (w *watchers) add(root uint64, f func(objstore.Change)) (stop func()) {
	one := &watcher{root, f}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, one)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.all = slices.DeleteFunc(slices.Clone(w.all), func(other *watcher) bool { return other == one })
	}
}

// Watch implements [objstore.Namespace].
func (b *Bucket) Watch(f func(objstore.Change)) (stop func()) { return b.e.watchers.add(b.root, f) }
