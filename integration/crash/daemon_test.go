package crash

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What makes sure that a daemon is gone ends no other mount: not even one that has the number of its connection since it ended by itself.
func TestEndingADaemonLeavesLaterMountsAlone(t *testing.T) {
	m := newMountRun(t, program(t), filepath.Join(t.TempDir(), "store"), orders{})
	number := func() string {
		table, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		connection, ok := connectionOf(table, m.dir)
		if !ok {
			t.Fatal("nothing is mounted")
		}
		return connection
	}
	start := func() (*daemon, string) {
		d, err := startDaemon(m.program, m.store, m.dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.ReadDir(m.dir); err != nil { // answered once the daemon and the kernel have agreed
			t.Error(err)
		}
		return d, number()
	}
	const attempts = 20 // others mount, too
	for range attempts {
		first, its := start()
		if err := unix.Unmount(m.dir, 0); err != nil {
			t.Fatal(err)
		}
		<-first.ended
		second, other := start()
		err := first.kill()
		if its == other {
			if _, err := os.ReadDir(m.dir); err != nil {
				t.Errorf("the mount that came after it: %v", err)
			}
		}
		if err != nil {
			t.Error(err)
		}
		if err := second.end(); err != nil {
			t.Error(err)
		}
		if err := first.end(); err != nil {
			t.Error(err)
		}
		if its == other {
			return
		}
	}
	t.Skip("needs others that do not mount meanwhile: no mount got the number of the one before")
}
