package fs

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

// Dir is an open directory.
//
// A walk lists ".", "..", then the creates that were pending when it began, then
// what the store has, without the names already listed: so a file that is
// committed meanwhile is listed once. One whose listing a kernel keeps (see listings) lists no pending
// creates: there were none when it was opened.
type Dir struct {
	// Constant.
	fs    *FS
	id    objstore.ID
	kept  *keptDir // nil: listed for who opened it alone
	space uint64   // the upper half of its cookies

	// Guarded by mu, which is held over store calls.
	mu      sync.Mutex
	pending []string // names, as of the start of the walk, in order; none if kept
	cookies cookies  // a cookie is that of the name it comes after, + firstCookie
	ahead   ahead
}

// The cookies after "." and "..", and that of the first name.
const (
	cookieDot    = 1
	cookieDotDot = 2
	firstCookie  = 3
)

// errNoCookie is the answer to a cookie that was not given out.
var errNoCookie = &objstore.Error{Op: "readdir", Kind: objstore.ErrInvalid}

// readDirBatch is how many entries are asked of the store at a time, at most.
const readDirBatch = 256

// Room is what an answer to a listing holds. However little that is, it is for one entry.
type Room struct {
	Bytes int  // in all
	Entry int  // that an entry takes beside its name
	Plain bool // nothing is wanted of an entry but its name, its object and its type
}

// entries is how many with names of so many bytes are asked of the store: one more than there is room for, so that none is left.
func (r Room) entries(nameBytes int) int {
	return min(max(r.Bytes, 0)/(r.Entry+nameBytes)+1, readDirBatch)
}

// OpenDir opens a directory for listing.
func (fs *FS) OpenDir(ctx context.Context, dir objstore.ID) (*Dir, error) {
	if !isControl(dir) {
		info, err := fs.ns.Stat(ctx, dir)
		if err != nil {
			return nil, err
		}
		if info.Type != objstore.TypeDir {
			return nil, &objstore.Error{Op: "open directory", Kind: objstore.ErrNotDir}
		}
	}
	return &Dir{fs: fs, id: dir}, nil
}

// OpenGone is OpenDir for a directory that has been removed: it lists nothing.
func (fs *FS) OpenGone(dir objstore.ID) *Dir {
	return &Dir{fs: fs, id: dir}
}

// Again opens the directory anew, for a listing that nobody keeps. No cookie of it is one of d's, or of another's.
func (d *Dir) Again() *Dir { return &Dir{fs: d.fs, id: d.id, space: d.fs.listings.newSpace()} }

// Gave reports whether a cookie that is not 0 may be one of d's.
func (d *Dir) Gave(cookie uint64) bool { return cookie>>spaceShift<<spaceShift == d.space }

// Names is how many names have been listed.
func (d *Dir) Names() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cookies.count
}

// Sync is fsync(2) of a directory.
func (d *Dir) Sync(ctx context.Context) error {
	ctx, cancel := d.fs.commitContext(ctx)
	defer cancel()
	return d.fs.ns.Sync(ctx)
}

// Read calls yield for each entry after cookie, 0 being the start, "." and ".." first, until it
// returns false or there are no more; once little room is left, it may end there too. next is the cookie that continues after
// the entry; cookies stay valid as long as the Dir. Cookie 0 starts anew. What an entry shows is
// what this caller should see.
func (d *Dir) Read(ctx context.Context, c Caller, cookie uint64, room Room, yield func(entry DirEntry, next uint64) bool) error {
	if cookie != 0 && !d.Gave(cookie) {
		return errNoCookie
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.read(ctx, c, cookie&^d.space, room, func(e DirEntry, next uint64) bool { return yield(e, next|d.space) })
}

// read is Read with the lower halves of cookies.
func (d *Dir) read(ctx context.Context, c Caller, cookie uint64, room Room, yield func(entry DirEntry, next uint64) bool) error {
	switch {
	case d.kept != nil:
		d.fs.listings.begin(d)
	case cookie == 0:
		d.pending, d.ahead = d.fs.pendingNames(d.id), ahead{}
	}
	if !d.cookies.goTo(max(cookie, firstCookie-1) - (firstCookie - 1)) {
		return errNoCookie
	}
	if cookie < firstCookie {
		if more, err := d.dots(ctx, c, cookie, yield); err != nil || !more {
			return err
		}
	}
	if isControl(d.id) {
		return d.readControl(ctx, c, cookie, yield)
	}
	after, more, err := d.readPending(ctx, c, cookie, yield)
	if err != nil || !more {
		return err
	}
	if room.Plain && d.kept != nil && !d.Stale() {
		if some := d.readKept(cookie, yield); some {
			return nil
		}
	}
	return d.readStore(ctx, c, after, room, yield)
}

// dots yields "." and "..".
func (d *Dir) dots(ctx context.Context, c Caller, cookie uint64, yield func(DirEntry, uint64) bool) (more bool, err error) {
	if cookie < cookieDot {
		attr, err := d.fs.Stat(ctx, c, View{Object: d.id})
		if errors.Is(err, objstore.ErrNotFound) || errors.Is(err, ErrStale) {
			return false, nil // removed: it lists nothing, not even itself
		}
		if err != nil || !yield(DirEntry{".", Entry{View{Object: d.id}, attr}}, cookieDot) {
			return false, err
		}
	}
	if cookie < cookieDotDot {
		parent, err := d.fs.Parent(ctx, d.id)
		if err != nil {
			return false, notFoundIsEnd(err)
		}
		attr, err := d.fs.Stat(ctx, c, View{Object: parent})
		if err != nil || !yield(DirEntry{"..", Entry{View{Object: parent}, attr}}, cookieDotDot) {
			return false, err
		}
	}
	return true, nil
}

// notFoundIsEnd makes the listing of a directory that is gone end instead of fail.
func notFoundIsEnd(err error) error {
	if errors.Is(err, objstore.ErrNotFound) {
		return nil
	}
	return err
}

// readPending yields the pending creates after cookie, and says after which name to
// go on in the store.
func (d *Dir) readPending(ctx context.Context, c Caller, cookie uint64, yield func(DirEntry, uint64) bool) (after string, more bool, err error) {
	next := 0
	if cookie >= firstCookie {
		after = d.cookies.at(int(cookie - firstCookie))
		i, pending := slices.BinarySearch(d.pending, after)
		if !pending {
			return after, true, nil
		}
		next = i + 1
	}
	for _, name := range d.pending[next:] {
		entry, err := d.fs.Lookup(ctx, c, d.id, name)
		if errors.Is(err, objstore.ErrNotFound) {
			continue // unlinked or moved meanwhile
		}
		if err != nil || !yield(DirEntry{name, entry}, d.cookie(DirEntry{name, entry})) {
			return "", false, err
		}
	}
	return "", true, nil
}

// readKept yields what was listed before after cookie, if there is any: no name has come or gone since. It is as
// fresh as what the kernel keeps, which keeps nothing of a walk that has not come to its end.
func (d *Dir) readKept(cookie uint64, yield func(DirEntry, uint64) bool) (some bool) {
	if d.cookies.numbers != nil {
		return false // not in the order of the listing
	}
	w := d.cookies.from(int(max(cookie, firstCookie-1) - (firstCookie - 1)))
	for w.next() {
		some = true
		e := DirEntry{string(w.name), Entry{View{Object: w.object}, Attr{Type: w.typ}}}
		if !yield(e, uint64(w.number-1+firstCookie)) {
			break
		}
	}
	return some
}

// readStore yields what the store has after a name. It asks for as much as there is room for, going by the names listed so far: what
// is asked for in vain costs as much, and a kernel may ask with little room for a single entry, behind seekdir(3) say.
func (d *Dir) readStore(ctx context.Context, c Caller, after string, room Room, yield func(DirEntry, uint64) bool) error {
	const little = 8 // of the room, one part in so many: the next answer begins with what would be asked for to fill it
	for left := room; left.Bytes >= room.Bytes/little; {
		entries, more, err := d.next(ctx, after, left)
		if err != nil {
			return notFoundIsEnd(err)
		}
		for _, e := range entries {
			after = e.Name
			if _, listed := slices.BinarySearch(d.pending, e.Name); listed {
				continue
			}
			entry, err := d.fs.entry(ctx, c, entryKey{d.id, e.Name}, e.Info, true)
			if err != nil {
				return err
			}
			if !yield(DirEntry{e.Name, entry}, d.cookie(DirEntry{e.Name, entry})) {
				return nil
			}
			left.Bytes -= left.Entry + len(e.Name)
		}
		if !more || len(entries) == 0 {
			return nil
		}
	}
	return nil
}

// cookie is the one that continues after an entry: the same however often its name is listed.
func (d *Dir) cookie(e DirEntry) uint64 {
	return uint64(d.cookies.number(e.Name, e.View.Object, e.Attr.Type) + firstCookie)
}

// pendingNames are the pending creates in a directory, in order.
func (fs *FS) pendingNames(dir objstore.ID) []string {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	var names []string
	for at := range fs.creations {
		if at.dir == dir {
			names = append(names, at.name)
		}
	}
	slices.Sort(names)
	return names
}

// Parent is the directory above a directory; the root is its own.
func (fs *FS) Parent(ctx context.Context, dir objstore.ID) (objstore.ID, error) {
	if isControl(dir) {
		return fs.controlParent(dir), nil
	}
	return fs.ns.Parent(ctx, dir)
}
