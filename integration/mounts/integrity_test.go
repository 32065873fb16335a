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
