package mounts

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// C11: damaged bytes are EIO, in the log, and never served; everything else is.
func TestDamageIsEIO(t *testing.T) {
	shortIsParallel(t)
	large := strings.Repeat("0123456789abcdef", 1<<16)
	for _, c := range []struct {
		name     string
		contents string // to damage
		named    string // in the log
		ask      func(m *mounttest.Mount) error
	}{
		{"a small content", "the small content", "read record ", func(m *mounttest.Mount) error { return asks(m.Path("small")) }},
		{"a large content", large[:64], "blob ", func(m *mounttest.Mount) error { return asks(m.Path("large")) }},
		{"a name", "the-name-that-is-lost", "lookup the-name-that-is-lost", func(m *mounttest.Mount) error { return asks(m.Path("dir", "the-name-that-is-lost")) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := onDisk(t)
			put(t, m.Path("small"), "the small content")
			put(t, m.Path("large"), large)
			put(t, m.Path("whole"), "whole")
			if err := os.Mkdir(m.Path("dir"), 0o755); err != nil {
				t.Fatal(err)
			}
			put(t, m.Path("dir", "the-name-that-is-lost"), "content")
			m.Unmount()
			mounttest.Damage(t, m.Store, c.contents)
			m.Restart()
			wants(t, "read", c.ask(m), syscall.EIO)
			check(t, m.Path("whole"), "whole")
			put(t, m.Path("new"), "new")
			m.Unmount() // then all of the log has come
			said := slices.ContainsFunc(strings.Split(m.Log(), "\n"), func(line string) bool {
				return strings.Contains(line, "stored bytes are damaged") && strings.Contains(line, c.named)
			})
			if !said {
				t.Errorf("the log does not say so of %s:\n%s", c.named, m.Log())
			}
		})
	}
}

// asks is the error with which a file cannot be read.
func asks(path string) error {
	_, err := os.ReadFile(path)
	return err
}

// C4, C10: what is written over damaged bytes is EIO, as nobody can tell what the file would be, and kept with zeros for these. One line of
// the log says so, however often it is tried.
func TestBytesWrittenOverDamageAreKept(t *testing.T) {
	shortIsParallel(t)
	large := strings.Repeat("0123456789abcdef", 1<<16)
	for _, c := range []struct {
		name, was, want string
	}{
		{"small", "the small content", strings.Repeat("\x00", 10) + "new" + strings.Repeat("\x00", 4)},
		{"large", large, strings.Repeat("\x00", 10) + "new" + strings.Repeat("\x00", 1<<16-13) + large[1<<16:]},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := onDisk(t)
			put(t, m.Path("f"), c.was)
			m.Unmount()
			mounttest.Damage(t, m.Store, c.was[:min(64, len(c.was))])
			m.Restart()
			f, err := os.OpenFile(m.Path("f"), os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt([]byte("new"), 10)
			}
			if err != nil {
				t.Fatal(err)
			}
			wants(t, "fsync", f.Sync(), syscall.EIO)
			wants(t, "close", f.Close(), syscall.EIO)
			kept, err := os.ReadDir(m.Path(".etagfs", "conflicts"))
			if err != nil || len(kept) != 1 {
				t.Fatalf("%d kept copies, %v", len(kept), err)
			}
			check(t, m.Path(".etagfs", "conflicts", kept[0].Name(), "mine"), c.want)
			m.Unmount() // then all of the log has come
			var told []string
			for line := range strings.Lines(m.Log()) {
				if strings.Contains(line, "level=ERROR") {
					told = append(told, line)
				}
			}
			if len(told) != 1 || !strings.Contains(told[0], "commit failed") || !strings.Contains(told[0], "kept="+kept[0].Name()) {
				t.Errorf("%d lines of errors:\n%s", len(told), strings.Join(told, ""))
			}
		})
	}
}

// C11: bytes that become damaged on the disk of a mount with integrity=strict, after they were verified and read, are EIO from then on.
func TestDamageUnderAStrictMountIsEIO(t *testing.T) {
	shortIsParallel(t)
	m := onDisk(t)
	m.Unmount()
	m.RestartWith("integrity=strict")
	large, path := strings.Repeat("0123456789abcdef", throughBytes/16), m.Path("large")
	put(t, path, large)
	put(t, m.Path("whole"), "whole")
	for range 2 {
		forgetPages(t, path)
		check(t, path, large)
	}
	mounttest.Damage(t, m.Store, large[:64])
	for range 3 {
		forgetPages(t, path)
		wants(t, "read", asks(path), syscall.EIO)
	}
	check(t, m.Path("whole"), "whole")
	m.Unmount()
}
