package mounts

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// C3: locks exclude, refresh and commit between mounts as within one.
func TestC3ProcessesOfTwoMountsCountUnderALock(t *testing.T) {
	forEachWay(t, 2, func(t *testing.T, m []*mounttest.Mount) {
		countInTurns(t, m, 4, 25)
	})
}

// countInTurns has processes of each mount count in one file, each under a lock. None loses anything, and none is told that it did.
func countInTurns(t *testing.T, m []*mounttest.Mount, processes, each int) {
	t.Helper()
	path := func(m *mounttest.Mount) string { return m.Path("counter") }
	for kind := range fileLocks {
		put(t, path(m[0]), "0")
		var all []*exec.Cmd
		for _, m := range m {
			all = append(all, times(t, processes, "count", path(m), strconv.Itoa(each), kind)...)
		}
		run(t, all...)
		for _, on := range m {
			check(t, path(on), strconv.Itoa(len(m)*processes*each))
		}
	}
	checkKept(t, m[0])
}

func TestSQLiteOnTwoMounts(t *testing.T) {
	mounttest.Need(t, "sqlite3")
	forEachWay(t, 2, func(t *testing.T, m []*mounttest.Mount) {
		shell(t, m[0], `sqlite3 db "create table t(n integer primary key, p int)"`)
		const inserts = 20
		var connections []*exec.Cmd
		for p := range 4 {
			c := exec.Command("sqlite3", "-bail", "-cmd", ".timeout 120000", m[p%2].Path("db"))
			c.Stdin = strings.NewReader(strings.Repeat(fmt.Sprintf("begin immediate; insert into t(p) values(%d); commit;\n", p), inserts))
			connections = append(connections, c)
		}
		run(t, connections...)
		want := fmt.Sprintf("ok\n%d\n", 4*inserts)
		for _, m := range m {
			if out := shell(t, m, `sqlite3 db "pragma integrity_check; select count(*) from t"`); out != want {
				t.Errorf("the database says %q, want %q", out, want)
			}
		}
		checkKept(t, m[0])
	})
}

// lockedOn opens a file and locks it.
func lockedOn(t *testing.T, m *mounttest.Mount, name string) *os.File {
	t.Helper()
	return lockedBy(t, "flock", m, name)
}

func lockedBy(t *testing.T, kind string, m *mounttest.Mount, name string) *os.File {
	t.Helper()
	f := open(t, m.Path(name), os.O_RDWR)
	if err := fileLocks[kind](f, true); err != nil {
		t.Fatal(kind, err)
	}
	return f
}

// A mount whose daemon is killed holds nothing for longer than its lease.
func TestLocksOfAKilledMountAreReleased(t *testing.T) {
	forEachWay(t, 2, func(t *testing.T, m []*mounttest.Mount) {
		put(t, m[0].Path("f"), "one")
		lockedOn(t, m[1], "f")
		f := open(t, m[0].Path("f"), os.O_RDWR)
		wants(t, "lock beside the holder", unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB), syscall.EAGAIN)
		m[1].Signal(syscall.SIGKILL)
		m[1].Wait()
		m[1].Wait()
		wants(t, "lock after the holder", fileLocks["flock"](f, true), 0)
		write(t, f, "two")
		wants(t, "unlock", fileLocks["flock"](f, false), 0)
		check(t, m[0].Path("f"), "two")
		m[1].Restart()
		check(t, m[1].Path("f"), "two")
	})
}

// C3, C4: who was silent for longer than its lease has lost its locks, of every kind. What it commits under one is refused and kept,
// even if whoever had the lock since has changed nothing.
func TestC4CommitUnderALockWhoseLeaseRanOutIsBusyAndKept(t *testing.T) {
	forEachWay(t, 2, func(t *testing.T, m []*mounttest.Mount) {
		held, lost := make(map[string]*os.File), make(map[string]string)
		for kind := range fileLocks {
			put(t, m[0].Path(kind), kind)
			held[kind], lost[kind] = lockedBy(t, kind, m[1], kind), strings.ToUpper(kind)
			write(t, held[kind], lost[kind])
		}
		m[1].Signal(syscall.SIGSTOP)
		for kind := range fileLocks {
			other := lockedBy(t, kind, m[0], kind) // waits for the lease
			wants(t, "unlock of "+kind, fileLocks[kind](other, false), 0)
		}
		m[1].Signal(syscall.SIGCONT)
		for kind, f := range held {
			wants(t, "unlock of what was lost of "+kind, fileLocks[kind](f, false), syscall.EBUSY)
			check(t, m[0].Path(kind), kind)
			wants(t, "close of "+kind, f.Close(), syscall.EBUSY)
		}
		checkKept(t, m[0], slices.Collect(maps.Values(lost))...)
		for kind := range fileLocks {
			again := lockedBy(t, kind, m[1], kind)
			write(t, again, lost[kind])
			wants(t, "close of a new lock of "+kind, again.Close(), 0)
			check(t, m[0].Path(kind), lost[kind])
		}
	})
}
