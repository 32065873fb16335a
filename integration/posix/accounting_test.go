package posix

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// acct(2) takes a file for what the kernel tells of processes that end; under isolation=mount alone.
func TestProcessAccounting(t *testing.T) {
	mounttest.Need(t, "root")
	if err := unix.Acct(t.TempDir()); err == unix.ENOSYS {
		t.Skip("needs process accounting in the kernel")
	}
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for thing, make := range things() {
			if thing == "fifo" {
				continue // it would be waited for
			}
			make(t, dir+"/x")
			all.add(t, "to "+thing, outcome(unix.Acct(dir+"/x")))
			unaccounted(t)
			empty(t, dir)
		}
		return all
	})
}

// unaccounted ends it.
func unaccounted(t *testing.T) {
	t.Helper()
	raw(t, unix.SYS_ACCT, 0, 0, 0)
}
