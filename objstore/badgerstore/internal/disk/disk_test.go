package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestFilesBehaveAsPromised(t *testing.T) {
	for name, fsys := range map[string]FS{"OS": OS{}, "Hooked": Hooked(OS{}, func(Op) error { return nil }), "Pool": inPool{OS{}, NewPool(OS{}, 1)}} {
		t.Run(name, func(t *testing.T) { checkFS(t, fsys, t.TempDir()) })
	}
}

func checkFS(t *testing.T, fsys FS, dir string) {
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if _, err := fsys.Open(a); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of nothing: %v", err)
	}
	f, err := fsys.Create(a)
	must(t, err)
	if _, err := fsys.Create(a); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create again: %v", err)
	}
	n, err := f.WriteAt([]byte("hello"), 1<<20)
	if n != 5 || f.Name() != a {
		t.Errorf("wrote %d to %s", n, f.Name())
	}
	if f.Cached() {
		t.Error("all is in the page cache, and nobody wrote or read what comes first")
	}
	must(t, err, f.Sync(), f.StartWriteback(0, 0), f.DropCache(), fsys.SyncDir(dir))
	buf := make([]byte, 10)
	if n, err := f.ReadAt(buf, 1<<20); n != 5 || err != io.EOF || string(buf[:5]) != "hello" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	info, err := f.Stat()
	if err != nil || info.Size != 1<<20+5 || info.BytesAllocated >= 1<<20 || info.Dir || info.Links != 1 {
		t.Errorf("stat %+v, %v", info, err)
	}
	if data, err := f.NextData(0); data != 1<<20 || err != nil {
		t.Errorf("next data %d, %v", data, err)
	}
	if _, err := f.NextHole(info.Size); err != io.EOF {
		t.Errorf("next hole at the end: %v", err)
	}
	must(t, f.Truncate(4096), f.Preallocate(0, 1<<20))
	if info, _ := f.Stat(); info.Size != 4096 || info.BytesAllocated < 1<<20 {
		t.Errorf("preallocated: %+v", info)
	}
	must(t, f.Truncate(1<<19)) // growing keeps the blocks that are there
	if info, _ := f.Stat(); info.BytesAllocated < 1<<20 {
		t.Errorf("grown after it was preallocated: %+v", info)
	}
	must(t, f.Truncate(4096), f.Allocate(0, 1<<20), f.PunchHole(0, 1<<20))
	if info, _ := f.Stat(); info.Size != 1<<20 || info.BytesAllocated > 64<<10 {
		t.Errorf("punched: %+v", info)
	}
	must(t, f.Close(), fsys.Link(a, b), fsys.Rename(b, b+"2"), fsys.Mkdir(b))
	if names, err := fsys.ReadDir(dir); !slices.Equal(names, []string{"a", "b", "b2"}) || err != nil {
		t.Errorf("names %q, %v", names, err)
	}
	must(t, fsys.Remove(b), fsys.Remove(b+"2"), fsys.Remove(a))
	if space, err := fsys.Space(dir); err != nil || space.BytesTotal <= 0 || space.BytesFree > space.BytesTotal {
		t.Errorf("space %+v, %v", space, err)
	}
}

func TestLockIsExclusiveUntilClosed(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	first, err := OS{}.Lock(name)
	must(t, err)
	if _, err := (OS{}).Lock(name); !errors.Is(err, ErrLocked) || KindOf(err) != objstore.ErrInUse {
		t.Errorf("second lock: %v", err)
	}
	must(t, first.Close())
	second, err := OS{}.Lock(name)
	must(t, err, second.Close())
}

// A hook can fail an operation, leave it out, or let it happen, for each that changes something.
func TestHooksStandBeforeEachOperation(t *testing.T) {
	dir := t.TempDir()
	var seen []Kind
	var answer error
	fsys := Hooked(OS{}, func(op Op) error {
		seen = append(seen, op.Kind)
		return answer
	})
	f, err := fsys.Create(filepath.Join(dir, "f"))
	must(t, err)
	calls := []func() error{
		func() error { _, err := f.WriteAt([]byte("x"), 0); return err },
		func() error { return f.Truncate(10) },
		func() error { return f.Allocate(0, 10) },
		func() error { return f.PunchHole(0, 10) },
		f.Sync,
		func() error { return f.StartWriteback(0, 10) },
		func() error { return fsys.Link(f.Name(), f.Name()+"2") },
		func() error { return fsys.Rename(f.Name()+"2", f.Name()+"3") },
		func() error { return fsys.Remove(f.Name() + "3") },
		func() error { return fsys.Mkdir(f.Name() + "dir") },
		func() error { return fsys.SyncDir(dir) },
	}
	kinds := []Kind{OpWrite, OpTruncate, OpAllocate, OpPunch, OpSync, OpWriteback, OpLink, OpRename, OpRemove, OpMkdir, OpSyncDir}
	for _, answer = range []error{ErrSkipped, unix.EIO, nil} {
		seen = nil
		for i, call := range calls {
			if err := call(); answer == unix.EIO != (err == unix.EIO) || answer != unix.EIO && err != nil {
				t.Errorf("%s answered with %v: %v", kinds[i], answer, err)
			}
		}
		if !slices.Equal(seen, kinds) {
			t.Errorf("seen %q, want %q", seen, kinds)
		}
		names, _ := fsys.ReadDir(dir)
		if made := len(names) > 1; made != (answer == nil) {
			t.Errorf("answered with %v: %q", answer, names)
		}
	}
	must(t, f.Close())
}

func TestErrorsAreClassified(t *testing.T) {
	for err, want := range map[error]objstore.Kind{
		unix.ENOSPC: objstore.ErrNoSpace, unix.EDQUOT: objstore.ErrNoSpace, unix.EFBIG: objstore.ErrTooLarge,
		unix.EROFS: objstore.ErrReadOnly, unix.EACCES: objstore.ErrPermission, unix.EIO: objstore.ErrUnavailable,
		ErrLocked: objstore.ErrInUse, objstore.ErrCorrupt: objstore.ErrCorrupt, io.EOF: objstore.ErrUnavailable,
	} {
		wrapped := Error("do", fmt.Errorf("wrapped: %w", err))
		if objstore.KindOf(wrapped) != want || !errors.Is(wrapped, err) {
			t.Errorf("%v is %v, want %v", err, objstore.KindOf(wrapped), want)
		}
	}
	if Error("do", nil) != nil {
		t.Error("an error out of nothing")
	}
}

// What was just written is in the page cache, unless there is no room for it, which it is not every time.
func TestWrittenBytesAreCached(t *testing.T) {
	for name, fsys := range map[string]FS{"OS": OS{}, "Hooked": Hooked(OS{}, func(Op) error { return nil }), "Pool": inPool{OS{}, NewPool(OS{}, 1)}} {
		t.Run(name, func(t *testing.T) {
			f, err := fsys.Create(filepath.Join(t.TempDir(), "a"))
			must(t, err)
			defer f.Close()
			err = unix.Cachestat(0, nil, nil, 0)
			if err == unix.ENOSYS {
				t.Skip("needs a kernel that tells what is in the page cache")
			}
			for range 1000 {
				_, err = f.WriteAt(make([]byte, 100_001), 0)
				if must(t, err); f.Cached() {
					return
				}
			}
			t.Error("not in the page cache")
		})
	}
}
