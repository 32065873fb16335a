package mounts

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// C3, C4: the second of two handles to close gets EBUSY; the file has the winner's
// bytes, the kept copy the loser's.
func TestSecondCloseLosesAndIsKept(t *testing.T) {
	m := start(t)
	path := m.Path("f")
	put(t, path, "base")
	a, b := open(t, path, os.O_WRONLY), open(t, path, os.O_WRONLY)
	write(t, a, "AAAA")
	write(t, b, "BBBB")
	wants(t, "first close", a.Close(), 0)
	wants(t, "second close", b.Close(), syscall.EBUSY)
	check(t, path, "AAAA")
	checkKept(t, m, "BBBB")
}

// C3, C4: whatever a handle changed and whatever ends it, it loses if another commit was first. By then its bytes are kept, once.
func TestEveryWayToCommitCanLose(t *testing.T) {
	closes := func(f *os.File) error { return f.Close() }
	changes := map[string]struct {
		do   func(t *testing.T, f *os.File)
		mine string
	}{
		"write":    {func(t *testing.T, f *os.File) { write(t, f, "LOSER") }, "LOSER"},
		"truncate": {func(t *testing.T, f *os.File) { wants(t, "truncate", f.Truncate(2), 0) }, "ba"},
		"extend":   {func(t *testing.T, f *os.File) { wants(t, "truncate", f.Truncate(9), 0) }, "base\x00\x00\x00\x00\x00"},
		"mapping":  {mapped, "MMAP"},
	}
	ends := map[string]func(f *os.File) error{
		"close":     closes,
		"fsync":     func(f *os.File) error { return f.Sync() },
		"fdatasync": func(f *os.File) error { return unix.Fdatasync(int(f.Fd())) },
		// Without data the first of the two may be a shell's redirection: it is put off.
		"two closes": func(f *os.File) error { return errors.Join(closeDuplicate(f), f.Close()) },
	}
	m := start(t)
	for change, c := range changes {
		for end, commit := range ends {
			t.Run(change+" then "+end, func(t *testing.T) {
				path := m.Path(change + "-" + end)
				put(t, path, "base")
				loser := open(t, path, os.O_RDWR)
				c.do(t, loser)
				put(t, path, "winner")
				wants(t, end, commit(loser), syscall.EBUSY)
				check(t, path, "winner")
				checkKept(t, m, c.mine)
				shell(t, m, "rmdir .etagfs/conflicts/*")
			})
		}
	}
}

// mapped stores through a shared mapping, which stays.
func mapped(t *testing.T, f *os.File) {
	memory, err := unix.Mmap(int(f.Fd()), 0, 4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(memory) })
	copy(memory, "MMAP")
}

func closeDuplicate(f *os.File) error {
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// C3
func TestMsyncOfALosingMappingFails(t *testing.T) {
	m := start(t)
	path := m.Path("f")
	put(t, path, "base")
	f := open(t, path, os.O_RDWR)
	memory, err := unix.Mmap(int(f.Fd()), 0, 4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(memory)
	copy(memory, "LOSE")
	put(t, path, "winner")
	wants(t, "msync", unix.Msync(memory, unix.MS_SYNC), syscall.EBUSY)
	check(t, path, "winner")
	checkKept(t, m, "LOSE")
}

// C3: a descriptor that came with fork and exec is the same transaction.
func TestInheritedDescriptorLoses(t *testing.T) {
	m := start(t)
	path := m.Path("f")
	put(t, path, "base")
	f := open(t, path, os.O_WRONLY)
	write(t, f, "LOSER")
	put(t, path, "winner")
	child := mounttest.Command(t, "close")
	child.ExtraFiles = []*os.File{f}
	child.Stderr = nil
	_, err := child.Output()
	exit, ok := err.(*exec.ExitError)
	if !ok || !strings.Contains(string(exit.Stderr), "busy") {
		t.Errorf("the child's close: %v", err)
	}
	checkKept(t, m, "LOSER")
	wants(t, "the parent's close", f.Close(), syscall.EBUSY)
	check(t, path, "winner")
}

// C9: a descriptor closed twice, by dup, fork or fsync before close, never conflicts with itself.
func TestHandleNeverConflictsWithItself(t *testing.T) {
	m := start(t)
	path := m.Path("f")
	f := open(t, path, os.O_RDWR|os.O_CREATE)
	for _, text := range []string{"one", "two", "three"} {
		if _, err := f.WriteAt([]byte(text), 0); err != nil {
			t.Fatal(err)
		}
		wants(t, "fsync", f.Sync(), 0)
		wants(t, "close of a duplicate", closeDuplicate(f), 0)
	}
	child := mounttest.Command(t, "close")
	child.ExtraFiles = []*os.File{f}
	run(t, child)
	wants(t, "close", f.Close(), 0)
	check(t, path, "three")
	checkKept(t, m)
}

// C3, C6: two files of one name cannot both be made.
func TestCreateAgainstCreate(t *testing.T) {
	m := start(t)
	path := m.Path("f")
	a := open(t, path, os.O_WRONLY|os.O_CREATE)
	b := open(t, path, os.O_WRONLY|os.O_CREATE)
	write(t, a, "AAAA")
	write(t, b, "BBBB")
	wants(t, "first close", a.Close(), 0)
	wants(t, "second close", b.Close(), syscall.EBUSY)
	check(t, path, "AAAA")
	checkKept(t, m, "BBBB")
}

// C9: a change of mode, owner, time, extended attributes or names by somebody else is no conflict, and the commit does not undo it.
func TestAttributesAreNoConflict(t *testing.T) {
	m := start(t)
	path := m.Path("f")
	put(t, path, "base")
	f := open(t, path, os.O_WRONLY)
	write(t, f, "data")
	shell(t, m, "chmod 640 f; chgrp $(id -g) f; touch -d 2001-02-03 f; ln f g; mv f h; rm g")
	if err := unix.Setxattr(m.Path("h"), "user.color", []byte("red"), 0); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(m.Path("h"), 7, 8); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, "close", f.Close(), 0)
	if got := shell(t, m, "stat -c '%a %h' h; ls"); got != "640 1\nh\n" {
		t.Errorf("after the commit: %q", got)
	}
	if got := shell(t, m, "stat -c '%u %g' h"); os.Geteuid() == 0 && got != "7 8\n" {
		t.Errorf("its owner after the commit: %q", got)
	}
	color := make([]byte, 3)
	if n, err := unix.Getxattr(m.Path("h"), "user.color", color); err != nil || string(color[:n]) != "red" {
		t.Errorf("its attribute after the commit: %q (%v)", color, err)
	}
	check(t, m.Path("h"), "data")
	checkKept(t, m)
}

// C3: a handle whose file was unlinked by the same mount goes with it: no error, no resurrection.
func TestUnlinkDetachesAWriter(t *testing.T) {
	m := start(t)
	path := m.Path("f")
	put(t, path, "base")
	f := open(t, path, os.O_RDWR)
	write(t, f, "data")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wants(t, "close", f.Close(), 0)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the name came back: %v", err)
	}
	checkKept(t, m)
}

// C3, C7: a rename of the file is followed, a rename over it detaches.
func TestRenameIsFollowedAndRenameOverDetaches(t *testing.T) {
	m := start(t)
	put(t, m.Path("a"), "base")
	f := open(t, m.Path("a"), os.O_RDWR)
	write(t, f, "data")
	if err := os.Rename(m.Path("a"), m.Path("b")); err != nil {
		t.Fatal(err)
	}
	wants(t, "fsync after the rename", f.Sync(), 0)
	check(t, m.Path("b"), "data")
	if _, err := f.WriteAt([]byte("late"), 0); err != nil {
		t.Fatal(err)
	}
	put(t, m.Path("c"), "other")
	if err := os.Rename(m.Path("c"), m.Path("b")); err != nil {
		t.Fatal(err)
	}
	wants(t, "close after the rename over it", f.Close(), 0)
	check(t, m.Path("b"), "other")
	checkKept(t, m)
}

// C4: a conflict is found by its path, and dropped by removing it.
func TestKeptCopyTellsWhatHappened(t *testing.T) {
	m := start(t)
	path := m.Path("dir", "f")
	if err := os.Mkdir(m.Path("dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, path, "base")
	f := open(t, path, os.O_WRONLY)
	write(t, f, "LOSER")
	put(t, path, "winner")
	wants(t, "close", f.Close(), syscall.EBUSY)
	out := shell(t, m, `cd .etagfs/conflicts; test $(ls | wc -l) = 1; cd *; cat base; echo; cat theirs; echo; cat info.json`)
	for _, part := range []string{"base\n", "winner\n", `"dir/f"`, `"close"`} {
		if !strings.Contains(out, part) {
			t.Errorf("%q is missing in\n%s", part, out)
		}
	}
	if out := shell(t, m, `ls -A; rmdir .etagfs/conflicts/*; ls .etagfs/conflicts`); out != "dir\n" {
		t.Errorf("listing the root, and the conflicts after dropping one: %q", out)
	}
}

// The ETag, the base and the conflict of a file can be asked for by name. No list has them, so that cp -a and rsync -X do not
// carry them along, and nobody sets them.
func TestAttributesTellVersions(t *testing.T) {
	m := start(t)
	path := m.Path("f")
	get := func(f *os.File, name string) (string, error) {
		value := make([]byte, 256)
		n, err := unix.Fgetxattr(int(f.Fd()), name, value)
		return string(value[:max(n, 0)]), err
	}
	pending := open(t, path, os.O_RDWR|os.O_CREATE)
	write(t, pending, "base")
	_, err := get(pending, "user.etagfs.etag")
	wants(t, "the ETag before the first commit", err, unix.ENODATA)
	wants(t, "close", pending.Close(), 0)
	loser := open(t, path, os.O_RDWR)
	base, err := get(loser, "user.etagfs.etag")
	if err != nil || !strings.Contains(base, "-v") {
		t.Errorf("ETag %q (%v)", base, err)
	}
	write(t, loser, "LOSER")
	put(t, path, "winner")
	wants(t, "fsync", loser.Sync(), syscall.EBUSY)
	reader := open(t, path, os.O_RDONLY)
	if now, err := get(reader, "user.etagfs.etag"); err != nil || now == base {
		t.Errorf("ETag %q after %q (%v)", now, base, err)
	}
	if got, err := get(loser, "user.etagfs.base"); err != nil || got != base {
		t.Errorf("base %q, want %q (%v)", got, base, err)
	}
	id, err := get(loser, "user.etagfs.conflict")
	if mine, readErr := os.ReadFile(m.Path(".etagfs", "conflicts", id, "mine")); err != nil || readErr != nil || string(mine) != "LOSER" {
		t.Errorf("conflict %q (%v) has %q (%v)", id, err, mine, readErr)
	}
	if n, err := unix.Listxattr(path, make([]byte, 4096)); err != nil || n != 0 {
		t.Errorf("the list of attributes has %d bytes (%v)", n, err)
	}
	if err := unix.Setxattr(path, "user.etagfs.etag", []byte("x"), 0); err == nil {
		t.Error("the ETag was set")
	}
}
