package fs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etagfs/etagfs/fs/strtab"
	"github.com/etagfs/etagfs/objstore"
)

// history remembers, in memory and within bounds, who committed what through this FS and who lost against whom.
type history struct {
	// Constant.
	processes Processes
	host      string

	// Of each slot the newest stays. A commit takes no lock for them.
	writers  [writerSlots]atomic.Pointer[Writer]
	programs [programSlots]atomic.Pointer[program]

	mu     sync.Mutex
	losses []Loss // guarded by mu; oldest first
}

const (
	writerSlots  = 4096
	programSlots = 256
	lossesMax    = 256
	// programAge is for how long a thread is believed to belong to the same process and to run the same program.
	programAge = time.Second
)

// program is what a thread belongs to.
type program struct {
	thread, process uint32
	name            string
	found           time.Time
}

// Writer is who has made a version.
type Writer struct {
	Object    objstore.ID      `json:"object"`
	Version   objstore.Version `json:"version"`
	ETag      objstore.ETag    `json:"etag"`
	UID       uint32           `json:"uid"`
	PID       uint32           `json:"pid"` // 0: it cannot be seen from here
	Program   string           `json:"program,omitempty"`
	Host      string           `json:"host"`
	Time      time.Time        `json:"time"`
	Operation string           `json:"operation"`
}

// String says it in words.
func (w *Writer) String() string {
	name := w.Program
	if name == "" {
		name = "a program"
	}
	return fmt.Sprintf("%s (pid %d, uid %d) on %s at %s by %s", name, w.PID, w.UID, w.Host, w.Time.UTC().Format(time.RFC3339Nano), w.Operation)
}

// Loss is a commit that did not come to be, and where its bytes are.
type Loss struct {
	Reason    string              `json:"reason"` // as in info.json
	Path      string              `json:"path"`
	PathBytes []byte              `json:"path_base64,omitempty"` // if Path could not say it
	Time      time.Time           `json:"time"`
	Operation string              `json:"operation"`
	UID       uint32              `json:"uid"`
	PID       uint32              `json:"pid"`
	Program   string              `json:"program,omitempty"`
	Host      string              `json:"host"`
	Base      objstore.ETag       `json:"base"`   // of the version it was opened at; empty: there was no file
	Theirs    objstore.ETag       `json:"theirs"` // of the version that won; empty: the file was gone
	Winner    *Writer             `json:"winner,omitempty"`
	Kept      objstore.ConflictID `json:"kept"`
	KeptStill bool                `json:"kept_still"` // not decided or dropped since
	Bytes     int64               `json:"bytes"`
	Detail    string              `json:"detail,omitempty"`

	object objstore.ID
	theirs rival
}

// rival is the version a commit lost against.
type rival struct {
	objstore.ContentRef
	object objstore.ID
}

func newHistory(p Processes, host string) *history { return &history{processes: p, host: host} }

// runs is the process and the program of a thread, as far as it can be seen.
func (h *history) runs(thread uint32, now time.Time) program {
	if thread == 0 {
		return program{}
	}
	slot := &h.programs[thread%programSlots]
	if known := slot.Load(); known != nil && known.thread == thread && now.Sub(known.found).Abs() < programAge {
		return *known
	}
	p := program{thread: thread, found: now}
	if process, known := h.processes.ThreadGroup(thread); known {
		p.process, p.name = process, h.processes.Name(process)
	}
	slot.Store(&p)
	return p
}

// committed remembers who made info.
func (h *history) committed(o order, info objstore.Info, now time.Time) {
	by := h.runs(o.caller.Thread, now)
	h.writers[writerSlot(info.ID)].Store(&Writer{
		Object: info.ID, Version: info.Version, ETag: info.ETag,
		UID: o.caller.UID, PID: by.process, Program: by.name, Host: h.host, Time: now, Operation: o.op,
	})
}

// gather puts the writers that are remembered side by side: each was made among much that is gone since, and one that is
// left of a span of Go's heap keeps the whole of it.
func (h *history) gather() {
	together := make([]Writer, writerSlots)
	var text strtab.Table
	for i := range h.writers {
		if w := h.writers[i].Load(); w != nil {
			together[i] = *w
			together[i].Version = objstore.Version(text.Copy(string(w.Version)))
			together[i].ETag = objstore.ETag(text.Copy(string(w.ETag)))
			h.writers[i].CompareAndSwap(w, &together[i]) // or there is a newer one
		}
	}
}

func writerSlot(id objstore.ID) uint64 { return uint64(id) % writerSlots }

// writerOf is who made a version, nil if that is not remembered: another mount, a client of S3, or long ago.
func (h *history) writerOf(id objstore.ID, v objstore.Version) *Writer {
	w := h.writers[writerSlot(id)].Load()
	if w == nil || w.Object != id || w.Version != v || v == "" {
		return nil
	}
	return w
}

// lost remembers a commit whose bytes were kept, in place of what it was remembered as before.
func (h *history) lost(c objstore.Conflict, program string, theirs rival) {
	loss := lossOf(c)
	loss.Program, loss.theirs = program, theirs
	h.mu.Lock()
	defer h.mu.Unlock()
	h.losses = slices.DeleteFunc(h.losses, func(old Loss) bool { return old.Kept == c.ID })
	if len(h.losses) == lossesMax {
		h.losses = slices.Delete(h.losses, 0, 1)
	}
	h.losses = append(h.losses, loss)
}

func lossOf(c objstore.Conflict) Loss {
	return Loss{
		Reason: ReasonText(c.Reason), Path: c.Path, PathBytes: PathBytes(c.Path), Time: c.Time.UTC(), Operation: c.Operation, UID: c.UID, PID: c.PID, Host: c.Host,
		Base: c.Base.ETag, Theirs: c.Theirs.ETag, Kept: c.ID, Bytes: c.Bytes, Detail: c.Detail,
		object: c.Object, theirs: rival{ContentRef: c.Theirs, object: c.Object},
	}
}

// lastLoss is the newest of a file that is the caller's business.
func (h *history) lastLoss(c Caller, object objstore.ID, path string) (Loss, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, loss := range slices.Backward(h.losses) {
		if (loss.object == object || path != "" && loss.Path == path) && (c.UID == 0 || c.UID == loss.UID) {
			return loss, true
		}
	}
	return Loss{}, false
}

// Why is what is known of how a file came to be as it is.
type Why struct {
	Path      string           `json:"path"`
	PathBytes []byte           `json:"path_base64,omitempty"` // if Path could not say it
	Object    objstore.ID      `json:"object"`
	ETag      objstore.ETag    `json:"etag,omitempty"` // none: it was never committed
	Version   objstore.Version `json:"version,omitempty"`
	Size      int64            `json:"size"`
	Modified  time.Time        `json:"modified,omitzero"` // the commit
	Writer    *Writer          `json:"writer,omitempty"`  // nil: not through this mount since it began, as far as it remembers
	Open      []Transaction    `json:"open,omitempty"`    // writers of it, of the caller's
	Lost      *Loss            `json:"lost,omitempty"`    // the newest, of the caller's
}

// Why tells what is known of the version of a file that is committed, and of the newest commit to it that lost.
func (fs *FS) Why(ctx context.Context, c Caller, object objstore.ID) (Why, error) {
	why := Why{Object: object}
	info, err := fs.ns.Stat(ctx, object)
	f := fs.openFile(object)
	switch {
	case err == nil:
		why.ETag, why.Version, why.Size, why.Modified = info.ETag, info.Version, info.Size, info.Modified.UTC()
		why.Writer = fs.history.writerOf(object, info.Version)
	case f == nil || objstore.KindOf(err) != objstore.ErrNotFound:
		return why, err
	}
	if f != nil {
		why.Path = fs.path(ctx, f)
	} else if why.Path, err = fs.ns.Path(ctx, object); err != nil {
		return why, err
	}
	why.PathBytes = PathBytes(why.Path)
	for _, t := range fs.Transactions(ctx) {
		if t.Object == object && (c.UID == 0 || c.UID == t.UID) {
			why.Open = append(why.Open, t)
		}
	}
	why.Lost, err = fs.lossOf(ctx, c, object, why.Path)
	return why, err
}

// lossOf is the newest loss of a file: what is remembered, or else what is kept.
func (fs *FS) lossOf(ctx context.Context, c Caller, object objstore.ID, path string) (*Loss, error) {
	loss, found := fs.history.lastLoss(c, object, path)
	all, err := fs.ns.ListConflicts(ctx)
	if err != nil {
		return nil, err
	}
	for _, kept := range slices.Backward(all) {
		switch {
		case found && kept.ID == loss.Kept:
			loss.KeptStill = true
		case !found && mayResolve(c, kept) && (kept.Object == object || kept.Path == path):
			loss, found = lossOf(kept), true
			loss.KeptStill = true
		}
	}
	if !found {
		return nil, nil
	}
	loss.Winner = fs.history.writerOf(loss.theirs.object, loss.theirs.Version)
	return &loss, nil
}

// byWhom is a sentence on who won, for the kept copy; empty if that is not known.
func (h *history) byWhom(theirs rival) string {
	w := h.writerOf(theirs.object, theirs.Version)
	if w == nil {
		return ""
	}
	return "won by " + w.String()
}

// joinDetail joins what is there with semicolons.
func joinDetail(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}
