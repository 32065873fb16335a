package badgerstore

import (
	"errors"
	"fmt"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/marks"
)

// Close waits for the mutations in flight, makes everything durable, and
// releases the lock. Readers must be closed before, and no call may be in flight
// but mutations; later ones are ErrClosed.
//
// Badger writes a table before it closes and tries that for ever. If it cannot, because the disk is full
// or the directory was removed, or if closing takes very long, Close returns with an error: all that was committed is in the
// logs, and the next open goes on from there. The lock is kept until Badger has given up its
// files after all, or the process ends.
func (e *Engine) Close() error {
	if e.closed.Swap(true) {
		return nil
	}
	err := e.bounded(e.shutDown)
	if why := e.Refusing(); why != nil {
		err = e.stopped(why, err == nil)
	}
	return named("close store", e.dir, err)
}

// stopped says what has become of a store that took no more writes for why, and was closed well or not: what else went wrong
// comes of that.
func (e *Engine) stopped(why error, well bool) error {
	has := "It has all that was synced; what was committed in the second before may be lost."
	if well {
		has = "It has all that was committed."
	}
	waits := ""
	switch n := e.session.Left(); {
	case n == 1:
		waits = " What was written to a file and not committed waits in its directory: it is kept when that is opened again, if the disk has it then."
	case n > 1:
		waits = fmt.Sprintf(" What was written to %d files and not committed waits in its directory: it is kept when that is opened again, if the disk has it then.", n)
	}
	return &objstore.Error{Kind: objstore.ErrUnavailable, Err: why,
		Detail: "it had stopped taking writes. " + has + waits +
			" Look at the disk, then open it again. This is what stopped it"}
}

// bounded is f, or an error if that waits for what may never come. f goes on then.
func (e *Engine) bounded(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	late := time.NewTimer(e.closeWithin)
	defer late.Stop()
	why := "it takes too long"
	select {
	case err := <-done:
		return err
	case why = <-e.stuck:
	case <-late.C:
	}
	return problem(objstore.ErrUnavailable, "the store cannot be closed now: %s. "+
		"What was committed is in its logs; it stays locked while this process runs", why)
}

// shutDown is Close but for its bound.
func (e *Engine) shutDown() error {
	var errs []error
	if !e.opt.ReadOnly {
		_ = e.syncer.durableUpTo(e.published.Load()) // first, as what follows may not end. It is repeated below
		e.synced.Store(true)
		e.merger.close() // before the session, which its stages are in
		errs = append(errs, e.session.Close())
		e.collector.close()
		e.verifier.close()
		e.committer.close()
		e.noteForgotten()
		errs = append(errs, e.syncer.durableUpTo(e.published.Load()), e.syncer.close(), e.logBlocks.close())
		e.awaitRoomToClose()
	}
	errs = append(errs, e.blobs.Close(), e.db.Close())
	if !e.opt.ReadOnly {
		errs = append(errs, e.markClean(errors.Join(errs...)))
	}
	errs = append(errs, e.marks.Close(), e.lock.Close())
	return errors.Join(errs...)
}

// abandon closes what a failed Open has opened.
func (e *Engine) abandon() error {
	e.synced.Store(true)
	return e.bounded(e.release)
}

func (e *Engine) release() error {
	var errs []error
	if e.session != nil {
		errs = append(errs, e.session.Close())
	}
	if e.blobs != nil {
		errs = append(errs, e.blobs.Close())
	}
	if e.verifier != nil {
		e.verifier.close()
	}
	if e.logBlocks != nil {
		errs = append(errs, e.logBlocks.close())
	}
	if e.db != nil {
		errs = append(errs, e.db.Close())
	}
	if e.marks != nil {
		errs = append(errs, e.marks.Close())
	}
	if e.lock != nil {
		errs = append(errs, e.lock.Close())
	}
	return errors.Join(errs...)
}

// noteStuck tells Close, once that has synced, that it need not wait. Badger says it every second.
func (e *Engine) noteStuck(why string) {
	if !e.synced.Load() {
		return
	}
	select {
	case e.stuck <- why:
	default:
	}
}

// awaitRoomToClose waits until there is room for the table Badger writes when it closes, if it writes one.
func (e *Engine) awaitRoomToClose() {
	if e.logBlocks.active.memory == 0 {
		return
	}
	n := max(e.logBlocks.active.memory, e.tableRoomBytes())
	if err := e.guard.Room(n); err != nil {
		e.noteStuck(err.Error())
		e.guard.Await(n)
	}
}

// tableRoomBytes must be free when a compaction makes a table: more than it mostly is. A table is written within
// milliseconds of being looked at, but through a mapping, which nobody can give blocks before.
//
// It is less than what must be free when Badger goes on to the next log: else that could come to wait
// for a compaction which waits for room, with all mutations behind it.
func (e *Engine) tableRoomBytes() int64 { return e.sizes.memTableBytes / 2 }

// markClean notes, if nothing failed, that the next open has nothing to repair
// and which numbers were never given out.
func (e *Engine) markClean(failed error) error {
	if failed != nil || e.committer.hasFailed() {
		return nil
	}
	if err := e.syncer.noteManifest(); err != nil {
		return err
	}
	return e.marks.Update(true, func(m *marks.Marks) {
		m.Clean, m.Durable, m.Lease = true, e.published.Load(), e.numbers.last.Load()+1
		m.LowBlob = m.Lease
	})
}
