package badgerstore

import (
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// C5: who has seen a change can wait until all who are told of changes know it.
func TestWhatIsVisibleHasBeenToldOnceAwaited(t *testing.T) {
	b := mainBucket(t, openTest(t, testDir(t), Options{Create: true}))
	for i := range 20 {
		name := strconv.Itoa(i)
		visible, release, asking := make(chan struct{}), make(chan struct{}), make(chan struct{})
		var begin sync.Once
		var told atomic.Bool
		stop := b.Watch(func(objstore.Change) {
			begin.Do(func() { close(visible) })
			<-release
			told.Store(true)
		})
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := b.Make(t.Context(), objstore.MakeRequest{Parent: b.Root(), Name: name, Type: objstore.TypeDir}); err != nil {
				t.Error(err)
			}
		})
		<-visible
		if _, err := b.Lookup(t.Context(), b.Root(), name); err != nil {
			t.Errorf("before the watcher returns: %v", err)
		}
		all.Go(func() {
			close(asking)
			b.AwaitTold()
			if !told.Load() {
				t.Errorf("round %d: the watcher is not told yet", i)
			}
		})
		<-asking
		runtime.Gosched()
		close(release)
		all.Wait()
		stop()
	}
}
