package space

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

const mib = 1 << 20

// fakeDisk has a free space that a test sets; the ballast counts.
type fakeDisk struct {
	disk.OS
	mu    sync.Mutex
	total int64
	used  int64 // but for the ballast
	dir   string
	asked int       // how often for its space
	time  time.Time // its clock's
}

func (d *fakeDisk) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.time
}

func (d *fakeDisk) pass(t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.time = d.time.Add(t)
}

func (d *fakeDisk) Space(string) (disk.Space, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	free := d.total - d.used
	if info, err := d.Stat(filepath.Join(d.dir, BallastName)); err == nil {
		free -= info.BytesAllocated
	}
	return disk.Space{BytesTotal: d.total, BytesFree: max(free, 0)}, nil
}

func (d *fakeDisk) fill(used int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used = used
}

func (d *fakeDisk) ballast() bool {
	_, err := os.Stat(filepath.Join(d.dir, BallastName))
	return err == nil
}

func open(t *testing.T, d *fakeDisk, p Profile) *Guard {
	t.Helper()
	g, err := Open(d, d.dir, p, d.now)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

var small = Profile{ReserveBytes: 8 * mib, BallastBytes: 2 * mib}

// Writers are refused when the reserve would be touched; what is in flight counts.
func TestReserveIsKept(t *testing.T) {
	d := &fakeDisk{total: 100 * mib, dir: t.TempDir()}
	g := open(t, d, small)
	if err := g.Reserve(91 * mib); !errors.Is(err, objstore.ErrNoSpace) {
		t.Errorf("91 of 90 MiB: %v", err)
	}
	if err := g.Reserve(60 * mib); err != nil {
		t.Fatal(err)
	}
	if err := g.Reserve(31 * mib); !errors.Is(err, objstore.ErrNoSpace) {
		t.Errorf("31 more: %v", err)
	}
	d.fill(60 * mib)
	g.Release(60 * mib)
	if total, free, err := g.Usage(); total != 100*mib || free != 30*mib || err != nil {
		t.Errorf("usage %d, %d, %v", total, free, err)
	}
	if err := g.Reserve(30 * mib); err != nil {
		t.Error(err)
	}
}

// While there is plenty of room the file system is asked once in ten milliseconds, whoever asks; never
// for more than a gibibyte before the reserve.
func TestPlentyOfRoomIsBelievedForAMoment(t *testing.T) {
	d := &fakeDisk{total: 4 << 30, dir: t.TempDir()}
	g := open(t, d, small)
	asks := func(reserve func(int64) error, n int64, want int) {
		t.Helper()
		before := d.asked
		if err := reserve(n); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		if (d.asked > before) != (want > 0) {
			t.Errorf("%d bytes: asked %d times", n, d.asked-before)
		}
	}
	d.pass(time.Second)
	asks(g.Reserve, mib, 1)
	asks(g.Reserve, mib, 0)
	asks(g.ReserveEssential, mib, 0)
	d.pass(believedFor)
	asks(g.ReserveEssential, mib, 1)
	asks(g.Reserve, 2<<30, 0)
	g.Release(2 << 30) // written: it still counts
	asks(g.Reserve, 1<<30, 1)
	d.pass(-time.Second)
	asks(g.Reserve, mib, 1)
}

// What others take is noticed at once where there is less than plenty, and in a moment where there was.
func TestRoomTakenByOthersIsNoticed(t *testing.T) {
	d := &fakeDisk{total: 4 << 30, dir: t.TempDir()}
	g := open(t, d, small)
	if err := g.Reserve(1); err != nil {
		t.Fatal(err)
	}
	d.fill(4 << 30)
	d.pass(believedFor)
	if err := g.Reserve(1); !errors.Is(err, objstore.ErrNoSpace) {
		t.Errorf("a moment later: %v", err)
	}
	d.fill(3 << 30)
	if err := g.Reserve(1); err != nil {
		t.Fatal(err)
	}
	d.fill(4 << 30)
	if err := g.Reserve(1); !errors.Is(err, objstore.ErrNoSpace) {
		t.Errorf("at once: %v", err)
	}
}

// Deletes go on when writers are refused, down to nearly nothing; then the ballast goes, and
// its space is not for writers.
func TestEssentialWritesUseReserveAndBallast(t *testing.T) {
	d := &fakeDisk{total: 100 * mib, dir: t.TempDir()}
	g := open(t, d, small)
	d.fill(92 * mib)
	if err := g.Reserve(1); !errors.Is(err, objstore.ErrNoSpace) {
		t.Errorf("writer: %v", err)
	}
	if err := g.ReserveEssential(mib / 2); err != nil || !d.ballast() {
		t.Errorf("delete: %v, ballast %v", err, d.ballast())
	}
	d.fill(98 * mib) // from outside
	if err := g.ReserveEssential(mib / 2); err != nil || d.ballast() {
		t.Errorf("delete on a full disk: %v, ballast %v", err, d.ballast())
	}
	if err := g.ReserveEssential(mib); !errors.Is(err, objstore.ErrNoSpace) {
		t.Errorf("more than there is: %v", err)
	}
	d.fill(91 * mib)
	if err := g.Reserve(1); !errors.Is(err, objstore.ErrNoSpace) {
		t.Errorf("writer, from what was the ballast: %v", err)
	}
	if err := g.Tend(); err != nil || d.ballast() {
		t.Errorf("ballast is back with little room: %v", err)
	}
	d.fill(10 * mib)
	if err := g.Tend(); err != nil || !d.ballast() {
		t.Errorf("ballast is not back: %v", err)
	}
}

// Whoever fills the disk, however slowly, does not get the ballast: it is there for the deletes that come then.
func TestBallastIsNotForOthersWhoFillTheDisk(t *testing.T) {
	d := &fakeDisk{total: 100 * mib, dir: t.TempDir()}
	g := open(t, d, small)
	for used := int64(90); used <= 98; used++ {
		d.fill(used * mib)
		if err := g.Tend(); err != nil {
			t.Fatal(err)
		}
		if err := g.Reserve(1); !errors.Is(err, objstore.ErrNoSpace) {
			t.Errorf("a writer, with %d MiB used: %v", used, err)
		}
		if !d.ballast() {
			t.Fatalf("the ballast is gone with %d MiB used", used)
		}
	}
	if err := g.ReserveEssential(mib / 2); err != nil || d.ballast() {
		t.Errorf("a delete: %v, ballast %v", err, d.ballast())
	}
}

// Opening a full disk releases the ballast first.
func TestOpenOfFullDiskReleasesBallast(t *testing.T) {
	d := &fakeDisk{total: 100 * mib, dir: t.TempDir()}
	open(t, d, small)
	if !d.ballast() {
		t.Fatal("no ballast")
	}
	d.fill(98 * mib)
	open(t, d, small)
	if d.ballast() {
		t.Error("ballast kept on a full disk")
	}
	if total, free, err := open(t, d, small).Usage(); free != 0 || err != nil {
		t.Errorf("usage %d, %d, %v", total, free, err)
	}
}

// A ballast of another size is made anew.
func TestBallastFollowsTheProfile(t *testing.T) {
	d := &fakeDisk{total: 100 * mib, dir: t.TempDir()}
	open(t, d, small)
	g := open(t, d, Profile{ReserveBytes: 8 * mib, BallastBytes: 4 * mib})
	if info, err := d.Stat(g.ballastName()); err != nil || info.BytesAllocated < 4*mib {
		t.Errorf("ballast %+v, %v", info, err)
	}
}

// On a small file system the profile shrinks: most of it is usable.
func TestSmallFileSystemIsUsable(t *testing.T) {
	d := &fakeDisk{total: 64 * mib, dir: t.TempDir()}
	g := open(t, d, Mount())
	if _, free, err := g.Usage(); free != 40*mib || err != nil {
		t.Errorf("free %d, %v", free, err)
	}
	if err := g.Reserve(30 * mib); err != nil {
		t.Error(err)
	}
}

// A file system that cannot allocate ahead has no ballast, and works.
func TestNoBallastWhereBlocksCannotBeAllocated(t *testing.T) {
	d := &fakeDisk{total: 100 * mib, dir: t.TempDir()}
	fs := disk.Hooked(d, func(op disk.Op) error {
		if op.Kind == disk.OpAllocate {
			return errors.ErrUnsupported
		}
		return nil
	})
	g, err := Open(fs, d.dir, small, d.now)
	if err != nil || d.ballast() {
		t.Fatalf("open: %v, ballast %v", err, d.ballast())
	}
	if err := g.Reserve(mib); err != nil {
		t.Error(err)
	}
}

// Who waits for room goes on once there is some, and reserves nothing.
func TestAwaitWaitsForRoom(t *testing.T) {
	d := &fakeDisk{total: 100 * mib, dir: t.TempDir()}
	g := open(t, d, small)
	g.Await(4 * mib)
	d.fill(98 * mib)
	if err := g.Room(4 * mib); !errors.Is(err, objstore.ErrNoSpace) {
		t.Errorf("room: %v", err)
	}
	done := make(chan struct{})
	go func() { g.Await(4 * mib); close(done) }()
	select {
	case <-done:
		t.Error("did not wait")
	default:
	}
	d.fill(10 * mib)
	<-done
	if g.inFlight != 0 {
		t.Errorf("%d bytes are reserved", g.inFlight)
	}
}
