package mounts

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// Opening a file to read it moves its atime, with atimes=relatime: stat(2) shows that at once, also where the kernel
// remembers what was before, and nothing but atime moves.
func TestAtimeMovesWhenAFileIsOpenedToRead(t *testing.T) {
	for _, isolation := range []string{"handle", "mount"} {
		t.Run(isolation, func(t *testing.T) {
			m := mounttest.Start(t, mounttest.Options{Mount: "atimes=relatime,isolation=" + isolation})
			path := m.Path("f")
			put(t, path, "text")
			written := timesOf(t, path)
			check(t, path, "text")
			read := timesOf(t, path)
			if !timeOf(read.Atim).After(timeOf(written.Atim)) {
				t.Errorf("atime was %v, and is %v after the file was read", timeOf(written.Atim), timeOf(read.Atim))
			}
			if read.Mtim != written.Mtim || read.Ctim != written.Ctim {
				t.Errorf("mtime and ctime were %v and %v, and are %v and %v", written.Mtim, written.Ctim, read.Mtim, read.Ctim)
			}
			check(t, path, "text")
			if again := timesOf(t, path); again.Atim != read.Atim {
				t.Errorf("read again it moved from %v to %v", timeOf(read.Atim), timeOf(again.Atim))
			}
		})
	}
}

func TestAtimeStaysUnlessAskedFor(t *testing.T) {
	for name, trial := range map[string]struct {
		mount string
		flags int
	}{
		"mounted without": {"", os.O_RDONLY},
		"O_NOATIME":       {"atimes=relatime", os.O_RDONLY | unix.O_NOATIME},
		"to write too":    {"atimes=relatime", os.O_RDWR},
	} {
		t.Run(name, func(t *testing.T) {
			m := mounttest.Start(t, mounttest.Options{Mount: trial.mount})
			path := m.Path("f")
			put(t, path, "text")
			before := timesOf(t, path)
			f := open(t, path, trial.flags)
			if _, err := f.Read(make([]byte, 8)); err != nil {
				t.Fatal(err)
			}
			if after := timesOf(t, path); after.Atim != before.Atim {
				t.Errorf("atime was %v, and is %v", timeOf(before.Atim), timeOf(after.Atim))
			}
		})
	}
}

func timesOf(t *testing.T, path string) (stat unix.Stat_t) {
	t.Helper()
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	return stat
}

func timeOf(t unix.Timespec) time.Time { return time.Unix(t.Unix()) }
