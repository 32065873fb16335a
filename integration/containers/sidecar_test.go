package containers

import (
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// C2, C3, C4, C6: a program in another container than the daemon, whose process numbers mean nothing to that, has the same promises.
func TestProgramInAnotherProcessNamespaceThanItsDaemon(t *testing.T) {
	dir := sharedDir(t)
	s := newSite(t)
	s.needs("pids")
	server := s.serve(spec{})
	daemon := s.mount(spec{name: "daemon", outside: true, places: map[string]place{"mnt": {dir: dir}}}, server)
	beside := s.add(spec{name: "beside", outside: true, apart: true, places: map[string]place{"mnt": {dir: dir}}})
	a, b := beside.hands(), beside.hands()
	path := beside.file("f")
	a.put(path, "base")
	a.open(0, path, os.O_RDWR)
	b.open(0, path, os.O_RDWR)
	a.write(0, "from a")
	b.write(0, "from b")
	b.do(order{Call: "open", Handle: 1, Path: path, Flags: os.O_RDONLY})
	if got := b.do(order{Call: "readall", Handle: 1}); got != "base" && got != "from b" {
		t.Errorf("while two write there is %q", got)
	}
	b.close(1)
	a.close(0)
	b.fails(syscall.EBUSY, order{Call: "close", Handle: 0})
	a.expect(path, "from a")
	daemon.expectKept("from b")
	a.open(2, beside.file("lock"), os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	b.fails(syscall.EEXIST, order{Call: "open", Handle: 2, Path: beside.file("lock"), Flags: os.O_WRONLY | os.O_CREATE | os.O_EXCL})
	a.do(order{Call: "rename", Path: path, To: beside.file("g")})
	b.expect(beside.file("g"), "from a")
}

// sharedDir is a directory in which what one mount namespace mounts can be seen by others.
func sharedDir(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a mount is shared between namespaces")
	}
	dir := t.TempDir()
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for unix.Unmount(dir, unix.MNT_DETACH) == nil { // that of a daemon that was killed lies above ours
			continue
		}
	})
	if err := unix.Mount("", dir, "", unix.MS_SHARED, ""); err != nil {
		t.Fatal(err)
	}
	return dir
}
