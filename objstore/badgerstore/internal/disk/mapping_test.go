package disk

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// mapped is a file of some pages of ones that is mapped to be written.
func mapped(t *testing.T, pages int) (File, []byte) {
	t.Helper()
	f, err := OS{}.Create(filepath.Join(t.TempDir(), "a file"))
	must(t, err)
	content := bytes.Repeat([]byte{1}, pages*unix.Getpagesize())
	_, err = f.WriteAt(content, 0)
	must(t, err)
	memory, err := unix.Mmap(f.Fd(), 0, len(content), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	t.Cleanup(func() { must(t, unix.Munmap(memory), f.Close()) })
	return f, memory
}

// TestTouchOfAMappingFindsWhatAWriteWouldDieOf: (1) a file is found where it is mapped; (2) a touch changes no byte, and nothing beyond
// the mapping is touched; (3) of a page that cannot be written it is EIO, (4) and those before it are fine. C10
func TestTouchOfAMappingFindsWhatAWriteWouldDieOf(t *testing.T) {
	const pages = 3
	f, memory := mapped(t, pages)
	page := int64(unix.Getpagesize())
	m, err := MappingOf(f)
	must(t, err)
	if m.IsZero() {
		t.Fatal("it is not found")
	}
	must(t, m.Touch(0, pages*page), m.Touch(2*page+5, 10*page), m.Touch(7*page, page))
	if n := bytes.Count(memory, []byte{1}); n != len(memory) {
		t.Errorf("a touch changed %d bytes", len(memory)-n)
	}
	must(t, f.Truncate(page))
	if err := m.Touch(0, 2*page); !errors.Is(err, unix.EIO) {
		t.Errorf("touch of a page that is gone: %v", err)
	}
	must(t, m.Touch(0, page))
}

// TestMappingOfIsNoneInDoubt: a file that is not mapped, or only to be read, or in part, or twice, has no mapping, and nothing is touched.
func TestMappingOfIsNoneInDoubt(t *testing.T) {
	page := unix.Getpagesize()
	both := unix.PROT_READ | unix.PROT_WRITE
	for name, more := range map[string]struct {
		offset      int64
		rights, how int
		found       bool
	}{
		"to be read":       {0, unix.PROT_READ, unix.MAP_SHARED, true},
		"a copy":           {0, both, unix.MAP_PRIVATE, true},
		"a part":           {int64(page), both, unix.MAP_SHARED, true},
		"as often as this": {0, both, unix.MAP_SHARED, false},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := mapped(t, 3)
			memory, err := unix.Mmap(f.Fd(), more.offset, page, more.rights, more.how)
			must(t, err)
			defer func() { must(t, unix.Munmap(memory)) }()
			m, err := MappingOf(f)
			if must(t, err); m.IsZero() == more.found {
				t.Errorf("found: %v", !m.IsZero())
			}
		})
	}
	f, err := OS{}.Create(filepath.Join(t.TempDir(), "not mapped"))
	must(t, err)
	defer f.Close()
	m, err := MappingOf(f)
	if must(t, err, m.Touch(0, 1<<20)); !m.IsZero() {
		t.Error("a mapping of a file that is not mapped")
	}
}
