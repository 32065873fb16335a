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

// ownerAndOther are a mount and one that is attached to it and never becomes the owner, both with the same directory for what is kept here.
func ownerAndOther(t *testing.T) (owner, other *mounttest.Mount, cache string) {
	t.Helper()
	mounttest.Need(t, "binary")
	cache = "XDG_CACHE_HOME=" + t.TempDir()
	owner = mounttest.Start(t, mounttest.Options{Env: []string{cache}})
	return owner, mounttest.Start(t, mounttest.Options{Source: owner.Store, Env: []string{cache}, Args: []string{"--takeover=false"}}), cache
}

// copiesListed is how many kept copies the command lists that is given the store.
func copiesListed(t *testing.T, m *mounttest.Mount, cache string, args ...string) int {
	t.Helper()
	list := exec.Command(mounttest.Binary(), append([]string{"conflicts", "list", m.Store, "--json"}, args...)...)
	list.Env = append(os.Environ(), cache)
	out, err := list.Output()
	if err != nil {
		t.Errorf("etagfs conflicts list: %v\n%s", err, out)
	}
	return strings.Count(string(out), `"reason"`)
}

func kill(m *mounttest.Mount) {
	m.Signal(syscall.SIGKILL)
	m.Wait()
}

// C4: what cannot be committed because the owner is gone is an error at close, and by then listed as kept, and stays so when
// the owner is back.
func TestBytesAreKeptWhenTheOwnerIsGone(t *testing.T) {
	owner, other, cache := ownerAndOther(t)
	base := strings.Repeat("base ", 50_000)
	put(t, other.Path("f"), "base")
	put(t, other.Path("large"), base)
	f, made := open(t, other.Path("f"), os.O_WRONLY|os.O_TRUNC), open(t, other.Path("new"), os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	large := open(t, other.Path("large"), os.O_WRONLY)
	write(t, f, "mine")
	write(t, made, "made")
	write(t, large, "BASE ")
	kill(owner)
	wants(t, "close without an owner", f.Close(), syscall.EIO)
	wants(t, "close of a new file without an owner", made.Close(), syscall.EIO)
	wants(t, "close of a large file without an owner", large.Close(), syscall.EIO)
	if got := copiesListed(t, owner, cache); got != 3 {
		t.Errorf("without an owner %d copies are listed, not 3", got)
	}
	zeros := "BASE " + strings.Repeat("\x00", len(base)-5)
	owner.Restart()
	checkKept(t, other, "mine", "made", zeros)
	check(t, owner.Path("f"), "base")
	put(t, other.Path("f"), "later")
	check(t, owner.Path("f"), "later")
}

// C4, C10: what an attached mount was writing when its daemon was killed is kept at the next mount of the store, be it
// through the owner or as the owner.
func TestStagingOfAKilledAttachedMountIsKept(t *testing.T) {
	for _, how := range []string{"attached", "owner"} {
		t.Run(how, func(t *testing.T) {
			owner, other, _ := ownerAndOther(t)
			put(t, other.Path("f"), "base")
			f := open(t, other.Path("f"), os.O_WRONLY)
			write(t, f, "MINE")
			kill(other)
			f.Close()
			if how == "owner" {
				kill(owner)
				owner.Restart()
				checkKept(t, owner, "MINE")
			}
			other.Restart()
			checkKept(t, other, "MINE")
			check(t, other.Path("f"), "base")
		})
	}
}

// C2: a reader keeps its version if its owner begins anew, whether that was replaced before or has been since.
func TestC2ReaderKeepsItsVersionWhenItsOwnerBeginsAnew(t *testing.T) {
	for _, ends := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(ends.String(), func(t *testing.T) {
			owner, other, _ := ownerAndOther(t)
			old, changed := strings.Repeat("old ", 1<<20), strings.Repeat("new ", 1<<20)
			names := []string{"before", "after", "removed", "same"}
			files := make(map[string]*os.File)
			for _, name := range names {
				put(t, owner.Path(name), old)
				files[name] = open(t, other.Path(name), os.O_RDONLY)
			}
			put(t, owner.Path("before"), changed)
			owner.Signal(ends)
			owner.Wait()
			owner.Restart()
			put(t, owner.Path("after"), changed)
			if err := os.Remove(owner.Path("removed")); err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				got := make([]byte, len(old))
				if n, err := files[name].ReadAt(got, 0); n != len(old) || string(got) != old {
					t.Errorf("%s: %d bytes were read (%v), and they are not those that were opened", name, n, err)
				}
			}
		})
	}
}

// C3, C9: who holds a lock when its owner begins anew still holds it, and nobody else can have it meanwhile; what it wrote under it
// is committed.
func TestLocksAreHeldWhenTheirOwnerBeginsAnew(t *testing.T) {
	owner, other, _ := ownerAndOther(t)
	put(t, owner.Path("f"), "one")
	f := lockedOn(t, other, "f")
	write(t, f, "two")
	kill(owner)
	owner.Restart()
	g := open(t, owner.Path("f"), os.O_RDWR)
	wants(t, "lock beside the holder", unix.Flock(int(g.Fd()), unix.LOCK_EX|unix.LOCK_NB), syscall.EAGAIN)
	wants(t, "unlock", fileLocks["flock"](f, false), 0)
	wants(t, "lock after the holder", fileLocks["flock"](g, true), 0)
	check(t, owner.Path("f"), "two")
}

// C4: what a mount kept in a directory of its own choice is listed by who names that.
func TestCopiesBelowAChosenDirectoryAreListed(t *testing.T) {
	owner, _, cache := ownerAndOther(t)
	below := t.TempDir()
	other := mounttest.Start(t, mounttest.Options{Source: owner.Store, Args: []string{"--takeover=false", "--cache", below}})
	f := open(t, other.Path("f"), os.O_WRONLY|os.O_CREATE)
	write(t, f, "mine")
	kill(owner)
	wants(t, "close without an owner", f.Close(), syscall.EIO)
	for _, c := range []struct {
		args []string
		want int
	}{{nil, 0}, {[]string{"--cache", below}, 1}} {
		if got := copiesListed(t, owner, cache, c.args...); got != c.want {
			t.Errorf("with %q %d copies are listed, not %d", c.args, got, c.want)
		}
	}
	owner.Restart()
	checkKept(t, other, "mine")
}
