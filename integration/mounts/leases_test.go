package mounts

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// rounds is how many there are: few, with ETAGFS_LONG=1 many, and in the short form, which is that of the race detector, a
// quarter of the few.
func rounds(few, many int) int {
	switch {
	case os.Getenv("ETAGFS_LONG") != "":
		return many
	case testing.Short():
		return max(1, few/4)
	}
	return few
}

// shortIsParallel leaves a test in which calls come one after the other out of the short form.
func shortIsParallel(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("long: the short form has what is done at the same time")
	}
}

// C5: mode, owner, size and times that one mount has set are seen by the other at once, through names and through descriptors
// it has open, though it has just asked for them.
func TestC5AttributesOfOtherMountsAreFresh(t *testing.T) {
	forEachWay(t, 2, func(t *testing.T, m []*mounttest.Mount) {
		put(t, m[0].Path("f"), "content")
		held := []*os.File{open(t, m[0].Path("f"), os.O_RDONLY), open(t, m[1].Path("f"), os.O_RDONLY)}
		for i := range rounds(300, 5000) {
			a, b := i%2, (i+1)%2
			mode := os.FileMode(0o400 + i%64)
			if err := os.Chmod(m[a].Path("f"), mode); err != nil {
				t.Fatal(err)
			}
			for what, stat := range map[string]func() (os.FileInfo, error){
				"stat": func() (os.FileInfo, error) { return os.Stat(m[b].Path("f")) }, "fstat": held[b].Stat,
			} {
				if info, err := stat(); err != nil || info.Mode() != mode {
					t.Fatalf("round %d: %s after a change to %v: %v", i, what, mode, err)
				}
			}
		}
	})
}

// C5: a directory that one mount lists shows what the other has just made and removed, with its attributes.
func TestC5ListingsOfOtherMountsAreFresh(t *testing.T) {
	forEachWay(t, 2, func(t *testing.T, m []*mounttest.Mount) {
		for i := range rounds(200, 2000) {
			a, b := m[i%2], m[(i+1)%2]
			name := "f" + strconv.Itoa(i)
			put(t, a.Path(name), "content")
			listed(t, b.Dir, 1)
			if info, err := os.Lstat(b.Path(name)); err != nil || info.Size() != int64(len("content")) {
				t.Fatalf("round %d: %v", i, err)
			}
			if err := os.Remove(b.Path(name)); err != nil {
				t.Fatal(err)
			}
			listed(t, a.Dir, 0)
		}
	})
}

// A mount whose daemon is stopped delays others until its lease has run out, once. When it goes on it shows what they did.
func TestStoppedMountDoesNotHoldUpOthers(t *testing.T) {
	forEachWay(t, 2, func(t *testing.T, m []*mounttest.Mount) {
		const names = 20
		for i := range names { // it remembers that there is none
			if _, err := os.Stat(m[1].Path(strconv.Itoa(i))); !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		m[1].Signal(syscall.SIGSTOP)
		for i := range names {
			begun := time.Now()
			put(t, m[0].Path(strconv.Itoa(i)), "content")
			t.Log("create took", time.Since(begun))
		}
		m[1].Signal(syscall.SIGCONT)
		for i := range names {
			check(t, m[1].Path(strconv.Itoa(i)), "content")
		}
	})
}

// C5: an owner that begins anew acknowledges no change while a mount may trust what the last one has told it, though that mount's
// daemon has not even heard that it is gone.
func TestC5ChangesAfterAnOwnerWaitForWhatItsMountsTrust(t *testing.T) {
	owner, other, _ := ownerAndOther(t)
	put(t, owner.Path("f"), "content")
	held := open(t, other.Path("f"), os.O_RDONLY)
	for i := range rounds(3, 30) {
		if _, err := held.Stat(); err != nil { // the kernel remembers that
			t.Fatal(err)
		}
		other.Signal(syscall.SIGSTOP)
		kill(owner)
		owner.Restart()
		mode := os.FileMode(0o600 + i)
		if err := os.Chmod(owner.Path("f"), mode); err != nil {
			t.Fatal(err)
		}
		begun, seen := make(chan struct{}), make(chan os.FileMode)
		go func() {
			close(begun)
			info, err := held.Stat()
			if err != nil {
				t.Error(err)
				seen <- 0
				return
			}
			seen <- info.Mode()
		}()
		<-begun
		other.Signal(syscall.SIGCONT) // it may be asked
		if got := <-seen; got != mode {
			t.Fatalf("round %d: %v after a change to %v", i, got, mode)
		}
	}
}

// Mounts that change names in the same directory, and the same names, do not wait for each other. Each change would take
// a second if they did.
func TestMountsChangeNamesOfOneDirectoryAtOnce(t *testing.T) {
	count := rounds(200, 2000)
	forEachWay(t, 3, func(t *testing.T, m []*mounttest.Mount) {
		begun := time.Now()
		done := make(chan error)
		for i := range m {
			go func() { done <- changeNames(m[i], strconv.Itoa(i), count) }()
		}
		for range m {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		t.Log(count, "rounds took", time.Since(begun))
	})
}

// changeNames replaces a name that others replace too, and makes and removes others. That others were first is no failure.
func changeNames(m *mounttest.Mount, own string, count int) error {
	for i := range count {
		temp := m.Path("temp" + own)
		for _, change := range []func() error{
			func() error { return os.WriteFile(temp, []byte(own), 0o644) },
			func() error { return os.Rename(temp, m.Path("shared")) },
			func() error { return os.Mkdir(m.Path("dir"+strconv.Itoa(i)), 0o755) },
			func() error { return os.Remove(m.Path("dir" + strconv.Itoa(i))) },
			func() error { return os.Link(m.Path("shared"), m.Path("link"+own)) },
			func() error { return os.Remove(m.Path("link" + own)) },
		} {
			switch err := change(); {
			case err == nil, errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.EBUSY):
			default:
				return err
			}
		}
	}
	return nil
}

// C5: a mount that comes to others, which have leases, while they change what there is, sees from its first look on what was
// acknowledged before, and so do the others: contents, names and modes.
func TestC5AMountThatJoinsOthersIsFresh(t *testing.T) {
	forEachWay(t, 2, func(t *testing.T, m []*mounttest.Mount) {
		c := &changing{}
		put(t, m[0].Path("f"), "0")
		put(t, m[0].Path("n0"), "")
		for range rounds(4, 40) {
			stop, stopped := make(chan struct{}), make(chan error)
			go func() { stopped <- c.until(m[0], stop) }()
			joined := mounttest.Start(t, mounttest.Options{Source: m[1].Store})
			close(stop)
			if err := <-stopped; err != nil {
				t.Fatal(err)
			}
			for range 20 {
				for _, looks := range []*mounttest.Mount{joined, m[1]} {
					c.wants(t, looks)
				}
				if err := c.next(m[0]); err != nil {
					t.Fatal(err)
				}
			}
			joined.Unmount()
		}
		t.Log(c.count, "changes of each kind")
	})
}

// changing is a content, a name and a mode that are changed over and over.
type changing struct{ count int }

func (c *changing) until(m *mounttest.Mount, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
			if err := c.next(m); err != nil {
				return err
			}
		}
	}
}

func (c *changing) name(i int) string { return "n" + strconv.Itoa(i) }
func (c *changing) mode() os.FileMode { return os.FileMode(0o400 + c.count%64) }
func (c *changing) next(m *mounttest.Mount) error {
	c.count++
	return errors.Join(
		os.WriteFile(m.Path("f"), []byte(strconv.Itoa(c.count)), 0o644),
		os.Rename(m.Path(c.name(c.count-1)), m.Path(c.name(c.count))),
		os.Chmod(m.Path(c.name(c.count)), c.mode()),
	)
}

// wants fails the test if a mount shows anything but the last change of each.
func (c *changing) wants(t *testing.T, m *mounttest.Mount) {
	t.Helper()
	if _, err := os.Lstat(m.Path(c.name(c.count - 1))); c.count > 0 && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the name before, %s: %v", c.name(c.count-1), err)
	}
	if info, err := os.Lstat(m.Path(c.name(c.count))); err != nil || info.Mode() != c.mode() {
		t.Errorf("%s, whose mode is %v: %v, %v", c.name(c.count), c.mode(), info, err)
	}
	if _, err := os.Lstat(m.Path(c.name(c.count + 1))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the name to come, %s: %v", c.name(c.count+1), err)
	}
	check(t, m.Path("f"), strconv.Itoa(c.count))
}
