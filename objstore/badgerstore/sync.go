package badgerstore

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/marks"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

const (
	// syncAfter is how long a commit may stay undurable if nobody asks.
	syncAfter = time.Second
	// marksAfter is how long the durable mark on disk may lag behind.
	marksAfter = 250 * time.Millisecond
	// gatherMax is how long a round waits at most for those the last one let go.
	gatherMax = time.Millisecond
)

// syncer makes commits durable beside the committer. One round at a time: it
// syncs the blobs and every log of Badger written since the last round, then the commits
// published before it began are durable.
//
// Who was let go by a round is likely to be back soon, with the next commit of a loop: a round waits
// for them for a moment, as one for all costs little more than one for each.
//
// The mark on disk follows without a sync of its own and at most marksAfter later with
// one: a mark that lags only makes recovery look at more batches.
type syncer struct {
	e *Engine

	mu       sync.Mutex
	durable  uint64        // GUARDED_BY(mu): commits up to it are
	wanted   uint64        // GUARDED_BY(mu): somebody waits for it
	since    time.Time     // GUARDED_BY(mu): when the first undurable commit came; zero: none, or not noted
	blobs    []undurable   // GUARDED_BY(mu): of commits that are not durable, ascending
	waiting  int           // GUARDED_BY(mu): how many wait
	expected int           // GUARDED_BY(mu): how many may be expected to wait soon
	failed   error         // GUARDED_BY(mu): final
	finished chan struct{} // GUARDED_BY(mu): closed at the end of the round in progress, then replaced

	// marked is the durable mark that is certainly on the disk: recovery looks at no batch
	// up to it. What such batches need may go.
	marked atomic.Uint64
	asked  atomic.Bool // somebody has waited since the leader looked

	work    chan struct{}      // capacity 1: something is wanted
	settles chan chan struct{} // who waits for a round and the marks, whatever there is to do
	stop    chan struct{}
	done    chan struct{}

	// Owned by the goroutine.
	logs     *badgerLogs
	manifest manifestWatch
	syncedAt time.Time // of the marks
}

// undurable is a blob of a commit that is not durable.
type undurable struct {
	ts   uint64
	blob uint64
}

func newSyncer(e *Engine, logs *badgerLogs, durable uint64) *syncer {
	s := &syncer{
		e: e, logs: logs, durable: durable, manifest: manifestWatch{fs: e.fs, dir: e.path(badgerName)},
		finished: make(chan struct{}), work: make(chan struct{}, 1), settles: make(chan chan struct{}),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	s.marked.Store(durable)
	return s
}

// note tells of a commit that is about to be published.
func (s *syncer) note(ts uint64, blobs []record.Blob) {
	if len(blobs) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range blobs {
		s.blobs = append(s.blobs, undurable{ts, b.ID})
	}
}

// touch makes sure that there is a round within syncAfter.
func (s *syncer) touch() {
	s.mu.Lock()
	first := s.since.IsZero()
	if first {
		s.since = time.Now()
	}
	s.mu.Unlock()
	if first {
		s.wake()
	}
}

func (s *syncer) wake() {
	select {
	case s.work <- struct{}{}:
	default:
	}
}

// durableUpTo returns once commits up to ts are durable, or says that they are not.
func (s *syncer) durableUpTo(ts uint64) error {
	if err := s.wait(ts); err != nil {
		return &objstore.Error{Kind: objstore.ErrUnavailable,
			Detail: "what was committed could not be made durable", Err: err}
	}
	return nil
}

// wait is durableUpTo with the bare reason.
func (s *syncer) wait(ts uint64) error {
	s.mu.Lock()
	s.waiting++
	defer func() {
		s.waiting--
		s.mu.Unlock()
	}()
	s.asked.Store(true)
	for s.durable < ts {
		if s.failed != nil {
			return s.failed
		}
		s.wanted = max(s.wanted, ts)
		finished := s.finished
		s.mu.Unlock()
		s.wake()
		<-finished
		s.mu.Lock()
	}
	return nil
}

// settled returns once all that was committed is durable, and Badger has been told which versions may go. Moments after a store was
// opened or written to nobody has told it yet.
func (s *syncer) settled() error {
	settled := make(chan struct{})
	select {
	case s.settles <- settled:
		<-settled
	case <-s.done:
	}
	return s.durableUpTo(s.e.published.Load())
}

// run is the goroutine.
func (s *syncer) run() {
	defer close(s.done)
	timer := time.NewTimer(syncAfter)
	defer timer.Stop()
	for {
		select {
		case <-s.work:
		case <-s.e.compacted:
		case <-timer.C:
		case settled := <-s.settles:
			s.settleNow()
			close(settled)
		case <-s.stop:
			return
		}
		timer.Reset(s.rounds())
	}
}

// rounds syncs while somebody waits, and says when to look again.
func (s *syncer) rounds() time.Duration {
	for {
		s.mu.Lock()
		waiting := s.wanted > s.durable
		due := syncAfter
		if !s.since.IsZero() {
			due = syncAfter - time.Since(s.since)
		}
		idle := s.since.IsZero() && !waiting
		stopped := s.failed != nil
		s.mu.Unlock()
		switch {
		case stopped:
			return time.Hour
		case waiting || due <= 0:
			s.gather()
			s.round()
		case idle:
			return s.settle()
		default:
			return due
		}
	}
}

// settle syncs the marks once nothing else is to do, and looks whether Badger has made a table of a log.
func (s *syncer) settle() time.Duration {
	if wait := marksAfter - time.Since(s.syncedAt); wait > 0 && s.e.marks.Dirty() {
		return wait
	}
	if s.logs.isFlushing() {
		s.round()
	}
	s.syncMarks()
	if s.logs.isFlushing() {
		return syncAfter
	}
	return time.Hour
}

// settleNow makes a round and syncs the marks. After a failure nothing is synced a second time.
func (s *syncer) settleNow() {
	if s.hasFailed() {
		return
	}
	if s.round(); !s.hasFailed() {
		s.syncMarks()
	}
}

func (s *syncer) hasFailed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed != nil
}

// gather returns when as many wait as are expected to, or it has taken too long.
func (s *syncer) gather() {
	timeout := time.NewTimer(gatherMax)
	defer timeout.Stop()
	for {
		s.mu.Lock()
		complete := s.waiting >= s.expected || s.failed != nil
		s.mu.Unlock()
		if complete {
			return
		}
		select {
		case <-s.work:
		case <-timeout.C:
			return
		case <-s.stop:
			return
		}
	}
}

// round makes all that is published durable.
func (s *syncer) round() {
	s.mu.Lock()
	s.since = time.Time{}
	s.mu.Unlock()
	runtime.Gosched() // those woken by the round before commit first, and this one has them too
	s.e.committer.syncBegins()
	defer s.e.committer.syncEnded()
	ts := s.e.published.Load()
	low := s.e.inFlight.lowest() // of blobs removed after this it is not known whether that is synced
	err := s.syncFiles(ts)
	if err == nil {
		err = s.e.marks.Update(false, func(m *marks.Marks) { m.Durable, m.LowBlob = ts, min(s.lowBlob(ts, low), s.e.inFlight.lowest()) })
	}
	if err != nil {
		s.e.committer.fail(err)
	}
	s.mu.Lock()
	if err != nil {
		s.failed = err
	} else {
		s.durable = ts
	}
	s.expected = s.waiting
	s.endRound()
	s.mu.Unlock()
	if err == nil && time.Since(s.syncedAt) >= marksAfter {
		s.syncMarks()
	}
}

// endRound wakes those who wait; requires mu.
func (s *syncer) endRound() {
	close(s.finished)
	s.finished = make(chan struct{})
}

// syncFiles syncs blobs and logs at the same time: recovery takes them in whatever order they reached the disk, and
// what a disk is asked for together costs it little more than one of them.
func (s *syncer) syncFiles(ts uint64) error {
	s.mu.Lock()
	blobs := len(s.blobs) > 0 && s.blobs[0].ts <= ts
	s.mu.Unlock()
	if !blobs {
		if err := s.e.blobs.SyncRemovals(); err != nil {
			return err
		}
		return s.logs.sync(ts)
	}
	synced := make(chan error, 1)
	go func() { synced <- s.e.blobs.Sync() }()
	err := s.logs.sync(ts)
	return errors.Join(<-synced, err)
}

// lowBlob forgets the blobs of commits up to ts, which are durable, and returns
// the number below which every blob is committed durably or gone for good, given the lowest
// that was in flight before the sync.
func (s *syncer) lowBlob(ts, low uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.blobs) && s.blobs[n].ts <= ts {
		n++
	}
	s.blobs = append([]undurable(nil), s.blobs[n:]...)
	for _, b := range s.blobs {
		low = min(low, b.blob)
	}
	return low
}

// syncMarks makes the marks durable; then older versions may go.
func (s *syncer) syncMarks() {
	mark := s.e.marks.Get().Durable
	if err := errors.Join(s.noteManifest(), s.e.marks.Sync()); err != nil {
		s.e.committer.fail(err)
		s.mu.Lock()
		s.failed = err
		s.endRound() // somebody may have begun to wait since the last one
		s.mu.Unlock()
		return
	}
	s.syncedAt = time.Now()
	s.marked.Store(mark)
	safe := s.e.epochs.turn(s.e.published.Load)
	s.e.db.SetDiscardTs(min(safe, mark, s.logs.flushed()))
	s.e.collector.wake()
}

// noteManifest notes how long the manifest is for good.
func (s *syncer) noteManifest() error {
	begin, bytes, changed, err := s.manifest.sync()
	if err != nil || !changed {
		return err
	}
	return s.e.marks.Update(false, func(m *marks.Marks) { m.ManifestBegin, m.ManifestBytes = begin, bytes })
}

// close ends the goroutine; what is not durable stays so, but for blobs that were removed.
func (s *syncer) close() error {
	close(s.stop)
	<-s.done
	return errors.Join(s.e.blobs.SyncRemovals(), s.logs.close())
}
