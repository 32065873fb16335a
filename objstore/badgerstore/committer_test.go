package badgerstore

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// queued is a committer whose leader is held up, and what has been evaluated since.
type queued struct {
	e       *Engine
	release chan struct{}
	done    sync.WaitGroup

	mu    sync.Mutex
	order []string // GUARDED_BY(mu)
}

// holdUp makes a leader wait in its batch.
func holdUp(t *testing.T, e *Engine) *queued {
	t.Helper()
	q := &queued{e: e, release: make(chan struct{})}
	leading := make(chan struct{})
	var once sync.Once
	q.carry(t, "leader", false, func() {
		once.Do(func() { close(leading) })
		<-q.release
	})
	<-leading
	return q
}

// carry hands an op to the committer, and notes when it is evaluated.
func (q *queued) carry(t *testing.T, name string, patient bool, first func()) {
	q.done.Add(1)
	go func() {
		defer q.done.Done()
		err := q.e.carry(&op{patient: patient, f: func(*tx) error {
			first()
			q.mu.Lock()
			defer q.mu.Unlock()
			q.order = append(q.order, name)
			return nil
		}}, objstore.Visible)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}()
}

// carryQueued is carry that returns when the op is in the queue. Somebody leads meanwhile.
func (q *queued) carryQueued(t *testing.T, name string, patient bool, first func()) {
	before := q.length()
	q.carry(t, name, patient, first)
	for q.length() == before {
		runtime.Gosched()
	}
}

func (q *queued) length() int {
	q.e.committer.mu.Lock()
	defer q.e.committer.mu.Unlock()
	return len(q.e.committer.queue)
}

func TestWhoDoesNotWaitForADiskIsCommittedFirst(t *testing.T) {
	e := openTest(t, testDir(t), Options{Create: true})
	q := holdUp(t, e)
	for _, name := range []string{"patient 0", "urgent 1", "patient 2", "urgent 3"} {
		q.carryQueued(t, name, strings.HasPrefix(name, "patient"), func() {})
	}
	close(q.release)
	q.done.Wait()
	if want := []string{"leader", "urgent 1", "urgent 3", "patient 0", "patient 2"}; !slices.Equal(q.order, want) {
		t.Errorf("committed %q, want %q", q.order, want)
	}
}

// However many come that do not wait for a disk, one that does is passed over once.
func TestWhoWaitsForADiskIsPassedOverOnce(t *testing.T) {
	e := openTest(t, testDir(t), Options{Create: true})
	q := holdUp(t, e)
	q.carryQueued(t, "patient", true, func() {})
	const urgent = 5
	var another func(i int)
	another = func(i int) {
		q.carryQueued(t, fmt.Sprintf("urgent %d", i), false, func() {
			if i < urgent { // the next is there before this one is done
				another(i + 1)
			}
		})
	}
	another(1)
	close(q.release)
	q.done.Wait()
	if at := slices.Index(q.order, "patient"); at > 2 {
		t.Errorf("the patient one was passed over more than once: %q", q.order)
	}
}
