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

// withoutSyncs ends the syncs in the background until again is called; who waits for one waits for that.
func withoutSyncs(e *Engine) (again func()) {
	s := e.syncer
	close(s.stop)
	<-s.done
	s.stop = make(chan struct{}) // for a close
	return func() {
		s.done = make(chan struct{})
		go s.run()
	}
}

// openUnsynced opens a new store that nobody syncs until it is closed: a sync that is due in the middle of a test would
// let those go on who wait for one.
func openUnsynced(t *testing.T) *Engine {
	t.Helper()
	e := openTest(t, testDir(t), Options{Create: true})
	t.Cleanup(withoutSyncs(e))
	return e
}

// queued is a committer whose leader is held up, and what has been evaluated since.
type queued struct {
	e       *Engine
	release chan struct{}
	done    sync.WaitGroup

	mu    sync.Mutex
	order []string       // GUARDED_BY(mu)
	ops   map[string]*op // GUARDED_BY(mu)
}

// holdUp makes a leader wait in its batch.
func holdUp(t *testing.T, e *Engine) *queued {
	t.Helper()
	q := &queued{e: e, release: make(chan struct{}), ops: map[string]*op{}}
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
	o := &op{patient: patient, f: func(x *tx) error {
		first()
		q.mu.Lock()
		defer q.mu.Unlock()
		q.order = append(q.order, name)
		x.ov.set([]byte("a record of "+name), nil) // so that its batch has a number
		return nil
	}}
	q.mu.Lock()
	q.ops[name] = o
	q.mu.Unlock()
	q.done.Add(1)
	go func() {
		defer q.done.Done()
		if err := q.e.carry(o, objstore.Visible); err != nil {
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
	e := openUnsynced(t)
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
	e := openUnsynced(t)
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

// A close that comes while those who wait for a disk are evaluated goes before the rest of them, which are
// not passed over again.
func TestWhoComesMeanwhileIsNotBehindAllWhoWaitForADisk(t *testing.T) {
	e := openUnsynced(t)
	q := holdUp(t, e)
	var once, again sync.Once
	q.carryQueued(t, "patient 0", true, func() {
		once.Do(func() { q.carryQueued(t, "urgent", false, func() {}) })
	})
	q.carryQueued(t, "patient 1", true, func() {
		again.Do(func() { q.carryQueued(t, "urgent, later", false, func() {}) })
	})
	q.carryQueued(t, "patient 2", true, func() {})
	close(q.release)
	q.done.Wait()
	if want := []string{"leader", "patient 0", "urgent", "patient 1", "urgent, later", "patient 2"}; !slices.Equal(q.order, want) {
		t.Errorf("committed %q, want %q", q.order, want)
	}
	batch := func(name string) uint64 { return q.ops[name].ts }
	if batch("patient 0") != batch("urgent") || batch("urgent") >= batch("patient 1") {
		t.Error("who came meanwhile was not in the batch, or did not end it")
	}
	if batch("patient 1") != batch("patient 2") {
		t.Error("who was passed over already was so again")
	}
}

// While the disk is at work for others, who waits for it stays in the queue if somebody else may be held up by it, and all
// of them are one batch afterwards. Who does not wait goes on meanwhile.
func TestWhoWaitsForADiskWaitsForTheSyncInProgress(t *testing.T) {
	e := openUnsynced(t)
	q := &queued{e: e, ops: map[string]*op{}}
	q.carry(t, "urgent 0", false, func() {})
	q.done.Wait()
	e.committer.syncBegins()
	q.carryQueued(t, "patient 1", true, func() {})
	q.carryQueued(t, "patient 2", true, func() {})
	urgent := &op{f: func(x *tx) error { x.ov.set([]byte("a record"), nil); return nil }}
	must(t, e.carry(urgent, objstore.Visible))
	if n := q.length(); n != 2 {
		t.Errorf("%d are in the queue, want the two that are patient", n)
	}
	e.committer.syncEnded()
	q.done.Wait()
	first, second := q.ops["patient 1"].ts, q.ops["patient 2"].ts
	if first <= urgent.ts || first != second {
		t.Errorf("batches %d and %d after %d, want one later", first, second, urgent.ts)
	}
}

// Beside nobody who could be held up a sync in progress keeps nobody from being committed.
func TestWhoWaitsForADiskAloneIsCommittedDuringASync(t *testing.T) {
	e := openUnsynced(t)
	e.committer.syncBegins() // forgets whoever came while the store was opened
	e.committer.syncEnded()
	e.committer.syncBegins()
	patient := &op{patient: true, f: func(x *tx) error { x.ov.set([]byte("a record"), nil); return nil }}
	must(t, e.carry(patient, objstore.Visible))
	e.committer.syncEnded()
}

// A store that is closed while somebody waits for a sync in progress commits that first.
func TestCloseWaitsForThoseWhoWaitForASync(t *testing.T) {
	e := openUnsynced(t)
	q := &queued{e: e, ops: map[string]*op{}}
	q.carry(t, "urgent", false, func() {})
	q.done.Wait()
	e.committer.syncBegins()
	q.carryQueued(t, "patient", true, func() {})
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		e.committer.close()
	}()
	for q.length() == 1 {
		runtime.Gosched()
	}
	select {
	case <-closed:
		t.Error("closed before what came was committed")
	default:
	}
	e.committer.syncEnded()
	<-closed
	q.done.Wait()
	if !slices.Contains(q.order, "patient") {
		t.Error("what came before the end was dropped")
	}
}
