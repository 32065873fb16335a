package fs

import (
	"context"
	"io"
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

// reading is what a read-only handle shows: a pinned version, or the view of a
// writer until that commits.
type reading struct {
	object objstore.ID // constant

	// Guarded by mu.
	mu      sync.Mutex
	pin     *pin         // nil while following, and once nothing can be shown any more
	follows *transaction // nil once settled
	// latest is the newest version known to be pin's bytes followed by more.
	latest objstore.Version
	begun  bool // it has been read from
}

func (r *reading) read(ctx context.Context, p []byte, off int64) (int, error) {
	for {
		writer, pinned := r.use()
		if writer != nil {
			n, err := writer.read(ctx, p, off)
			if still, _ := r.source(); still == writer {
				return n, err
			}
			continue // it has committed, and may be gone
		}
		if pinned == nil {
			return 0, &Error{Op: "read", Kind: ErrStale}
		}
		defer pinned.release()
		n, err := pinned.reader.ReadAt(ctx, p, off)
		return n, endOrStale(err)
	}
}

// endOrStale is what a read answers for a reader's error: nothing for the end of the file, and ErrStale where the
// store has no pins and the version is gone. The end is io.EOF itself: one with another error around it is a connection that broke.
func endOrStale(err error) error {
	switch {
	case err == io.EOF:
		return nil
	case objstore.IsLostCondition(err):
		return &Error{Op: "read", Kind: ErrStale, Err: err}
	default:
		return err
	}
}

// source is what is shown: one of the two, or neither.
func (r *reading) source() (*transaction, *pin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.follows, r.pin
}

// use is source for a read, with the pin to be released by the caller.
func (r *reading) use() (*transaction, *pin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = true
	if r.pin != nil {
		r.pin.acquire()
	}
	return r.follows, r.pin
}

// hasRead reports whether bytes of t have been read from r, which follows it.
func (r *reading) hasRead(t *transaction) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begun && r.follows == t
}

func (r *reading) view() View {
	follows, pin := r.source()
	switch {
	case follows != nil:
		return follows.view()
	case pin != nil:
		return View{Object: r.object, Version: pin.version()}
	default:
		return View{Object: r.object}
	}
}

// show makes p what r shows, unless growth came first. It takes over p.
func (r *reading) show(p *pin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pin != nil {
		p.release()
		return
	}
	r.pin = p
}

// settle ends following: p, which it takes over, has the bytes the writer committed.
// With nil there is nothing to show: ErrStale, never a mix.
func (r *reading) settle(p *pin) *transaction {
	r.mu.Lock()
	defer r.mu.Unlock()
	writer := r.follows
	r.follows, r.pin = nil, p
	if p != nil {
		r.latest = p.version()
	}
	return writer
}

// follow notes that next is version followed by more, and reports whether r shows
// version or an older one that version grew from, and which.
func (r *reading) follow(version, next objstore.Version) (shown objstore.Version, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.latest != version || version == "" {
		return "", false
	}
	r.latest = next
	if r.pin == nil {
		return version, true // being opened: its own open will find the newer version
	}
	return r.pin.version(), true
}

// grow makes p, which it takes over, what r shows.
func (r *reading) grow(p *pin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.latest != p.version() {
		p.release()
		return
	}
	r.pin.release()
	r.pin = p
}

func (r *reading) close() *transaction {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pin.release()
	writer := r.follows
	r.pin, r.follows, r.latest = nil, nil, ""
	return writer
}

// grow moves the read-only handles that show c.Old, or what c.Old grew from, on
// to c.New. It returns the versions they showed, nil if they could not be moved, which
// is so when the next commit has already come.
func (fs *FS) grow(ctx context.Context, c objstore.Change) []objstore.Version {
	grown := []objstore.Version{}
	if fs.options.Follow == FollowNone {
		return nil
	}
	if fs.sharing() {
		return fs.growShared(ctx, c)
	}
	var readers []*reading
	for _, r := range fs.readersOf(c.Object) {
		if shown, ok := r.follow(c.Old, c.New); ok {
			readers, grown = append(readers, r), append(grown, shown)
		}
	}
	if len(readers) == 0 {
		return grown
	}
	opened, err := fs.ns.Open(ctx, c.Object, c.New)
	if err != nil {
		return nil
	}
	p := newPin(opened)
	defer p.release()
	for _, r := range readers {
		if p.acquire() {
			r.grow(p)
		}
	}
	return grown
}

// readersOf are the read-only handles on an object.
func (fs *FS) readersOf(id objstore.ID) []*reading {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.files[id]
	if f == nil {
		return nil
	}
	var all []*reading
	for _, h := range f.handles.all {
		if h.reading != nil {
			all = append(all, h.reading)
		}
	}
	return all
}
