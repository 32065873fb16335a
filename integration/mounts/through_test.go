package mounts

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// throughBytes is enough for the kernel to read a file by itself.
const throughBytes = 8 << 20

// verified makes a large file of one letter and reads it once, so that the store has verified it.
func verified(t *testing.T, path, letter string) {
	t.Helper()
	put(t, path, strings.Repeat(letter, throughBytes))
	forgetPages(t, path)
	if _, err := os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
}

// forgetPages empties the kernel's page cache of what a path shows.
func forgetPages(t *testing.T, path string) {
	t.Helper()
	f := open(t, path, os.O_RDONLY)
	wants(t, "fadvise", unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), 0)
	wants(t, "close", f.Close(), 0)
}

// given is how many bytes the daemon has given to the kernel so far.
func given(t *testing.T, m *mounttest.Mount) int64 {
	t.Helper()
	text, err := os.ReadFile(m.Path(".etagfs", "stats"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\netagfs_fuse_read_bytes_total ")
	value, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseFloat(value, 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(n)
}

// passes reports whether a file's bytes reach who reads them without the daemon.
func passes(t *testing.T, m *mounttest.Mount, path string) bool {
	t.Helper()
	forgetPages(t, path)
	before := given(t, m)
	got, err := os.ReadFile(path)
	if err != nil || len(got) < throughBytes {
		t.Fatalf("read %d bytes: %v", len(got), err)
	}
	return given(t, m)-before < throughBytes/2
}

// needPassing returns once a file that was verified is read past the daemon. An open that meets another of before the file was verified
// is as that one, and the kernel tells of the last close of a file when it has the time.
func needPassing(t *testing.T, m *mounttest.Mount, path string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !passes(t, m, path); {
		if time.Now().After(deadline) {
			t.Fatal("not read past the daemon")
		}
	}
}

func startPassing(t *testing.T) *mounttest.Mount {
	t.Helper()
	mounttest.Need(t, "root")
	return onDisk(t)
}

// C11: the kernel reads a file by itself once that was verified, and never with integrity=strict.
func TestKernelReadsWhatWasVerified(t *testing.T) {
	m := startPassing(t)
	path := m.Path("large")
	put(t, path, strings.Repeat("a", throughBytes))
	m.Unmount()
	m.Restart()
	if passes(t, m, path) {
		t.Error("bytes that were never read passed by the daemon")
	}
	needPassing(t, m, path)
	m.Unmount()
	m.RestartWith("integrity=strict")
	for range 3 {
		if passes(t, m, path) {
			t.Error("integrity=strict: bytes passed by the daemon")
		}
	}
	m.Unmount()
	m.RestartWith("isolation=mount")
	for range 3 {
		if passes(t, m, path) {
			t.Error("isolation=mount: bytes passed by the daemon")
		}
	}
}

// C11: what was just written, and has been in memory since, counts as verified, but with integrity=strict.
func TestKernelReadsWhatWasJustWritten(t *testing.T) {
	m := startPassing(t)
	passed := func(times int) (yes bool) {
		for i := range times {
			path := m.Path(fmt.Sprintf("large-%d", i%2))
			put(t, path, strings.Repeat("a", throughBytes))
			yes = yes || passes(t, m, path)
		}
		return yes
	}
	for deadline := time.Now().Add(time.Minute); !passed(1); { // the kernel tells of the writer's close when it has the time, and memory may be scarce
		if time.Now().After(deadline) {
			t.Fatal("not read past the daemon")
		}
	}
	m.Unmount()
	m.RestartWith("integrity=strict")
	if passed(4) {
		t.Error("integrity=strict: bytes passed by the daemon")
	}
}

// C2, C5: who reads past the daemon keeps its version, and who opens later sees the new one.
func TestReaderPastTheDaemonIsPinned(t *testing.T) {
	fates := map[string]func(t *testing.T, path string){
		"overwrite": func(t *testing.T, path string) { put(t, path, "b") },
		"edit": func(t *testing.T, path string) {
			f := open(t, path, os.O_RDWR)
			write(t, f, "b")
			wants(t, "close", f.Close(), 0)
		},
		"append": func(t *testing.T, path string) {
			f := open(t, path, os.O_WRONLY|os.O_APPEND)
			write(t, f, "b")
			wants(t, "close", f.Close(), 0)
		},
		"truncate by path": func(t *testing.T, path string) { wants(t, "truncate", os.Truncate(path, 0), 0) },
		"unlink":           func(t *testing.T, path string) { wants(t, "unlink", os.Remove(path), 0) },
		"rename over": func(t *testing.T, path string) {
			put(t, path+".new", "b")
			wants(t, "rename", os.Rename(path+".new", path), 0)
		},
		"lock": func(t *testing.T, path string) {
			f := open(t, path, os.O_RDWR)
			wants(t, "flock", unix.Flock(int(f.Fd()), unix.LOCK_EX), 0)
			write(t, f, "b")
			wants(t, "close", f.Close(), 0)
		},
	}
	m := startPassing(t)
	want := bytes.Repeat([]byte("a"), throughBytes)
	for name, befall := range fates {
		t.Run(name, func(t *testing.T) {
			path := m.Path(name)
			verified(t, path, "a")
			needPassing(t, m, path)
			f := open(t, path, os.O_RDONLY)
			memory, err := unix.Mmap(int(f.Fd()), 0, throughBytes, unix.PROT_READ, unix.MAP_SHARED)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Munmap(memory)
			befall(t, path)
			after, _ := os.ReadFile(path)
			if bytes.Equal(after, want) {
				t.Error("an open after the change does not see it")
			}
			if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, want) {
				t.Errorf("read %d bytes that are not those of the open (%v)", len(got), err)
			}
			if !bytes.Equal(memory, want) {
				t.Error("the mapping changed")
			}
			if info, err := f.Stat(); err != nil || info.Size() != throughBytes {
				t.Errorf("fstat: size %d (%v)", info.Size(), err)
			}
			if again, err := os.ReadFile(fdPath(f)); err != nil || !bytes.Equal(again, want) {
				t.Errorf("opened again through /proc: %d bytes (%v)", len(again), err)
			}
			wants(t, "close", f.Close(), 0)
			if !bytes.Equal(memory, want) {
				t.Error("the mapping changed after the close")
			}
		})
	}
}

// What the kernel reads by itself can be opened again for reading, with O_DIRECT too, and not for writing: the
// kernel would write to a file of the store.
func TestOpenAgainPastTheDaemon(t *testing.T) {
	m := startPassing(t)
	path := m.Path("large")
	verified(t, path, "a")
	needPassing(t, m, path)
	f := open(t, path, os.O_RDONLY)
	_, err := os.OpenFile(fdPath(f), os.O_RDWR, 0)
	wants(t, "open for writing through /proc", err, syscall.EBUSY)
	d := open(t, path, os.O_RDONLY|unix.O_DIRECT)
	p := make([]byte, 100) // as it lies in memory, and at an odd place
	if n, err := d.ReadAt(p, 3); n != len(p) || err != nil {
		t.Errorf("O_DIRECT: %d bytes, %v", n, err)
	}
	w := open(t, path, os.O_RDWR)
	write(t, w, "b")
	wants(t, "close", w.Close(), 0)
	if got, err := os.ReadFile(path); err != nil || got[0] != 'b' {
		t.Errorf("the writer beside the readers wrote nothing: %v", err)
	}
}

// C1: beside writers everybody reads one version, past the daemon or not, and no error of the node's modes is seen.
func TestReadersPastTheDaemonBesideWriters(t *testing.T) {
	m := startPassing(t)
	path := m.Path("large")
	verified(t, path, "a")
	var group sync.WaitGroup
	for worker := range 4 {
		from := filepath.Join(t.TempDir(), "content")
		put(t, from, strings.Repeat(string(rune('b'+worker)), throughBytes))
		group.Go(func() {
			for range 4 { // a process of its own: readers of ours would see what it has not committed yet
				out, err := exec.Command("cp", from, path).CombinedOutput()
				if err != nil && !strings.Contains(string(out), "resource busy") {
					t.Errorf("cp: %v: %s", err, out)
				}
			}
		})
	}
	for range 4 {
		group.Go(func() {
			for range 12 {
				got, err := os.ReadFile(path)
				if err != nil || len(got) != throughBytes || bytes.Count(got, got[:1]) != throughBytes {
					t.Errorf("read %d bytes of several versions: %v", len(got), err)
				}
			}
		})
	}
	group.Wait()
}
