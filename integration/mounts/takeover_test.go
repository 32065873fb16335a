package mounts

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// C2, C3, C8, C9: when the owner ends, one of the mounts that used the store through it takes its place, and all go on: what was
// acknowledged is there, readers keep their versions, locks are held, and what was being written is committed.
func TestAttachedMountTakesTheStoreOver(t *testing.T) {
	for _, ends := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(ends.String(), func(t *testing.T) {
			m := together(t, "socket", 3)
			old := strings.Repeat("old ", 1<<18)
			for _, name := range []string{"replaced", "locked", "written"} {
				put(t, m[0].Path(name), old)
			}
			reader, dirty := open(t, m[1].Path("replaced"), os.O_RDONLY), open(t, m[2].Path("written"), os.O_WRONLY)
			write(t, dirty, "NEW ")
			put(t, m[2].Path("replaced"), "new")
			locked := lockedOn(t, m[1], "locked")
			write(t, locked, "NEW ")
			m[0].Signal(ends)
			m[0].Wait()
			wants(t, "close of what was being written", dirty.Close(), 0)
			got := make([]byte, len(old))
			if n, err := reader.ReadAt(got, 0); n != len(old) || string(got) != old {
				t.Errorf("%d bytes were read (%v), and they are not those that were opened", n, err)
			}
			beside := open(t, m[2].Path("locked"), os.O_RDWR)
			wants(t, "lock beside the holder", unix.Flock(int(beside.Fd()), unix.LOCK_EX|unix.LOCK_NB), syscall.EAGAIN)
			wants(t, "close of what was locked", locked.Close(), 0)
			for _, m := range m[1:] {
				check(t, m.Path("replaced"), "new")
				check(t, m.Path("written"), "NEW "+old[4:])
				check(t, m.Path("locked"), "NEW "+old[4:])
				checkKept(t, m)
			}
			ownerAmong(t, m[1:])
			m[0].Restart()
			check(t, m[0].Path("replaced"), "new")
		})
	}
}

// The store goes from mount to mount as each is unmounted: an unmount waits for its own daemon, and not for the store to be free. After
// the last one it is.
func TestStoreIsHandedDownUntilTheLastMountEnds(t *testing.T) {
	m := together(t, "socket", 3)
	for i := range m {
		text := strings.Repeat("x", i+1)
		put(t, m[i].Path("f"), text)
		for _, rest := range m[i:] {
			check(t, rest.Path("f"), text)
		}
		if out, err := exec.Command(mounttest.Binary(), "unmount", m[i].Dir).CombinedOutput(); err != nil {
			t.Fatalf("unmount: %v\n%s", err, out)
		}
		m[i].Wait()
	}
	out, err := exec.Command(mounttest.Binary(), "cat", m[0].Store, "f").CombinedOutput()
	if err != nil || string(out) != "xxx" {
		t.Errorf("cat: %v\n%s", err, out)
	}
}
