package fs

import (
	"context"
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

// Keeping is what a kernel that keeps listings may do with those of a directory that it opens.
type Keeping int

const (
	// KeepsNothing: this listing is for nobody else, and what is kept is not for it.
	KeepsNothing Keeping = iota
	// KeepsAnew: what is kept is void from now on, and what is listed may be kept.
	KeepsAnew
	// Keeps: what was kept since it was void last is what there is, and what is listed may be kept.
	Keeps
)

// listings are the Dirs whose listings a kernel keeps. All opens of a directory that may use what is kept share one, because
// the cookies in it are that one's; they share it until a name in the directory changes. From then on there is none until the last
// of them is closed: what they were told may reach the kernel's memory as late as that.
//
// Nothing that is kept has a pending create in it: who sees that depends on who asks.
type listings struct {
	mu sync.Mutex
	// Guarded by mu.
	of     map[objstore.ID]*Dir
	idle   int    // bytes of those that nobody has open
	spaces uint64 // of cookies, given out
}

// A cookie has the space it is from in its upper half, below the sign.
const (
	spaceShift = 32
	spacesMost = 1<<31 - 1
)

// newSpace is a space of cookies that no other Dir has, of the last two thousand millions.
func (l *listings) newSpace() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spaces = l.spaces%spacesMost + 1
	return l.spaces << spaceShift
}

// keptDir is what a Dir of listings has beside. listings.mu guards it.
type keptDir struct {
	users int  // opens
	begun bool // the kernel has begun to list: what it kept before is void
	stale bool // a name has changed
	bytes int  // counted as idle
}

// idleBytesMost is how much memory directories may take that nobody has open, and idleDirBytes what each takes beside its names.
const (
	idleBytesMost = 8 << 20
	idleDirBytes  = 512
)

// OpenKept is OpenDir for a kernel that keeps listings as it is told. It hears of changes from [Dir.Stale].
// Whatever is opened is to be closed.
func (fs *FS) OpenKept(ctx context.Context, dir objstore.ID) (*Dir, Keeping, error) {
	d, err := fs.OpenDir(ctx, dir)
	if err != nil || isControl(dir) {
		return d, KeepsNothing, err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for at := range fs.creations {
		if at.dir == dir {
			return d, KeepsNothing, nil
		}
	}
	d, keeping := fs.listings.open(d)
	return d, keeping, nil
}

// open returns d or the Dir to use instead.
func (l *listings) open(d *Dir) (*Dir, Keeping) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch kept := l.of[d.id]; {
	case kept == nil:
		d.kept = &keptDir{users: 1}
		if l.of == nil {
			l.of = make(map[objstore.ID]*Dir)
		}
		l.of[d.id] = d
		return d, KeepsAnew
	case kept.kept.stale || !kept.kept.begun:
		return d, KeepsNothing
	default:
		if kept.kept.users == 0 {
			l.idle -= kept.kept.bytes
		}
		kept.kept.users++
		return kept, Keeps
	}
}

// changed notes that a name in a directory came or went. It takes no other lock.
func (l *listings) changed(dir objstore.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.of[dir]; d != nil {
		d.kept.stale = true
		l.drop(d)
	}
}

// drop forgets d if nobody has it open and it is of no use, or too much. mu is held.
func (l *listings) drop(d *Dir) {
	if d.kept.users == 0 && l.of[d.id] == d && (d.kept.stale || l.idle > idleBytesMost) {
		l.idle -= d.kept.bytes
		delete(l.of, d.id)
	}
}

// told notes what a change of the store changes in listings.
func (l *listings) told(c objstore.Change) {
	switch c.Kind {
	case objstore.ChangeCreated:
		l.changed(c.Parent)
	case objstore.ChangeRemoved:
		l.changed(c.Parent)
		l.changed(c.Object) // it lists nothing
	case objstore.ChangeMoved:
		l.changed(c.Parent)
		l.changed(c.NewParent)
		l.changed(c.Object) // its ".."
		l.changed(c.Replaced)
	}
}

// begin notes that the kernel lists.
func (l *listings) begin(d *Dir) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.kept.begun = true
}

// Stale reports whether a name has changed since d was opened and its listing must not be kept any more. A Dir that is not kept never
// is.
func (d *Dir) Stale() bool {
	if d.kept == nil {
		return false
	}
	d.fs.listings.mu.Lock()
	defer d.fs.listings.mu.Unlock()
	return d.kept.stale
}

// Close ends an open. What is read afterwards of a Dir that others have open is as before.
func (d *Dir) Close() {
	if d.kept == nil {
		return
	}
	d.mu.Lock()
	bytes := idleDirBytes + d.cookies.bytes()
	d.mu.Unlock()
	l := &d.fs.listings
	l.mu.Lock()
	defer l.mu.Unlock()
	d.kept.begun = true
	if d.kept.users--; d.kept.users > 0 {
		return
	}
	d.kept.bytes = bytes
	l.idle += bytes
	l.drop(d)
	for _, other := range l.of {
		if l.idle <= idleBytesMost {
			return
		}
		l.drop(other)
	}
}
