package crossmounts

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// everyWayToCommitCanLose is C3: whatever a handle changed and whatever ends it, it loses if the other mount was first.
func everyWayToCommitCanLose(t *testing.T, p pair) {
	changes := map[string]func(t *testing.T, f *os.File){
		"write":    func(t *testing.T, f *os.File) { write(t, f, "LOSER") },
		"truncate": func(t *testing.T, f *os.File) { wants(t, "truncate", f.Truncate(2), 0) },
		"extend":   func(t *testing.T, f *os.File) { wants(t, "truncate", f.Truncate(9), 0) },
		"mapping":  func(t *testing.T, f *os.File) { copy(mapped(t, f), "MMAP") },
	}
	ends := map[string]func(f *os.File) error{
		"close":      func(f *os.File) error { return f.Close() },
		"fsync":      func(f *os.File) error { return f.Sync() },
		"fdatasync":  func(f *os.File) error { return unix.Fdatasync(int(f.Fd())) },
		"two closes": func(f *os.File) error { return errors.Join(closeDuplicate(f), f.Close()) },
	}
	for change, do := range changes {
		for end, commit := range ends {
			t.Run(change+" then "+end, func(t *testing.T) {
				name := change + "-" + end
				put(t, p.a(name), "base")
				loser := open(t, p.a(name), os.O_RDWR)
				do(t, loser)
				put(t, p.b(name), "winner")
				wants(t, end, commit(loser), syscall.EBUSY)
				check(t, p.a(name), "winner")
				check(t, p.b(name), "winner")
			})
		}
	}
}

// mapped is a shared mapping of the first bytes of a file.
func mapped(t *testing.T, f *os.File) []byte {
	t.Helper()
	memory, err := unix.Mmap(int(f.Fd()), 0, 4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(memory) })
	return memory
}

func closeDuplicate(f *os.File) error {
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// msyncOfALoserFails is C3.
func msyncOfALoserFails(t *testing.T, p pair) {
	put(t, p.a("f"), "base")
	memory := mapped(t, open(t, p.a("f"), os.O_RDWR))
	copy(memory, "LOSE")
	put(t, p.b("f"), "winner")
	wants(t, "msync", unix.Msync(memory, unix.MS_SYNC), syscall.EBUSY)
	check(t, p.a("f"), "winner")
}

// createAgainstCreate is C3: the other mount sees nothing of a file before its first commit, and one of two wins.
func createAgainstCreate(t *testing.T, p pair) {
	a := open(t, p.a("f"), os.O_WRONLY|os.O_CREATE)
	write(t, a, "AAAA")
	absent(t, p.b("f"))
	b := open(t, p.b("f"), os.O_WRONLY|os.O_CREATE)
	write(t, b, "BBBB")
	wants(t, "first close", b.Close(), 0)
	wants(t, "second close", a.Close(), syscall.EBUSY)
	check(t, p.a("f"), "BBBB")
	p.checkKept(t, 0, "f", "AAAA")
}

// truncationAgainstTruncation is C3: truncation alone is a change.
func truncationAgainstTruncation(t *testing.T, p pair) {
	put(t, p.a("f"), "base")
	a, b := open(t, p.a("f"), os.O_WRONLY|os.O_TRUNC), open(t, p.b("f"), os.O_WRONLY|os.O_TRUNC)
	wants(t, "first close", b.Close(), 0)
	wants(t, "second close", a.Close(), syscall.EBUSY)
	check(t, p.a("f"), "")
	put(t, p.a("f"), "base")
	f := open(t, p.a("f"), os.O_RDWR)
	wants(t, "truncate by path on the other mount", os.Truncate(p.b("f"), 2), 0)
	write(t, f, "LOSER")
	wants(t, "close", f.Close(), syscall.EBUSY)
	check(t, p.a("f"), "ba")
}

// loserIsKept is C4: before EBUSY is answered all three contents can be had, and the loser's can be made the file's.
func loserIsKept(t *testing.T, p pair) {
	put(t, p.a("f"), "base")
	a, b := open(t, p.a("f"), os.O_WRONLY), open(t, p.b("f"), os.O_WRONLY)
	write(t, a, "AAAA")
	write(t, b, "BBBB")
	wants(t, "first close", a.Close(), 0)
	wants(t, "second close", b.Close(), syscall.EBUSY)
	p.checkKept(t, 1, "f", "BBBB")
	dir := p.kept(t, 1, "f")[0]
	check(t, filepath.Join(dir, "base"), "base")
	check(t, filepath.Join(dir, "theirs"), "AAAA")
	cmd := exec.Command(mounttest.Binary(), "conflicts", "keep-mine", p.g.mounts[1].Dir, filepath.Base(dir))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("keep-mine: %v: %s", err, out)
	}
	check(t, p.a("f"), "BBBB")
	check(t, p.b("f"), "BBBB")
	p.checkKept(t, 1, "f")
}

// unlinkedElsewhere is C4: that is a conflict, and the file does not come back.
func unlinkedElsewhere(t *testing.T, p pair) {
	put(t, p.a("f"), "base")
	f := open(t, p.a("f"), os.O_RDWR)
	write(t, f, "LATE")
	wants(t, "unlink", os.Remove(p.b("f")), 0)
	wants(t, "close", f.Close(), syscall.EBUSY)
	absent(t, p.a("f"))
	absent(t, p.b("f"))
	p.checkKept(t, 0, "f", "LATE")
}

// replacedElsewhere is C4, of a file that another was renamed over.
func replacedElsewhere(t *testing.T, p pair) {
	put(t, p.a("f"), "base")
	f := open(t, p.a("f"), os.O_RDWR)
	write(t, f, "LATE")
	put(t, p.b("new"), "new")
	wants(t, "rename", os.Rename(p.b("new"), p.b("f")), 0)
	wants(t, "close", f.Close(), syscall.EBUSY)
	check(t, p.a("f"), "new")
	p.checkKept(t, 0, "f", "LATE")
}

// severalDescriptors is C9: a handle never conflicts with itself.
func severalDescriptors(t *testing.T, p pair) {
	f := open(t, p.a("f"), os.O_RDWR|os.O_CREATE)
	for _, text := range []string{"one", "two", "three"} {
		if _, err := f.WriteAt([]byte(text), 0); err != nil {
			t.Fatal(err)
		}
		wants(t, "fsync", f.Sync(), 0)
		check(t, p.b("f"), text)
		wants(t, "close of a duplicate", closeDuplicate(f), 0)
	}
	wants(t, "close", f.Close(), 0)
	check(t, p.b("f"), "three")
}

// attributesAreNoConflict is C9, and the commit does not undo them.
func attributesAreNoConflict(t *testing.T, p pair) {
	put(t, p.a("f"), "base")
	f := open(t, p.a("f"), os.O_RDWR)
	write(t, f, "mine")
	wants(t, "chmod", os.Chmod(p.b("f"), 0o600), 0)
	wants(t, "chown", os.Chown(p.b("f"), 12, 34), 0)
	wants(t, "close", f.Close(), 0)
	for _, path := range []string{p.a("f"), p.b("f")} {
		check(t, path, "mine")
		var st unix.Stat_t
		wants(t, "stat", unix.Stat(path, &st), 0)
		if st.Mode&0o7777 != 0o600 || st.Uid != 12 || st.Gid != 34 {
			t.Errorf("%s: mode %o, owner %d:%d", path, st.Mode, st.Uid, st.Gid)
		}
	}
}

// renameIsFollowed is C9: commits go where another mount has moved the file, or its directory.
func renameIsFollowed(t *testing.T, p pair) {
	put(t, p.a("f"), "base")
	f := open(t, p.a("f"), os.O_RDWR)
	write(t, f, "data")
	wants(t, "rename", os.Rename(p.b("f"), p.b("g")), 0)
	wants(t, "fsync", f.Sync(), 0)
	check(t, p.b("g"), "data")
	wants(t, "mkdir", os.Mkdir(p.b("d"), 0o755), 0)
	wants(t, "rename into a directory", os.Rename(p.b("g"), p.b("d", "h")), 0)
	if _, err := f.WriteAt([]byte("last"), 0); err != nil {
		t.Fatal(err)
	}
	wants(t, "rename of the directory", os.Rename(p.b("d"), p.b("e")), 0)
	wants(t, "close", f.Close(), 0)
	check(t, p.a("e", "h"), "last")
	absent(t, p.a("f"))
}

// unlinkDetaches is C9: what the mount itself has unlinked or replaced goes with its handle, and nobody is told EBUSY.
func unlinkDetaches(t *testing.T, p pair) {
	for name, detach := range map[string]func() error{
		"unlinked": func() error { return os.Remove(p.a("unlinked")) },
		"replaced": func() error {
			put(t, p.a("new"), "new")
			return os.Rename(p.a("new"), p.a("replaced"))
		},
	} {
		put(t, p.a(name), "base")
		f := open(t, p.a(name), os.O_RDWR)
		write(t, f, "data")
		wants(t, name, detach(), 0)
		wants(t, "close", f.Close(), 0)
		p.checkKept(t, 0, name)
	}
	absent(t, p.b("unlinked"))
	check(t, p.b("replaced"), "new")
}

// failureIsLogged is C10: by the mount that lost, with what is needed to find the bytes.
func failureIsLogged(t *testing.T, p pair) {
	put(t, p.a("f"), "base")
	f := open(t, p.b("f"), os.O_RDWR)
	write(t, f, "LOSER")
	put(t, p.a("f"), "winner")
	wants(t, "close", f.Close(), syscall.EBUSY)
	id := filepath.Base(p.kept(t, 1, "f")[0])
	lines := 0
	for line := range strings.Lines(p.g.mounts[1].Log()) {
		if strings.Contains(line, p.dir+"/f") && strings.Contains(line, id) {
			lines++
			for _, word := range []string{"base", "winner", "uid", "pid", "close"} {
				if !strings.Contains(line, word) {
					t.Errorf("no %s in %s", word, line)
				}
			}
		}
	}
	if lines != 1 {
		t.Errorf("%d lines in the log of the loser:\n%s", lines, p.g.mounts[1].Log())
	}
}
