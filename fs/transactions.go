package fs

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/etagfs/etagfs/fs/meter"
	"github.com/etagfs/etagfs/objstore"
)

// Transaction is a file that is open for writing.
type Transaction struct {
	Path       string              `json:"path"`                  // empty: it has no name
	PathBytes  []byte              `json:"path_base64,omitempty"` // if Path could not say it
	Object     objstore.ID         `json:"object"`
	State      string              `json:"state"` // open, lost, unknown or detached
	Changed    bool                `json:"changed"`
	Committing bool                `json:"committing"`
	Base       objstore.ETag       `json:"base,omitempty"` // of the version it is conditional on; none: that there is no file
	Bytes      int64               `json:"bytes"`          // of the file as it is being written; -1: it cannot be told right now
	Opened     time.Time           `json:"opened"`
	UID        uint32              `json:"uid"`
	PID        uint32              `json:"pid"` // 0: it cannot be seen from here, or has ended
	Program    string              `json:"program,omitempty"`
	Kept       objstore.ConflictID `json:"kept,omitempty"`
}

// Transactions are the files that are open for writing, the oldest first. What a commit that is under way holds is not waited for.
func (fs *FS) Transactions(ctx context.Context) []Transaction {
	var all []Transaction
	for _, t := range fs.openWriters() {
		all = append(all, t.describeOpen(ctx))
	}
	return all
}

// openWriters are the transactions that have not ended, in the order they began.
func (fs *FS) openWriters() []*transaction {
	fs.mu.Lock()
	var writers []*transaction
	for _, t := range fs.writers {
		writers = append(writers, t)
	}
	fs.mu.Unlock()
	slices.SortFunc(writers, func(a, b *transaction) int { return cmp.Compare(a.id, b.id) })
	return writers
}

func (t *transaction) describeOpen(ctx context.Context) Transaction {
	by := t.fs.history.runs(t.opener.Thread, t.fs.clock())
	path := t.fs.path(ctx, t.file)
	d := Transaction{
		Path: path, PathBytes: PathBytes(path), Object: t.file.id, Opened: t.openedAt.UTC(), Bytes: t.sizeNow(),
		UID: t.opener.UID, PID: by.process, Program: by.name, Committing: t.inCommit.Load(),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	d.State, d.Changed, d.Base, d.Kept = t.state.String(), t.changed(), t.base.ETag, t.kept.id
	return d
}

// sizeNow is size without waiting, -1 if it would have to.
func (t *transaction) sizeNow() int64 {
	if !t.content.TryRLock() {
		return -1
	}
	defer t.content.RUnlock()
	return t.sizeHeld()
}

// String is the state in a word.
func (s txState) String() string {
	switch s {
	case txLost:
		return "lost"
	case txUnknown:
		return "unknown"
	case txDetached:
		return "detached"
	case txEnded:
		return "ended"
	default:
		return "open"
	}
}

// counters count what becomes of commits.
type counters struct {
	committed, rebased, lost, failed, unknown, kept atomic.Uint64
	took                                            meter.Histogram
}

// Counts is what has been counted since the FS began, and how things are now.
type Counts struct {
	Committed    uint64 // commits on the version they began with
	Rebased      uint64 // appends that were committed on a newer one
	Lost         uint64 // commits that found another version
	Failed       uint64 // that failed otherwise, or whose file was never closed
	Unknown      uint64 // of which it is unknown whether they were applied
	Kept         uint64 // times that bytes were kept
	Commits      meter.Distribution
	Open         int   // files open for writing
	Changed      int   // of those, changed since their last commit
	Committing   int   // of those, in a commit now
	StagingBytes int64 // sizes of the changed
}

// Counts tells how much there was of what. It waits for nothing.
func (fs *FS) Counts() Counts {
	n := &fs.counters
	c := Counts{
		Committed: n.committed.Load(), Rebased: n.rebased.Load(), Lost: n.lost.Load(), Failed: n.failed.Load(), Unknown: n.unknown.Load(),
		Kept: n.kept.Load(), Commits: n.took.Read(),
	}
	for _, t := range fs.openWriters() {
		c.Open++
		if t.inCommit.Load() {
			c.Committing++
		}
		if t.uncommitted() {
			c.Changed++
			c.StagingBytes += max(0, t.sizeNow())
		}
	}
	return c
}

// stopped counts a transaction that could not commit.
func (n *counters) stopped(r objstore.ConflictReason) {
	switch r {
	case objstore.ReasonLost:
		n.lost.Add(1)
	case objstore.ReasonUnknown:
		n.unknown.Add(1)
	default:
		n.failed.Add(1)
	}
}
