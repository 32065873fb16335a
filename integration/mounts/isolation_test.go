package mounts

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// startShared mounts with isolation=mount.
func startShared(t testing.TB) *mounttest.Mount {
	t.Helper()
	return mounttest.Start(t, mounttest.Options{Mount: "isolation=mount"})
}

// Connections of SQLite share memory through a file in this mode.
func TestSharedSQLiteInWALMode(t *testing.T) {
	mounttest.Need(t, "sqlite3")
	for _, mode := range []string{"wal", "delete", "truncate"} {
		t.Run(mode, func(t *testing.T) {
			m := startShared(t)
			shell(t, m, `sqlite3 db "pragma journal_mode=`+mode+`; create table t(n integer primary key, p int)"`)
			const inserts, processes = 40, 4
			var connections []*exec.Cmd
			for p := range processes {
				c := exec.Command("sqlite3", "-bail", "-cmd", ".timeout 120000", m.Path("db"))
				c.Stdin = strings.NewReader(strings.Repeat(fmt.Sprintf("begin immediate; insert into t(p) values(%d); commit;\n", p), inserts))
				connections = append(connections, c)
			}
			run(t, connections...)
			want := fmt.Sprintf("ok\n%d\n%s", processes*inserts, strings.Repeat(fmt.Sprintln(inserts), processes))
			if out := shell(t, m, `sqlite3 db "pragma integrity_check; select count(*) from t; select count(*) from t group by p"`); out != want {
				t.Errorf("the database says %q, want %q", out, want)
			}
			checkKept(t, m)
		})
	}
}

// Processes see each other's stores, writes, truncations and descriptors at once, before any commit.
func TestSharedMappingsAndDescriptors(t *testing.T) {
	m := startShared(t)
	put(t, m.Path("f"), strings.Repeat("0", 8192))
	early := open(t, m.Path("f"), os.O_RDONLY)
	a, b := open(t, m.Path("f"), os.O_RDWR), open(t, m.Path("f"), os.O_RDWR|os.O_APPEND)
	maps := make([][]byte, 0, 2)
	for _, f := range []*os.File{a, b} {
		p, err := unix.Mmap(int(f.Fd()), 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Munmap(p)
		maps = append(maps, p)
	}
	copy(maps[0][4000:], "mapped")
	if !bytes.Equal(maps[0], maps[1]) {
		t.Error("the mappings differ")
	}
	write(t, b, "tail")
	if _, err := a.WriteAt([]byte("written"), 100); err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("0", 100) + "written" + strings.Repeat("0", 4000-107) + "mapped" + strings.Repeat("0", 8192-4006) + "tail"
	for name, f := range map[string]*os.File{"before": early, "a": a, "after": open(t, m.Path("f"), os.O_RDONLY)} {
		got := make([]byte, 9000)
		if n, _ := f.ReadAt(got, 0); string(got[:n]) != want {
			t.Errorf("what was opened %s reads %d other bytes", name, n)
		}
	}
	if string(maps[1][100:107]) != "written" {
		t.Error("the mapping does not show what was written")
	}
	if info, err := early.Stat(); err != nil || info.Size() != 8196 {
		t.Errorf("its size is %d (%v)", info.Size(), err)
	}
	wants(t, "truncation by path", os.Truncate(m.Path("f"), 3), 0)
	if info, err := b.Stat(); err != nil || info.Size() != 3 {
		t.Errorf("its size is %d (%v) then", info.Size(), err)
	}
	write(t, b, "+")
	check(t, m.Path("f"), "000+")
	for _, f := range []*os.File{a, b, early} {
		wants(t, "close", f.Close(), 0)
	}
}

// C3, C4 between mounts: the copy of the mount that is second loses as one, and its next open begins with the winner.
func TestSharedCopyLosesToAnotherMount(t *testing.T) {
	for _, way := range ways() {
		t.Run(way, func(t *testing.T) {
			m := togetherWith(t, way, 2, "isolation=mount")
			put(t, m[0].Path("f"), "base")
			a, b, reader := open(t, m[0].Path("f"), os.O_RDWR), open(t, m[0].Path("f"), os.O_RDWR), open(t, m[0].Path("f"), os.O_RDONLY)
			write(t, a, "mine")
			put(t, m[1].Path("f"), "theirs")
			if _, err := b.WriteAt([]byte("M"), 0); err != nil {
				t.Fatal(err)
			}
			wants(t, "first close", a.Close(), syscall.EBUSY)
			check(t, m[0].Path("f"), "theirs")
			if info, err := os.Stat(m[0].Path("f")); err != nil || info.Size() != 6 {
				t.Errorf("stat: %v, %v", info, err)
			}
			got := make([]byte, 10)
			if n, err := reader.ReadAt(got, 0); string(got[:n]) != "Mine" {
				t.Errorf("who had it open reads %q (%v)", got[:n], err)
			}
			put(t, m[0].Path("f"), "next")
			wants(t, "second close", b.Close(), syscall.EBUSY)
			for _, m := range m {
				check(t, m.Path("f"), "next")
				checkKept(t, m, "Mine")
			}
		})
	}
}

// C5, C3: processes of two mounts that take turns by a lock lose nothing.
func TestSharedCopiesOfTwoMountsTakeTurns(t *testing.T) {
	m := togetherWith(t, ways()[0], 2, "isolation=mount")
	countInTurns(t, m, 3, 20)
}

// Names that are replaced and made again all the time are never refused, whichever of their files is opened.
func TestSharedNamesThatOthersReplace(t *testing.T) {
	m := startShared(t)
	shell(t, m, `echo 0 > name
(for i in $(seq 60); do echo $i > new; mv new name; done) &
(for i in $(seq 60); do echo $i > other; mv other twin; ln -f twin third; done) &
for i in $(seq 60); do cat name > /dev/null; stat name > /dev/null; done
wait`)
	checkKept(t, m)
	check(t, m.Path("name"), "60\n")
}
