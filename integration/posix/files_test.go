package posix

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// step is one call on an open file.
type step struct {
	name  string
	do    func(fd int) (string, error)
	seeks bool
}

// seeking is lseek(2).
func seeking(name string, offset int64, whence int) step {
	return step{name, func(fd int) (string, error) {
		n, err := unix.Seek(fd, offset, whence)
		return sprint("%d", n), err
	}, true}
}

func plain(do func(fd int) error) func(int) (string, error) {
	return func(fd int) (string, error) { return "", do(fd) }
}

// allocations are fallocate(2) in all its modes, in and beyond a file of 100,000 bytes.
func allocations() []step {
	var all []step
	modes := []flag{
		{"grow", 0}, {"keep", unix.FALLOC_FL_KEEP_SIZE}, {"punch", unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE}, {"punch and grow", unix.FALLOC_FL_PUNCH_HOLE},
		{"zero", unix.FALLOC_FL_ZERO_RANGE}, {"zero and keep", unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE}, {"unknown", 1 << 20},
	}
	ranges := []struct {
		name     string
		from, to int64
	}{{"inside", 5000, 20000}, {"at the end", 90000, 100000}, {"across the end", 90000, 150000}, {"beyond", 200000, 300000}, {"nothing", 10, 10}, {"before the start", -1, 10}}
	for _, m := range modes {
		for _, r := range ranges {
			all = append(all, step{name: m.name + " " + r.name, do: plain(func(fd int) error { return unix.Fallocate(fd, uint32(m.bits), r.from, r.to-r.from) })})
		}
	}
	return all
}

func contents() []step {
	return append(allocations(), []step{
		{name: "ftruncate to nothing", do: plain(func(fd int) error { return unix.Ftruncate(fd, 0) })},
		{name: "ftruncate to less", do: plain(func(fd int) error { return unix.Ftruncate(fd, 4097) })},
		{name: "ftruncate to more", do: plain(func(fd int) error { return unix.Ftruncate(fd, 1<<30) })},
		{name: "ftruncate to a negative size", do: plain(func(fd int) error { return unix.Ftruncate(fd, -1) })},
		{name: "ftruncate and back", do: plain(func(fd int) error {
			if err := unix.Ftruncate(fd, 10); err != nil {
				return err
			}
			return unix.Ftruncate(fd, 100)
		})},
		{name: "write beyond the end", do: plain(func(fd int) error { _, err := unix.Pwrite(fd, []byte("x"), 300000); return err })},
		{name: "write at a negative offset", do: plain(func(fd int) error { _, err := unix.Pwrite(fd, []byte("x"), -1); return err })},
		{name: "write of nothing", do: plain(func(fd int) error { _, err := unix.Pwrite(fd, nil, 300000); return err })},
		{name: "read at the end", do: func(fd int) (string, error) {
			n, err := unix.Pread(fd, make([]byte, 10), 100000)
			return sprint("%d", n), err
		}},
		{name: "read across the end", do: func(fd int) (string, error) {
			n, err := unix.Pread(fd, make([]byte, 10), 99995)
			return sprint("%d", n), err
		}},
		seeking("seek before the start", -1, 0),
		seeking("seek beyond the end", 5, 2),
		seeking("seek by what there is not", 5, 9),
		seeking("data beyond the end", 100000, unix.SEEK_DATA),
		seeking("hole beyond the end", 100000, unix.SEEK_HOLE),
		seeking("data before the start", -1, unix.SEEK_DATA),
		seeking("hole at the start", 0, unix.SEEK_HOLE),
		{name: "copy within", do: func(fd int) (string, error) { return copyRange(fd, 0, 50000, 10000) }},
		{name: "copy onto itself", do: func(fd int) (string, error) { return copyRange(fd, 0, 10, 1000) }},
		{name: "copy from beyond the end", do: func(fd int) (string, error) { return copyRange(fd, 100000, 0, 1000) }},
		{name: "copy to beyond the end", do: func(fd int) (string, error) { return copyRange(fd, 0, 300000, 1000) }},
		{name: "fchdir", do: plain(unix.Fchdir)},
		{name: "ioctl", do: plain(func(fd int) error { return unix.IoctlSetInt(fd, 0x7777, 0) })},
		{name: "getdents", do: plain(func(fd int) error { _, err := unix.Getdents(fd, make([]byte, 100)); return err })},
		{name: "fsync", do: plain(unix.Fsync)}, {name: "fdatasync", do: plain(unix.Fdatasync)},
		{name: "sync_file_range", do: plain(func(fd int) error { return unix.SyncFileRange(fd, 0, 100, unix.SYNC_FILE_RANGE_WRITE) })},
		{name: "fadvise", do: plain(func(fd int) error { return unix.Fadvise(fd, 0, 100, unix.FADV_DONTNEED) })},
	}...)
}

func copyRange(fd int, from, to int64, n int) (string, error) {
	copied, err := unix.CopyFileRange(fd, &from, fd, &to, n, 0)
	return sprint("%d", copied), err
}

// digest is a file's size, its content in short, and where it has other bytes than zeros.
func digest(t *testing.T, path string) string {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Stat(path, &st))
	if st.Size > 1<<20 {
		return sprint("%d bytes", st.Size)
	}
	content, err := os.ReadFile(path)
	must(t, err)
	sum, nonzero := uint64(0), 0
	for i, b := range content {
		sum = sum*31 + uint64(b) + uint64(i)
		if b != 0 {
			nonzero++
		}
	}
	return sprint("%d bytes, %d not zero, %x", len(content), nonzero, sum)
}

// Calls on open files answer, and change size and content, as on a local disk, however the file was opened; so do those on what is no file.
func TestCallsOnOpenFiles(t *testing.T) {
	modes := []flag{
		{"RDONLY", unix.O_RDONLY}, {"WRONLY", unix.O_WRONLY}, {"RDWR", unix.O_RDWR}, {"APPEND", unix.O_RDWR | unix.O_APPEND},
		{"PATH", unix.O_PATH},
	}
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		filled := make([]byte, 100000)
		for i := range filled {
			filled[i] = byte(i%251) + 1
		}
		for _, s := range contents() {
			for _, m := range modes {
				p := dir + "/f"
				must(t, os.WriteFile(p, filled, 0o644))
				text := onFile(t, p, m.bits, s)
				all.add(t, m.name+" "+s.name, text+" "+digest(t, p))
				must(t, os.Remove(p))
			}
			if !s.seeks { // where it leads in a directory is the filesystem's own
				all.add(t, "a directory: "+s.name, onFile(t, dir, unix.O_RDONLY|unix.O_DIRECTORY, s))
			}
		}
		return all
	})
}

func onFile(t *testing.T, path string, flags int, s step) string {
	t.Helper()
	here, err := os.Getwd()
	must(t, err)
	defer os.Chdir(here)
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	must(t, err)
	text := ""
	err = again(func() (err error) { text, err = s.do(fd); return err })
	return outcome(err) + " " + text + " close " + outcome(unix.Close(fd))
}

// Sizes up to 16 TiB can be, and larger ones are refused.
func TestLargestFile(t *testing.T) {
	dir := mounted(t)
	p := dir + "/f"
	put(t, p)
	const largest = 16 << 40
	fd, err := unix.Open(p, unix.O_RDWR|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Ftruncate(fd, largest))
	for name, err := range map[string]error{
		"ftruncate": unix.Ftruncate(fd, largest+1),
		"fallocate": unix.Fallocate(fd, 0, largest, 1),
		"write":     func() error { _, err := unix.Pwrite(fd, []byte("x"), largest); return err }(),
		"truncate":  unix.Truncate(p, largest+1),
	} {
		if err != unix.EFBIG {
			t.Errorf("%s beyond 16 TiB: %v", name, err)
		}
	}
	if n, err := unix.Pwrite(fd, []byte("x"), largest-1); n != 1 || err != nil {
		t.Errorf("the last byte: %d, %v", n, err)
	}
	must(t, unix.Ftruncate(fd, 5))
}

// Times are set to the nanosecond, or left, or set to now, as utimensat(2) says; and by whom.
func TestUtimensat(t *testing.T) {
	mounttest.Need(t, "root")
	omit, now := unix.Timespec{Nsec: unix.UTIME_OMIT}, unix.Timespec{Nsec: unix.UTIME_NOW}
	times := map[string]unix.Timespec{
		"omit": omit, "now": now, "exact": {Sec: 1234567890, Nsec: 123456789}, "negative": {Sec: -5, Nsec: 7},
		"far": {Sec: 1 << 33, Nsec: 999999999}, "invalid": {Nsec: 1000000000}, "minus": {Nsec: -1},
	}
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for a, atime := range times {
			for m, mtime := range times {
				for _, who := range everyone() {
					p := dir + "/f"
					of(t, p, "file", 0o666)
					must(t, unix.UtimesNanoAt(unix.AT_FDCWD, p, []unix.Timespec{{Sec: 100, Nsec: 1}, {Sec: 200, Nsec: 2}}, 0))
					err := as(t, who, func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, p, []unix.Timespec{atime, mtime}, 0) })
					var st unix.Stat_t
					must(t, unix.Stat(p, &st))
					all.add(t, sprint("%s %s by %s", a, m, who.name), outcome(err)+" "+timeText(st.Atim)+" "+timeText(st.Mtim))
					must(t, os.Remove(p))
				}
			}
		}
		return all
	})
}

// timeText is a time, or that it is that of the trial.
func timeText(at unix.Timespec) string {
	if at.Sec > 1700000000 && at.Sec < 1<<32 {
		return "now"
	}
	return sprint("%d.%09d", at.Sec, at.Nsec)
}

// Holes are found where they are, while a file is written and when it has been, by whoever reads it.
func TestHoles(t *testing.T) {
	const part = 1 << 20
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		p := dir + "/f"
		fd, err := unix.Open(p, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o644)
		must(t, err)
		must(t, unix.Ftruncate(fd, 10*part))
		for _, at := range []int64{3 * part, 7 * part} {
			_, err := unix.Pwrite(fd, bytes.Repeat([]byte("x"), part), at)
			must(t, err)
		}
		all.add(t, "written", holes(t, fd, part))
		must(t, unix.Close(fd))
		for _, m := range []flag{{"RDONLY", unix.O_RDONLY}, {"RDWR", unix.O_RDWR}} {
			fd, err := unix.Open(p, m.bits|unix.O_CLOEXEC, 0)
			must(t, err)
			all.add(t, m.name, holes(t, fd, part))
			if m.bits == unix.O_RDWR {
				must(t, unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 3*part, part))
				all.add(t, "punched", holes(t, fd, part))
			}
			must(t, unix.Close(fd))
		}
		fd, err = unix.Open(p, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		must(t, err)
		all.add(t, "punched and closed", holes(t, fd, part))
		must(t, unix.Close(fd))
		return all
	})
}

// holes says where SEEK_DATA and SEEK_HOLE lead from each part of a file.
func holes(t *testing.T, fd int, part int64) (text string) {
	t.Helper()
	for at := int64(0); at <= 10*part; at += part {
		data, err := unix.Seek(fd, at, unix.SEEK_DATA)
		hole, err2 := unix.Seek(fd, at, unix.SEEK_HOLE)
		text += sprint("%d: %d %s %d %s; ", at, data, outcome(err), hole, outcome(err2))
	}
	return text
}
