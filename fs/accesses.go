package fs

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// With Options.Relatime, opening a file to read it moves its atime as relatime has it: if that is not after mtime and ctime, or is a day old. stat(2) shows it at
// once, from memory; the store has it a while later, and a crash loses it. So a file that is read again and again costs nothing, and one
// that is read for the first time since it was written a small record, with others in one batch.
//
// It is taken at OPEN because a read that the page cache answers is not told. Directories and symlinks keep theirs: the kernel keeps
// listings and targets, and opens of directories are answered without asking the store. What is opened to write, too, keeps its own:
// most who do so write, and that moves mtime and ctime.
//
// It is off unless asked for: a kernel that remembers attributes has to be told, and then asks once more at the first read of each file
// that was changed.
const (
	// accessAge is how old an atime is moved on although nothing was written since.
	accessAge = 24 * time.Hour
	// accessPause is how long it then stays: of a file whose times are in the future it would move at every open.
	accessPause = time.Second
	// accessInterval is how long the store waits for atimes, unless there are accessesMany.
	accessInterval = 10 * time.Second
	accessesMany   = 4096
	// accessesMost are kept at once: beyond it, opens leave atime alone until the store has caught up.
	accessesMost = 16 * accessesMany
	// accessesTogether are stored at the same time, so that one batch of the store has many.
	accessesTogether = 64
)

// accesses are the atimes the store does not have yet.
type accesses struct {
	wake  chan struct{} // constant, with room for one: there are accessesMany
	count atomic.Int64  // of pending: most who ask find none

	mu      sync.Mutex
	pending map[objstore.ID]access // GUARDED_BY(mu)
}

// access says that a file was read.
type access struct {
	at      time.Time
	was     time.Time // the atime before, and the store's. If that is another, somebody has set it, who knows better
	storing bool
	// stored ones stay until the next round: who has read what the store had before may be about to ask for it.
	stored bool
}

func newAccesses() *accesses {
	return &accesses{wake: make(chan struct{}, 1), pending: make(map[objstore.ID]access)}
}

// shown is the atime of a file of which the store has stored.
func (a *accesses) shown(id objstore.ID, stored time.Time) time.Time {
	if a.count.Load() == 0 {
		return stored
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if p, ok := a.pending[id]; ok && p.was.Equal(stored) {
		return p.at
	}
	return stored
}

// note moves the atime of a file that was opened, if it is to, and reports whether it did.
func (a *accesses) note(attr *Attr, now time.Time) (moved bool) {
	if !isDue(attr, now) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.pending[attr.Object]
	still, since := ok && p.at.Equal(attr.Atime), now.Sub(p.at)
	switch {
	case still && since >= 0 && since < accessPause:
		return false
	case still && !p.stored: // the store has what it had
	case ok || len(a.pending) < accessesMost:
		p = access{was: attr.Atime}
	default:
		return false
	}
	p.at = now
	a.pending[attr.Object] = p
	a.count.Store(int64(len(a.pending)))
	if len(a.pending) >= accessesMany {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
	attr.Atime = now
	return true
}

// isDue is the rule of relatime.
func isDue(attr *Attr, now time.Time) bool {
	return !attr.Atime.After(attr.Mtime) || !attr.Atime.After(attr.Ctime) || now.Sub(attr.Atime) >= accessAge
}

// forget drops what is known of a file: its atime is being set.
func (a *accesses) forget(id objstore.ID) {
	if a.count.Load() == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.pending, id)
	a.count.Store(int64(len(a.pending)))
}

// prune drops what the store had at the end of the round before.
func (a *accesses) prune() {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.pending, func(_ objstore.ID, p access) bool { return p.stored })
	a.count.Store(int64(len(a.pending)))
}

// take begins to store some, at most max.
func (a *accesses) take(max int) map[objstore.ID]access {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := make(map[objstore.ID]access)
	for id, p := range a.pending {
		if len(taken) == max {
			break
		}
		if p.stored {
			continue
		}
		p.storing = true
		a.pending[id], taken[id] = p, p
	}
	return taken
}

// stored ends what take began: the store has it, or never will.
func (a *accesses) stored(taken map[objstore.ID]access) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, p := range taken {
		switch now := a.pending[id]; {
		case !now.storing: // forgotten
		case now.at.Equal(p.at):
			a.pending[id] = access{at: p.at, was: p.was, stored: true}
		default: // read once more meanwhile
			a.pending[id] = access{at: now.at, was: p.at}
		}
	}
}

// isOwn reports whether a change of the store is one that was shown since the file was opened.
func (a *accesses) isOwn(c objstore.Change) bool {
	if !c.Accessed {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pending[c.Object].storing
}

// keepsAccesses reports whether opens move atime.
func (fs *FS) keepsAccesses() bool {
	return fs.caps.AccessTimes && fs.options.Relatime && !fs.options.ReadOnly
}

// accessed moves the atime of what h, which describes itself by attr, was opened to read.
func (fs *FS) accessed(h *Handle, attr *Attr) {
	if !fs.keepsAccesses() || !h.mode.Read || h.mode.Write || h.mode.NoAtime {
		return
	}
	if _, pending := fs.creationOf(h.file); !pending {
		h.accessed = fs.accesses.note(attr, fs.clock().Round(0))
	}
}

// Accessed reports whether opening h has moved its file's atime. The [Kernel] is not told of that: who opened it knows when.
func (h *Handle) Accessed() bool { return h.accessed }

// accessLoop stores atimes at every tick, and when there are many.
func (fs *FS) accessLoop(ticks <-chan time.Time) {
	for {
		select {
		case <-fs.quit:
			return
		case <-ticks:
		case <-fs.accesses.wake:
		}
		fs.storeAccesses(context.Background())
	}
}

// storeAccesses stores what is there, until the store fails.
func (fs *FS) storeAccesses(ctx context.Context) {
	fs.accesses.prune()
	for left := fs.accesses.count.Load(); left > 0; left -= accessesTogether {
		if err := fs.storeSome(ctx); err != nil {
			fs.log.Warn("times of reading were not stored", "error", err)
			return
		}
	}
}

// storeSome stores accessesTogether of them at most, and returns the last failure. What has failed is not tried again: the next open
// moves the time anew. Who sets an atime meanwhile waits, so that theirs is the last.
func (fs *FS) storeSome(ctx context.Context) (failed error) {
	fs.attributes.Lock()
	defer fs.attributes.Unlock()
	taken := fs.accesses.take(accessesTogether)
	defer fs.accesses.stored(taken)
	failures := make(chan error, len(taken))
	for id, p := range taken {
		go func() {
			_, err := fs.ns.SetAttr(ctx, id, objstore.AttrChange{Atime: &p.at, AtimeWas: &p.was}, objstore.Visible)
			failures <- err
		}()
	}
	for range taken {
		if err := <-failures; err != nil && !errors.Is(err, objstore.ErrNotFound) {
			failed = err
		}
	}
	return failed
}
