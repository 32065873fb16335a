package space

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// BallastName is the name of the ballast file in the store's directory.
const BallastName = "ballast"

const (
	// awaitEvery is how often one who waits for room looks again.
	awaitEvery = 100 * time.Millisecond
	// believedFor is how long what the file system said is believed if it leaves plentyBytes: nobody
	// writes that much meanwhile.
	believedFor = 10 * time.Millisecond
	plentyBytes = 1 << 30
)

// Profile says how much to keep free.
type Profile struct {
	ReserveBytes int64
	BallastBytes int64
}

// Mount is the profile of a personal mount.
func Mount() Profile { return Profile{ReserveBytes: 128 << 20, BallastBytes: 32 << 20} }

// Server is the profile of a server.
func Server() Profile { return Profile{ReserveBytes: 1 << 30, BallastBytes: 256 << 20} }

// scaled fits a profile to a small file system: together they never take more than three eighths.
func (p Profile) scaled(totalBytes int64) Profile {
	return Profile{
		ReserveBytes: min(p.ReserveBytes, totalBytes/4),
		BallastBytes: min(p.BallastBytes, totalBytes/8),
	}
}

// Guard admits writes to one directory's file system.
type Guard struct {
	// Constant.
	fs      disk.FS
	dir     string
	profile Profile // scaled
	total   int64
	now     func() time.Time

	mu       sync.Mutex
	seen     look  // GUARDED_BY(mu)
	inFlight int64 // GUARDED_BY(mu). INVARIANT: >= 0
	ballast  int64 // GUARDED_BY(mu): bytes the ballast holds now. INVARIANT: 0 or profile.BallastBytes
}

// look is what the file system said last.
type look struct {
	at   time.Time // zero: never
	free int64     // beyond what was in flight then
	// admitted since then, of which some may be written already. INVARIANT: >= 0
	admitted int64
}

// Open starts to guard dir. If the disk is full the ballast goes first, so
// that whatever is opened next has room.
func Open(fsys disk.FS, dir string, p Profile, now func() time.Time) (*Guard, error) {
	space, err := fsys.Space(dir)
	if err != nil {
		return nil, disk.Error("open store", err)
	}
	g := &Guard{fs: fsys, dir: dir, profile: p.scaled(space.BytesTotal), total: space.BytesTotal, now: now}
	info, err := fsys.Stat(g.ballastName())
	switch {
	case err == nil && info.BytesAllocated >= g.profile.BallastBytes:
		g.ballast = g.profile.BallastBytes
	case err == nil: // of another profile, or a crash left it half made
		err = g.release()
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err != nil {
		return g, err
	}
	if g.ballast > 0 && space.BytesFree < g.profile.ReserveBytes/2 {
		return g, g.release()
	}
	return g, g.Tend()
}

func (g *Guard) ballastName() string { return filepath.Join(g.dir, BallastName) }

// Reserve admits n bytes to be written, or is ErrNoSpace. Release must follow
// once they are written or given up.
func (g *Guard) Reserve(n int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isPlenty(n) {
		g.admit(n)
		return nil
	}
	free, err := g.freeLocked()
	if err != nil {
		return err
	}
	if room := free - g.missing() - g.profile.ReserveBytes; n > room {
		return noSpace(n, room)
	}
	g.admit(n)
	return nil
}

// isPlenty reports whether n bytes may be admitted to anybody on what was seen a moment ago.
func (g *Guard) isPlenty(n int64) bool {
	since := g.now().Sub(g.seen.at)
	return since >= 0 && since < believedFor &&
		g.seen.free-g.seen.admitted-n-g.missing()-g.profile.ReserveBytes >= plentyBytes
}

func (g *Guard) admit(n int64) {
	g.inFlight += n
	g.seen.admitted += n
}

// ReserveEssential is Reserve for what frees space or must not fail for the
// lack of it: deletes, attribute changes, bookkeeping. It may use the reserve
// and half of the ballast, which it gives up if need be.
func (g *Guard) ReserveEssential(n int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isPlenty(n) {
		g.admit(n)
		return nil
	}
	free, err := g.freeLocked()
	if err != nil {
		return err
	}
	if g.ballast > 0 && n > g.essentialRoom(free) {
		if err := g.release(); err != nil {
			return err
		}
		if free, err = g.freeLocked(); err != nil {
			return err
		}
	}
	if room := g.essentialRoom(free); n > room {
		return noSpace(n, room)
	}
	g.admit(n)
	return nil
}

// essentialRoom is what may be admitted to essential writes of what is free: half of the ballast's size stays, for others who
// write to the disk between the admission and the write.
func (g *Guard) essentialRoom(free int64) int64 { return free - g.profile.BallastBytes/2 }

// Room is nil if ReserveEssential would admit n bytes.
func (g *Guard) Room(n int64) error {
	err := g.ReserveEssential(n)
	if err == nil {
		g.Release(n)
	}
	return err
}

// Await returns once there is room for n bytes, however long that takes.
func (g *Guard) Await(n int64) {
	if g.Room(n) == nil {
		return
	}
	ticker := time.NewTicker(awaitEvery)
	defer ticker.Stop()
	for g.Room(n) != nil {
		<-ticker.C
	}
}

func noSpace(n, room int64) error {
	return &objstore.Error{Op: "reserve space", Kind: objstore.ErrNoSpace,
		Detail: fmt.Sprintf("no space: %d bytes asked, %d left", n, max(room, 0))}
}

// Release ends a reservation of n bytes.
func (g *Guard) Release(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight -= n
}

// Usage is the size of the file system and what writers may still use of it.
func (g *Guard) Usage() (total, free int64, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	free, err = g.freeLocked()
	return g.total, max(free-g.missing()-g.profile.ReserveBytes, 0), err
}

// Tend remakes the ballast if there is room again; so much that it does not come and go. Call it every second or so.
func (g *Guard) Tend() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	free, err := g.freeLocked()
	if err != nil || g.ballast > 0 || free-g.missing() < 2*g.profile.ReserveBytes {
		return err
	}
	return g.make()
}

// freeLocked asks for the free space beyond bytes in flight. It may be negative.
func (g *Guard) freeLocked() (int64, error) {
	space, err := g.fs.Space(g.dir)
	if err != nil {
		return 0, disk.Error("statfs", err)
	}
	g.seen = look{at: g.now(), free: space.BytesFree - g.inFlight}
	return g.seen.free, nil
}

// missing is what the ballast will take when it is made again.
func (g *Guard) missing() int64 { return g.profile.BallastBytes - g.ballast }

func (g *Guard) release() error {
	g.ballast = 0
	err := g.fs.Remove(g.ballastName())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return disk.Error("release ballast", err)
}

// make is best effort: a file system that cannot allocate blocks ahead has no ballast.
func (g *Guard) make() error {
	f, err := g.fs.OpenRW(g.ballastName())
	if err != nil {
		return disk.Error("make ballast", err)
	}
	if err := errors.Join(f.Allocate(0, g.profile.BallastBytes), f.Close()); err != nil {
		return g.release()
	}
	g.ballast = g.profile.BallastBytes
	return nil
}
