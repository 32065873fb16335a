package mounttest

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// connections is where the kernel has files about those it has with daemons.
const connections = "/sys/fs/fuse/connections"

// Connections mounts these files for the time of a test, if they are not there. It takes root.
func Connections(t testing.TB) {
	t.Helper()
	if err := unix.Mount("fusectl", connections, "fusectl", 0, ""); err == nil {
		t.Cleanup(func() { unix.Unmount(connections, unix.MNT_DETACH) })
	} else if !errors.Is(err, unix.EBUSY) { // they are there already
		t.Fatal(err)
	}
}

// AwaitRequest returns once the kernel waits for an answer of the daemon's. It takes [Connections].
func (m *Mount) AwaitRequest() {
	m.t.Helper()
	for waiting := "0"; waiting == "0"; runtime.Gosched() {
		b, err := os.ReadFile(filepath.Join(connections, m.connection, "waiting"))
		if err != nil {
			m.t.Fatal(err)
		}
		waiting = strings.TrimSpace(string(b))
	}
}
