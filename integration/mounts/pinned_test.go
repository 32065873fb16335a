package mounts

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// C2: a reader keeps its version, size and mapping whatever becomes of the name.
func TestReaderIsPinned(t *testing.T) {
	fates := map[string]func(t *testing.T, path string){
		"overwrite": func(t *testing.T, path string) { put(t, path, "something else") },
		"shrink":    func(t *testing.T, path string) { put(t, path, "x") },
		"edit": func(t *testing.T, path string) {
			f := open(t, path, os.O_RDWR)
			write(t, f, "EDIT")
			wants(t, "close", f.Close(), 0)
		},
		"truncate by path": func(t *testing.T, path string) { wants(t, "truncate", os.Truncate(path, 0), 0) },
		"unlink":           func(t *testing.T, path string) { wants(t, "unlink", os.Remove(path), 0) },
		"rename":           func(t *testing.T, path string) { wants(t, "rename", os.Rename(path, path+".moved"), 0) },
		"rename over": func(t *testing.T, path string) {
			put(t, path+".new", "new")
			wants(t, "rename", os.Rename(path+".new", path), 0)
		},
	}
	m := start(t)
	for name, befall := range fates {
		t.Run(name, func(t *testing.T) {
			const content = "the first content"
			path := m.Path(name)
			put(t, path, content)
			f := open(t, path, os.O_RDONLY)
			memory, err := unix.Mmap(int(f.Fd()), 0, len(content), unix.PROT_READ, unix.MAP_SHARED)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Munmap(memory)
			befall(t, path)
			got := make([]byte, len(content)+1)
			if n, _ := f.ReadAt(got, 0); string(got[:n]) != content {
				t.Errorf("read %q", got[:n])
			}
			if string(memory) != content {
				t.Errorf("mapping shows %q", memory)
			}
			if info, err := f.Stat(); err != nil || info.Size() != int64(len(content)) {
				t.Errorf("fstat: size %d (%v)", info.Size(), err)
			}
			if _, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_END); err != nil {
				t.Error(err)
			}
			if again, err := os.ReadFile(fdPath(f)); err != nil || string(again) != content {
				t.Errorf("opened again through /proc: %q (%v)", again, err)
			}
		})
	}
}

// C2, C3: of two writers each sees its own bytes and size only.
func TestWritersDoNotSeeEachOther(t *testing.T) {
	m := start(t)
	path := m.Path("f")
	put(t, path, "0123456789")
	a, b := open(t, path, os.O_RDWR), open(t, path, os.O_RDWR)
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
			t.Errorf("read %q with size %d (%v), want %q", got[:n], info.Size(), err, c.want)
		}
	}
}
