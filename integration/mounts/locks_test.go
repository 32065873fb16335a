package mounts

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// fileLocks are the ways to lock a file as a whole.
var fileLocks = map[string]func(f *os.File, lock bool) error{
	"flock": func(f *os.File, lock bool) error {
		if lock {
			return again(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX) })
		}
		return unix.Flock(int(f.Fd()), unix.LOCK_UN)
	},
	"fcntl": func(f *os.File, lock bool) error { return record(f, unix.F_SETLKW, lock) },
	"ofd":   func(f *os.File, lock bool) error { return record(f, unix.F_OFD_SETLKW, lock) },
}

func record(f *os.File, cmd int, lock bool) error {
	l := unix.Flock_t{Type: unix.F_UNLCK}
	if lock {
		l.Type = unix.F_WRLCK
	}
	return again(func() error { return unix.FcntlFlock(f.Fd(), cmd, &l) })
}

// again repeats a call that a signal ended.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// countLocked adds one to the number in FILE, COUNT times, under a lock of a KIND and through one descriptor. Nothing is
// tried twice.
func countLocked(args []string) error {
	lock := fileLocks[args[2]]
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	f, err := os.OpenFile(args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	for range count {
		if err := lock(f, true); err != nil {
			return errors.Join(fmt.Errorf("lock: %w", err), f.Close())
		}
		p := make([]byte, 20)
		n, _ := f.ReadAt(p, 0)
		was, err := strconv.Atoi(string(p[:n]))
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if _, err := f.WriteAt([]byte(strconv.Itoa(was+1)), 0); err != nil {
			return errors.Join(err, f.Close())
		}
		if err := lock(f, false); err != nil {
			return errors.Join(fmt.Errorf("unlock: %w", err), f.Close())
		}
	}
	return f.Close()
}

// C3: who locks is refreshed, who unlocks has committed.
func TestC3SixteenProcessesCountUnderALock(t *testing.T) {
	for kind := range fileLocks {
		t.Run(kind, func(t *testing.T) {
			m := start(t)
			path := m.Path("counter")
			put(t, path, "0")
			run(t, times(t, 16, "count", path, "100", kind)...)
			if got, err := os.ReadFile(path); err != nil || string(got) != "1600" {
				t.Errorf("counted to %q (%v)", got, err)
			}
			checkKept(t, m)
		})
	}
}

// C3: those who have opened a file before anything of it was committed, its maker among them, append in turns to what the
// others have appended, each through one descriptor.
func TestC3ANewFileIsSharedUnderALock(t *testing.T) {
	for kind, lock := range fileLocks {
		if kind == "fcntl" {
			continue // which does not tell descriptors of a process apart
		}
		t.Run(kind, func(t *testing.T) {
			m := start(t)
			path := m.Path("log")
			var files []*os.File
			for range 4 {
				f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
				must(t, err)
				defer f.Close()
				files = append(files, f)
			}
			want := ""
			for i := range 3 * len(files) {
				f := files[(i+1)%len(files)]
				must(t, lock(f, true))
				end, err := f.Seek(0, io.SeekEnd)
				must(t, err)
				if end != int64(len(want)) {
					t.Fatalf("turn %d finds %d bytes, want %d", i, end, len(want))
				}
				turn := fmt.Sprintln("turn", i)
				_, err = f.WriteString(turn)
				must(t, err)
				must(t, lock(f, false))
				want += turn
			}
			for _, f := range files {
				must(t, f.Close())
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != want {
				t.Errorf("the file is %q (%v), want %q", got, err, want)
			}
			checkKept(t, m)
		})
	}
}

// C3: those who open a file while others commit what they appended to it, from before it had a first version on, take turns.
func TestC3OpenersOfANewFileTakeTurnsWhileItIsCommitted(t *testing.T) {
	const files, openers, turns = 20, 6, 10
	m := start(t)
	for i := range files {
		path := m.Path(fmt.Sprint("log", i))
		maker, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		must(t, err)
		failed := make(chan error, openers)
		for range openers {
			go func() { failed <- appendLocked(path, turns) }()
		}
		for range openers {
			if err := <-failed; err != nil {
				t.Errorf("file %d: %v", i, err)
			}
		}
		must(t, maker.Close())
		if got, err := os.ReadFile(path); err != nil || string(got) != strings.Repeat("turn\n", openers*turns) {
			t.Errorf("file %d has %d bytes (%v)", i, len(got), err)
		}
	}
	checkKept(t, m)
}

// appendLocked appends a line to a file, turns times, each under a lock and through one descriptor that knows no O_APPEND.
func appendLocked(path string, turns int) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	lock := fileLocks["ofd"]
	for range turns {
		err := lock(f, true)
		if err == nil {
			_, err = f.Seek(0, io.SeekEnd)
		}
		if err == nil {
			_, err = f.WriteString("turn\n")
		}
		if err = errors.Join(err, lock(f, false)); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// C5: what is opened under a lock is what the last holder has closed.
func TestC5ShellsCountUnderALockFile(t *testing.T) {
	mounttest.Need(t, "flock")
	m := start(t)
	script := `echo 0 > counter; for p in $(seq 16); do (for i in $(seq 20); do flock lock sh -c 'read n < counter; echo $((n+1)) > counter'; done) & done; wait; cat counter`
	if out := shell(t, m, script); out != "320\n" {
		t.Errorf("counted to %q", out)
	}
	checkKept(t, m)
}

// Rollback mode: every connection keeps the database open and relies on locks of ranges of it.
func TestFourConnectionsOfSQLite(t *testing.T) {
	mounttest.Need(t, "sqlite3")
	m := start(t)
	shell(t, m, `sqlite3 db "create table t(n integer primary key, p int)"`)
	const inserts = 50
	var connections []*exec.Cmd
	for p := range 4 {
		c := exec.Command("sqlite3", "-bail", "-cmd", ".timeout 120000", m.Path("db"))
		c.Stdin = strings.NewReader(strings.Repeat(fmt.Sprintf("begin immediate; insert into t(p) values(%d); commit;\n", p), inserts))
		connections = append(connections, c)
	}
	run(t, connections...)
	want := fmt.Sprintf("ok\n%d\n%s", 4*inserts, strings.Repeat(fmt.Sprintln(inserts), 4))
	if out := shell(t, m, `sqlite3 db "pragma integrity_check; select count(*) from t; select count(*) from t group by p"`); out != want {
		t.Errorf("the database says %q, want %q", out, want)
	}
	checkKept(t, m)
}

// A store through a mapping arrives, at the latest, with the unlock.
func TestStoresThroughAMappingAreCommittedByTheUnlock(t *testing.T) {
	m := start(t)
	put(t, m.Path("f"), "one")
	f, err := os.OpenFile(m.Path("f"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := fileLocks["flock"](f, true); err != nil {
		t.Fatal(err)
	}
	p, err := unix.Mmap(int(f.Fd()), 0, 3, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(p)
	copy(p, "two")
	if err := fileLocks["flock"](f, false); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(m.Path("f")); err != nil || string(got) != "two" {
		t.Errorf("another reads %q (%v)", got, err)
	}
	put(t, m.Path("f"), "six")
	if err := fileLocks["flock"](f, true); err != nil {
		t.Fatal(err)
	}
	if string(p) != "six" {
		t.Errorf("the mapping shows %q after the lock", p)
	}
}

// Nothing is left of the locks of a process that is killed.
func TestRecordLocksEndWithTheirProcess(t *testing.T) {
	m := start(t)
	put(t, m.Path("f"), "0")
	f, err := os.OpenFile(m.Path("f"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	holder := mounttest.Command(t, "hold", m.Path("f"), "fcntl")
	out, err := holder.StdoutPipe()
	if err == nil {
		err = holder.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	l := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &l); err != nil || int(l.Pid) != holder.Process.Pid {
		t.Errorf("GETLK names %d (%v), want %d", l.Pid, err, holder.Process.Pid)
	}
	l = unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &l); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("locked what another holds: %v", err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := record(f, unix.F_SETLKW, true); err != nil {
		t.Error(err)
	}
	_ = holder.Wait() // killed
}

// holdLocked locks FILE in a KIND, says so and waits.
func holdLocked(args []string) error {
	f, err := os.OpenFile(args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := fileLocks[args[1]](f, true); err != nil {
		return err
	}
	fmt.Print("x")
	select {}
}
