package crossmounts

import (
	"bytes"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// readersSeeWholeCommits is C1: on one mount nothing but what was committed on the other is read.
func readersSeeWholeCommits(t *testing.T, p pair) {
	const size, versions = 300_000, 30
	content := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i%26)}, size-i) }
	put(t, p.a("f"), string(content(0)))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				got, err := os.ReadFile(p.b("f"))
				if err != nil || len(got) == 0 || !bytes.Equal(got, bytes.Repeat(got[:1], len(got))) ||
					int(got[0]-'a') != (size-len(got))%26 {
					t.Errorf("%d bytes (%v) are no version", len(got), err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range versions {
		f := open(t, p.a("f"), os.O_RDWR)
		for _, half := range [][]byte{content(i)[:size/2], content(i)[size/2:]} {
			write(t, f, string(half))
		}
		wants(t, "truncate", f.Truncate(int64(size-i)), 0)
		wants(t, "close", f.Close(), 0)
	}
	close(done)
	readers.Wait()
}

// readersArePinned is C2: a reader on one mount keeps its version, size and mapping whatever is done on the other.
func readersArePinned(t *testing.T, p pair) {
	fates := map[string]func(name string) error{
		"overwrite":        func(name string) error { return os.WriteFile(p.b(name), []byte("something else"), 0o644) },
		"truncate by path": func(name string) error { return os.Truncate(p.b(name), 0) },
		"unlink":           func(name string) error { return os.Remove(p.b(name)) },
		"rename":           func(name string) error { return os.Rename(p.b(name), p.b(name+".moved")) },
		"rename over": func(name string) error {
			put(t, p.b(name+".new"), "new")
			return os.Rename(p.b(name+".new"), p.b(name))
		},
		"edit": func(name string) error {
			f := open(t, p.b(name), os.O_RDWR)
			write(t, f, "EDIT")
			return f.Close()
		},
	}
	for fate, befall := range fates {
		t.Run(fate, func(t *testing.T) {
			const content = "the first content"
			put(t, p.a(fate), content)
			f := open(t, p.a(fate), os.O_RDONLY)
			memory, err := unix.Mmap(int(f.Fd()), 0, len(content), unix.PROT_READ, unix.MAP_SHARED)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Munmap(memory)
			wants(t, fate, befall(fate), 0)
			got := make([]byte, len(content)+1)
			if n, _ := f.ReadAt(got, 0); string(got[:n]) != content {
				t.Errorf("read %q", got[:n])
			}
			if string(memory) != content {
				t.Errorf("mapping shows %q", memory)
			}
			if info, err := f.Stat(); err != nil || info.Size() != int64(len(content)) {
				t.Errorf("fstat: %v (%v)", info, err)
			}
		})
	}
}

// writersDoNotSeeEachOther is C2 of writers.
func writersDoNotSeeEachOther(t *testing.T, p pair) {
	put(t, p.a("f"), "0123456789")
	a, b := open(t, p.a("f"), os.O_RDWR), open(t, p.b("f"), os.O_RDWR)
	if err := a.Truncate(3); err != nil {
		t.Fatal(err)
	}
	if _, err := b.WriteAt([]byte("more"), 10); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f    *os.File
		want string
	}{{a, "012"}, {b, "0123456789more"}} {
		got := make([]byte, 64)
		n, _ := c.f.ReadAt(got, 0)
		info, err := c.f.Stat()
		if err != nil || string(got[:n]) != c.want || info.Size() != int64(len(c.want)) {
			t.Errorf("read %q with %v (%v), want %q", got[:n], info, err, c.want)
		}
	}
}

// fsyncPublishes is C8 in part: what fsync has answered is there for the other mount, though the handle stays open.
func fsyncPublishes(t *testing.T, p pair) {
	f := open(t, p.a("f"), os.O_RDWR|os.O_CREATE)
	for _, text := range []string{"one", "two"} {
		if _, err := f.WriteAt([]byte(text), 0); err != nil {
			t.Fatal(err)
		}
		wants(t, "fsync", f.Sync(), 0)
		check(t, p.b("f"), text)
	}
	if _, err := f.WriteAt([]byte("new"), 0); err != nil {
		t.Fatal(err)
	}
	check(t, p.b("f"), "two")
	wants(t, "close", f.Close(), 0)
	check(t, p.b("f"), "new")
}
