package badgerstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

const (
	// mergeQuiet is how long a file is left alone before it is merged: who edits one mostly goes on.
	mergeQuiet = 30 * time.Second
	// mergeAgain is the least a file waits that could not be merged.
	mergeAgain = time.Second
	// mergePiecesMin extents of a block are not worth writing together: as many cost hardly more to read than
	// one. Commits leave up to 128.
	mergePiecesMin = 8
	// mergeFilesMax files wait to be merged at most. Others are found by Merge, or when they are changed again.
	mergeFilesMax = 4096
	// mergeRateBytes is how much is copied in a second while nobody commits, mergeBusyBytes while somebody does.
	mergeRateBytes = 64 << 20
	mergeBusyBytes = 8 << 20
)

// merger merges in the background what commits have scattered over the blocks of files, of each once it is left alone. A file that
// somebody has open waits: what was merged could not go before that is closed, and the next commit of a writer would bring back
// what it started from.
type merger struct {
	e     *Engine
	quiet time.Duration // that a file is left alone before

	mu  sync.Mutex
	due map[uint64]time.Time // GUARDED_BY(mu): files with scattered blocks, and when they may be merged

	work    chan struct{} // capacity 1: due has changed
	stop    context.CancelFunc
	ctx     context.Context // until close
	working sync.WaitGroup
}

func newMerger(e *Engine) *merger {
	m := &merger{e: e, quiet: e.sizes.mergeQuiet, due: map[uint64]time.Time{}, work: make(chan struct{}, 1)}
	m.ctx, m.stop = context.WithCancel(context.Background())
	return m
}

// begin starts the goroutine.
func (m *merger) begin() { m.working.Go(m.run) }

// close waits for the step that is being made, which ends early.
func (m *merger) close() {
	m.stop()
	m.working.Wait()
}

// note enters files that a commit has scattered.
func (m *merger) note(ids []uint64) {
	if len(ids) == 0 {
		return
	}
	m.enter(ids, m.quiet)
}

// enter has files wait for so long.
func (m *merger) enter(ids []uint64, wait time.Duration) {
	at := time.Now().Add(wait)
	m.mu.Lock()
	for _, id := range ids {
		if _, ok := m.due[id]; ok || len(m.due) < mergeFilesMax {
			m.due[id] = at
		}
	}
	m.mu.Unlock()
	select {
	case m.work <- struct{}{}:
	default:
	}
}

// next takes a file that is due, or says how long it is until one may be; ok is false if there is none at all.
func (m *merger) next() (id uint64, wait time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var first time.Time
	for other, at := range m.due {
		if !ok || at.Before(first) {
			id, first, ok = other, at, true
		}
	}
	if wait = time.Until(first); ok && wait <= 0 {
		delete(m.due, id)
	}
	return id, wait, ok
}

func (m *merger) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		id, wait, ok := m.next()
		switch {
		case ok && wait <= 0:
			m.merge(id)
			if m.ctx.Err() != nil {
				return
			}
			continue
		case ok:
			timer.Reset(wait)
		default:
			timer.Stop()
		}
		select {
		case <-timer.C:
		case <-m.work:
		case <-m.ctx.Done():
			return
		}
	}
}

// merge merges one file. One that is open, or was changed meanwhile, waits again; any other error is the end of it.
func (m *merger) merge(id uint64) {
	var err error
	open := m.e.isOpen(id)
	if !open {
		_, err = m.e.mergeFile(m.ctx, id, m.pace())
	}
	switch {
	case m.ctx.Err() != nil:
	case open || errors.Is(err, errMergeLate):
		m.enter([]uint64{id}, max(m.quiet, mergeAgain))
	case err == nil:
	case objstore.KindOf(err) == objstore.ErrCorrupt:
		m.e.log.Error("a damaged file is not merged", "object", id, "error", err)
	default:
		m.e.log.Warn("a file is not merged now", "object", id, "error", err)
	}
}

// isOpen reports whether somebody reads object id, or has a stage that started from it.
func (e *Engine) isOpen(id uint64) bool {
	v := e.view()
	defer v.close()
	o, err := v.object(id)
	return err == nil && o != nil && e.pins.holds(id, o.Version)
}

// pace is how the merger leaves the disk to others.
func (m *merger) pace() func(bytes int) error {
	last := m.e.published.Load()
	return func(bytes int) error {
		rate := mergeRateBytes
		if now := m.e.published.Load(); now > last+1 { // beside our own
			last, rate = now, mergeBusyBytes
		}
		wait := time.NewTimer(time.Duration(float64(bytes) / float64(rate) * float64(time.Second)))
		defer wait.Stop()
		select {
		case <-wait.C:
			return nil
		case <-m.ctx.Done():
			return cancelled(m.ctx)
		}
	}
}

// mergeFile merges what is scattered of object id, step by step, and returns how many blocks that was.
func (e *Engine) mergeFile(ctx context.Context, id uint64, pace func(bytes int) error) (blocks int, err error) {
	for next := int64(0); err == nil; {
		var n int
		next, n, err = e.mergeFrom(ctx, id, next, pace)
		blocks += n
		if next == 0 {
			break
		}
	}
	return blocks, err
}

// Merged is what came of merging.
type Merged struct {
	Files  int `json:"files_merged"`
	Blocks int `json:"blocks_merged"` // of up to 4 MiB
	Failed int `json:"files_failed"`  // damaged, or there was no space; the log says which
}

// Merge writes together what commits have scattered over the blocks of files, in all of the store. The same happens by
// itself to a file that is left alone, but not to what an earlier process has left. No version, ETag or
// time changes, and whoever reads or writes a file goes on. A file that changes meanwhile is left out.
func (e *Engine) Merge(ctx context.Context, progress Progress) (m Merged, err error) {
	if err := e.writable(ctx); err != nil {
		return m, named("merge files", e.dir, err)
	}
	ids, bytes, err := e.scatteredFiles(ctx)
	adv := advance{tell: progress, total: bytes}
	for _, id := range ids {
		if err = e.writable(ctx); err != nil {
			break
		}
		n, failed := e.mergeFile(ctx, id, func(bytes int) error {
			adv.add(int64(bytes))
			return cancelled(ctx)
		})
		switch {
		case failed != nil && e.writable(ctx) == nil && !errors.Is(failed, errMergeLate):
			m.Failed++
			e.log.Error("a file is not merged", "object", id, "error", failed)
		case n > 0:
			m.Files++
			m.Blocks += n
		}
	}
	adv.end()
	return m, named("merge files", e.dir, err)
}

// scatteredFiles are the ids of the objects whose content has scattered blocks of its own, and at least how many bytes those have, or so.
func (e *Engine) scatteredFiles(ctx context.Context) (ids []uint64, bytes int64, err error) {
	paged, err := e.pagedFiles(ctx)
	for _, id := range paged {
		if err == nil {
			err = cancelled(ctx)
		}
		if err != nil {
			return nil, 0, err
		}
		base, blocks, failed := e.scattered(id, 0)
		release(base)
		if failed == nil && len(blocks) > 0 { // what is damaged is for a check to tell of
			ids = append(ids, id)
			bytes += int64(len(blocks)) * blockhash.BlockBytes
		}
	}
	return ids, bytes, err
}

// pagedFiles are the ids of the objects whose content has pages.
func (e *Engine) pagedFiles(ctx context.Context) (ids []uint64, err error) {
	v := e.view()
	defer v.close()
	if has, err := v.hasKey([]byte{record.TagPage}); err != nil || !has {
		return nil, err
	}
	for _, tag := range []byte{record.TagEntry, record.TagObject} {
		at := v.cursor([]byte{tag})
		for at.seek([]byte{tag}); at.valid() && err == nil; at.next() {
			value, failed := decodeItem(at.it.Item().Key(), at.it.Item())
			if o, ok := value.(*record.Object); ok && failed == nil && hasPages(o.Content) {
				ids = append(ids, o.ID)
			}
			err = cancelled(ctx)
		}
		at.close()
		if err == nil {
			err = at.err
		}
	}
	return ids, err
}

func hasPages(c record.Content) bool {
	x, err := extentsOf(c)
	return err == nil && x.Root.Page != 0
}

// noteScattered notes that a content of lineage was made of plan, if that has a scattered block.
func (t *tx) noteScattered(lineage uint64, plan *extent.Plan) {
	for _, p := range plan.Pages {
		if lineage != 0 && p.Page.Level == 0 && t.e.isScattered(p.Page) {
			t.scattered = append(t.scattered, lineage)
			return
		}
	}
}
