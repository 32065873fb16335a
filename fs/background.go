package fs

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// lastKept is how long the newest kept copy of a file is safe from pruning.
const lastKept = 7 * 24 * time.Hour

// prunedTogether is how many kept copies are dropped at the same time: each is dropped durably, and those that
// wait together wait for one sync. One after the other, copies would come faster than they go.
const prunedTogether = 64

// autocommitLoop commits what appending handles have written, at every tick, so that
// logs are seen elsewhere while they are written.
func (fs *FS) autocommitLoop(ticks <-chan time.Time) {
	for {
		select {
		case <-fs.quit:
			return
		case <-ticks:
			fs.autocommit(context.Background())
		}
	}
}

func (fs *FS) autocommit(ctx context.Context) {
	fs.mu.Lock()
	var appenders []*transaction
	for _, f := range fs.files {
		for _, h := range f.handles.all {
			if h.tx != nil && h.mode.Append && h.tx.users > 0 {
				h.tx.users++
				appenders = append(appenders, h.tx)
			}
		}
	}
	fs.mu.Unlock()
	for _, t := range appenders {
		if t.hasAppended() {
			// A failure has been logged and the next flush will tell it.
			_ = t.finish(ctx, t.opener, "autocommit", objstore.Visible, untilTold)
		}
		fs.unuse(t)
	}
}

// hasAppended reports whether there are appended bytes to commit.
func (t *transaction) hasAppended() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state == txOpen && t.changed() && t.bytes
}

// pruneLoop prunes kept copies after each that was added.
func (fs *FS) pruneLoop() {
	for {
		select {
		case <-fs.quit:
			return
		case <-fs.kept.wake:
			fs.prune(context.Background())
		}
	}
}

// quitting reports whether Close has told the background to end.
func (fs *FS) quitting() bool {
	select {
	case <-fs.quit:
		return true
	default:
		return false
	}
}

// prune drops the kept copies that are beyond what is retained, and logs each.
func (fs *FS) prune(ctx context.Context) {
	fs.kept.pruning.Lock()
	defer fs.kept.pruning.Unlock()
	all, err := fs.ns.ListConflicts(ctx)
	if err != nil {
		fs.log.Error("kept copies could not be listed for pruning", "error", err)
		return
	}
	drop := surplus(all, fs.options.ConflictsPerFile, fs.options.ConflictsBytes, fs.clock())
	for together := range slices.Chunk(drop, prunedTogether) {
		if fs.quitting() {
			return // the next mount prunes on: an unmount does not wait for a long list
		}
		var dropped sync.WaitGroup
		for _, c := range together {
			dropped.Go(func() { fs.pruneOne(ctx, c) })
		}
		dropped.Wait()
	}
}

func (fs *FS) pruneOne(ctx context.Context, c objstore.Conflict) {
	err := fs.ns.DropConflict(ctx, c.ID)
	if objstore.KindOf(err) == objstore.ErrNotFound {
		return // another mount was first
	}
	if err != nil {
		fs.log.Error("a kept copy could not be pruned", "conflict", c.ID, "path", c.Path, "error", err)
		return
	}
	fs.log.Warn("a kept copy was pruned", "conflict", c.ID, "path", c.Path, "bytes", c.Bytes, "time", c.Time)
}

// surplus chooses what to prune of all, which is ordered from the oldest: what is beyond the newest
// perFile of its path, then the oldest while there are more than maxBytes. The newest of
// a path is left for lastKept.
func surplus(all []objstore.Conflict, perFile int, maxBytes int64, now time.Time) []objstore.Conflict {
	var drop, rest []objstore.Conflict
	seen := make(map[string]int)
	newest := make(map[objstore.ConflictID]bool)
	var bytes int64
	for _, c := range slices.Backward(all) {
		seen[c.Path]++
		newest[c.ID] = seen[c.Path] == 1
		if seen[c.Path] > perFile {
			drop = append(drop, c)
			continue
		}
		rest = append(rest, c)
		bytes += c.Bytes
	}
	slices.Reverse(drop)
	for _, c := range slices.Backward(rest) {
		if bytes <= maxBytes {
			break
		}
		if newest[c.ID] && now.Sub(c.Time) < lastKept {
			continue
		}
		drop = append(drop, c)
		bytes -= c.Bytes
	}
	return drop
}
