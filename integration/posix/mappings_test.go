package posix

import (
	"os"
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"
)

const page = 4096

// touched reads a byte of a mapping, or stores to it, and says what a SIGBUS would say.
func touched(m []byte, at int, store bool) (text string) {
	debug.SetPanicOnFault(true)
	defer func() {
		if recover() != nil {
			text = "SIGBUS"
		}
	}()
	if store {
		m[at] = 'S'
		return "stored"
	}
	return sprint("%d", m[at])
}

// looks are bytes of a mapping at and about the end of a file of so many.
func looks(m []byte, size int) (text string) {
	for _, at := range []int{0, size - 1, size, (size+page-1)/page*page - 1, (size + page - 1) / page * page, len(m) - 1} {
		if at >= 0 && at < len(m) {
			text += sprint(" [%d]=%s", at, touched(m, at, false))
		}
	}
	return text
}

// mapped are what is done with a mapping of six pages of a file, and its descriptor.
func mapped() []deed[mapping] {
	flush := func(name string, flags int) deed[mapping] {
		return deed[mapping]{"store and msync " + name, func(m mapping) (string, error) {
			touched(m.bytes, 5, true)
			return silent(unix.Msync(m.bytes, flags))
		}}
	}
	return []deed[mapping]{
		{"look", func(m mapping) (string, error) { return looks(m.bytes, patternBytes), nil }},
		{"store behind the end", func(m mapping) (string, error) {
			return touched(m.bytes, patternBytes+10, true), unix.Msync(m.bytes[:4*page], unix.MS_SYNC)
		}},
		{"store in a page behind", func(m mapping) (string, error) { return touched(m.bytes, 5*page, true), nil }},
		{"look after a cut", func(m mapping) (string, error) {
			err := unix.Ftruncate(m.fd, page+10)
			return looks(m.bytes, page+10), err
		}},
		{"look after a cut to nothing", func(m mapping) (string, error) {
			err := unix.Ftruncate(m.fd, 0)
			return looks(m.bytes, 0) + touched(m.bytes, 0, true), err
		}},
		{"look after growth", func(m mapping) (string, error) {
			err := unix.Ftruncate(m.fd, 5*page+1)
			return looks(m.bytes, 5*page+1), err
		}},
		{"store behind the end and grow", func(m mapping) (string, error) {
			text := touched(m.bytes, patternBytes+10, true)
			err := unix.Ftruncate(m.fd, 5*page)
			return text + looks(m.bytes, patternBytes) + touched(m.bytes, patternBytes+10, false), err
		}},
		{"store behind the end and write further", func(m mapping) (string, error) {
			text := touched(m.bytes, patternBytes+10, true)
			n, err := unix.Pwrite(m.fd, []byte("x"), 5*page)
			return text + sprint(" %d", n), err
		}},
		{"cut and grow", func(m mapping) (string, error) {
			touched(m.bytes, 100, true)
			if err := unix.Ftruncate(m.fd, 50); err != nil {
				return "", err
			}
			err := unix.Ftruncate(m.fd, 2*page)
			return looks(m.bytes, 50) + touched(m.bytes, 100, false), err
		}},
		{"write and look", func(m mapping) (string, error) {
			n, err := unix.Pwrite(m.fd, []byte("WRITTEN"), page-3)
			return sprint("%d ", n) + touched(m.bytes, page, false) + looks(m.bytes, patternBytes), err
		}},
		{"store and read", func(m mapping) (string, error) {
			text := touched(m.bytes, page, true)
			buf := make([]byte, 3)
			n, err := unix.Pread(m.fd, buf, page-1)
			return text + sprint(" %d %v", n, buf), err
		}},
		{"punch and look", func(m mapping) (string, error) {
			err := unix.Fallocate(m.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 100, 2*page)
			return looks(m.bytes, patternBytes) + touched(m.bytes, page, false), err
		}},
		flush("SYNC", unix.MS_SYNC), flush("ASYNC", unix.MS_ASYNC), flush("INVALIDATE", unix.MS_INVALIDATE), flush("nothing", 0),
		flush("SYNC|INVALIDATE", unix.MS_SYNC|unix.MS_INVALIDATE), flush("SYNC|ASYNC", unix.MS_SYNC|unix.MS_ASYNC), flush("unknown", 64),
		{"msync of what is not aligned", func(m mapping) (string, error) { return silent(unix.Msync(m.bytes[1:], unix.MS_SYNC)) }},
		{"let go", func(m mapping) (string, error) {
			text := touched(m.bytes, 7, true)
			err := unix.Madvise(m.bytes, unix.MADV_DONTNEED)
			return text + touched(m.bytes, 7, false), err
		}},
		{"removed", func(m mapping) (string, error) { return silent(unix.Madvise(m.bytes[:page], unix.MADV_REMOVE)) }},
		{"populated", func(m mapping) (string, error) { return silent(unix.Madvise(m.bytes[:page], unix.MADV_POPULATE_WRITE)) }},
	}
}

// mapping is a mapping of a file and a descriptor of it.
type mapping struct {
	bytes []byte
	fd    int
}

// Mappings are made where they can be, show what the file has, zeros to the end of its last page and SIGBUS beyond, follow when it is cut
// and grows, and what is stored to those that are shared is the file's.
func TestMappingsAtAndBeyondTheEnd(t *testing.T) {
	kinds := []struct {
		name              string
		open, prot, flags int
	}{
		{"shared", unix.O_RDWR, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED}, {"private", unix.O_RDWR, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE},
		{"private of a reader", unix.O_RDONLY, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE}, {"shared of a reader", unix.O_RDONLY, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED},
		{"of a writer", unix.O_WRONLY, unix.PROT_READ, unix.MAP_SHARED}, {"validated", unix.O_RDWR, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED_VALIDATE},
		{"validated and unknown", unix.O_RDWR, unix.PROT_READ, unix.MAP_SHARED_VALIDATE | 1<<25}, {"MAP_SYNC", unix.O_RDWR, unix.PROT_READ, unix.MAP_SHARED_VALIDATE | unix.MAP_SYNC},
		{"appending", unix.O_RDWR | unix.O_APPEND, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED}, {"path", unix.O_PATH, unix.PROT_READ, unix.MAP_SHARED},
		{"populated", unix.O_RDWR, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE}, {"to run", unix.O_RDONLY, unix.PROT_READ | unix.PROT_EXEC, unix.MAP_PRIVATE},
	}
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for _, k := range kinds {
			for _, d := range mapped() {
				p := dir + "/f"
				pattern(t, p)
				text := ""
				opened(t, p, k.open, func(fd int) {
					m, err := unix.Mmap(fd, 0, 6*page, k.prot, k.flags)
					if text = outcome(err); err != nil {
						return
					}
					if k.prot&unix.PROT_WRITE != 0 || d.name == "look" {
						text = answer(d, mapping{m, fd})
					}
					must(t, unix.Munmap(m))
				})
				all.add(t, k.name+" "+d.name, text+" "+digest(t, p))
				must(t, os.Remove(p))
			}
		}
		return all
	})
}
