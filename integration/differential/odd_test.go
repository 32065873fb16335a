package differential

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// oddDeviation reports whether a call may end otherwise on the mount: mount/DEVIATIONS.md says why, and how large a file may be is up
// to each filesystem.
func oddDeviation(call, native, mounted string) bool {
	switch {
	case strings.HasPrefix(call, "beyond: "):
		return true
	case strings.HasPrefix(call, "lseek") && strings.HasSuffix(call, "hole)"):
		return native != "EINVAL" && mounted != "EINVAL" // where data and holes lie is up to a filesystem
	case strings.HasPrefix(call, "fallocate"):
		return mounted == "ENOTSUP"
	case strings.HasPrefix(call, "setxattr"):
		return native == "ENOSPC"
	case strings.HasPrefix(call, "renameat2") && strings.HasSuffix(call, "whiteout)"):
		return mounted == "EINVAL"
	}
	return false
}

// No argument, however odd, makes a mount answer otherwise than the native filesystem: nothing hangs, nothing dies.
func TestOddArgumentsAreAnsweredAsOnTheNativeFilesystem(t *testing.T) {
	dir := native(t)
	m := mounttest.Start(t, mounttest.Options{Mount: "isolation=mount", Deadline: duration() + 2*time.Minute})
	t.Cleanup(m.ExpectNothingLeft)
	seed := seedGiven(t, rand.Uint64())
	calls := 0
	for until := time.Now().Add(duration()); time.Now().Before(until) && !t.Failed(); seed++ {
		calls += tryOdd(t, seed, filepath.Join(dir, fmt.Sprint(seed)), m.Path(fmt.Sprint(seed)))
	}
	t.Logf("%d calls", calls)
}

// tryOdd carries out the calls of a seed in two new directories.
func tryOdd(t *testing.T, seed uint64, native, mounted string) (calls int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	sides := []*oddSide{newOddSide(t, native), newOddSide(t, mounted)}
	defer func() {
		for _, s := range sides {
			s.end(t)
		}
	}()
	for range sequenceLength {
		name, call := oddCall(rng)
		want, got := call(sides[0]), call(sides[1])
		calls++
		if want == got {
			continue
		}
		if !oddDeviation(name, want, got) {
			t.Errorf("%s\n  native: %s\n  mount:  %s\nrun again with ETAGFS_SEED=%d", name, want, got, seed)
		}
		return calls // the sides differ from here on
	}
	return calls
}

// oddSide is a directory on one of the filesystems, with files that are open.
type oddSide struct {
	dir string
	fds []int
}

const oddFiles = 4

func newOddSide(t *testing.T, dir string) *oddSide {
	t.Helper()
	s := &oddSide{dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range oddFiles {
		name := filepath.Join(dir, fmt.Sprint("f", i))
		if err := os.WriteFile(name, []byte(strings.Repeat("odd ", i*5000)), 0o644); err != nil {
			t.Fatal(err)
		}
		flags := []int{unix.O_RDWR, unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR | unix.O_APPEND}[i]
		fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.fds = append(s.fds, fd)
	}
	return s
}

func (s *oddSide) end(t *testing.T) {
	for _, fd := range s.fds {
		if err := unix.Close(fd); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := os.RemoveAll(s.dir); err != nil {
		t.Errorf("remove: %v", err)
	}
}

func came(n any, err error) string {
	if err != nil {
		return unix.ErrnoName(err.(unix.Errno))
	}
	return fmt.Sprint(n)
}

// pick draws one.
func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// largestOdd is far from the end of what all filesystems can have in a file: sums of it are below, too.
const largestOdd = 1 << 42

// oddOffset is where a number may be taken for another.
func oddOffset(rng *rand.Rand) int64 {
	return pick[int64](rng, 0, 1, -1, 4095, 4096, 4097, 19999, 20000, 20001, 1<<31-1, 1<<31, 1<<32, largestOdd,
		math.MaxInt64, math.MaxInt64-1, math.MaxInt64-4095, math.MinInt64, math.MinInt64+1)
}

// beyond marks a call with an offset that a file of some filesystems has, and not of others.
func beyond(off ...int64) string {
	if slices.Max(off) > largestOdd {
		return "beyond: "
	}
	return ""
}

func oddName(rng *rand.Rand) string {
	return pick(rng, "f0", "f1", "d", "d/x", "d/", "f0/", "f0/x", "", ".", "d/.", "d/..", "nothing", "nothing/x",
		strings.Repeat("n", 254), strings.Repeat("n", 255), strings.Repeat("n", 256), strings.Repeat("\xff", 255),
		"\xff\xfe\x80", "\x01\n\t", "a\\b", " ", "-", "*", "\u202e", strings.Repeat("d/../", 700)+"f0", strings.Repeat("./", 2040)+"f0",
		strings.Repeat("d/../", 900), strings.Repeat("x/", 100))
}

func oddAttribute(rng *rand.Rand) string {
	return pick(rng, "user.a", "user.", "user", "", "user."+strings.Repeat("n", 249), "user."+strings.Repeat("n", 250), "user."+strings.Repeat("n", 251),
		"user.\xff\n", "trusted.a", "security.odd", "system.odd", "other.a", "system.posix_acl_access", "user.etagf")
}

// oddCall draws a call: how it reads, and what carries it out on a side.
func oddCall(rng *rand.Rand) (string, func(*oddSide) string) {
	return pick(rng, oddIO, oddPlace, oddOpen, oddAttributeCall, oddNaming)(rng)
}

// oddIO reads, writes or copies.
func oddIO(rng *rand.Rand) (string, func(*oddSide) string) {
	fd, off, size := rng.IntN(oddFiles), oddOffset(rng), pick(rng, 0, 1, 4096, 100_000)
	switch rng.IntN(3) {
	case 0:
		return fmt.Sprintf("%spread(f%d, %d, %d)", beyond(off), fd, size, off), func(s *oddSide) string {
			return came(unix.Pread(s.fds[fd], make([]byte, size), off))
		}
	case 1:
		return fmt.Sprintf("%spwrite(f%d, %d, %d)", beyond(off), fd, size, off), func(s *oddSide) string {
			return came(unix.Pwrite(s.fds[fd], make([]byte, size), off))
		}
	default:
		to, toOff := rng.IntN(oddFiles), oddOffset(rng)
		n := pick(rng, 0, 1, 5000, 100_000)
		if off < 0 || toOff < 0 { // else it may be much to copy
			n = math.MaxInt
		}
		return fmt.Sprintf("%scopy_file_range(f%d, %d, f%d, %d, %d)", beyond(off, toOff), fd, off, to, toOff, n), func(s *oddSide) string {
			from, at := off, toOff
			return came(unix.CopyFileRange(s.fds[fd], &from, s.fds[to], &at, n, 0))
		}
	}
}

// oddPlace asks for or changes where things are in a file.
func oddPlace(rng *rand.Rand) (string, func(*oddSide) string) {
	fd, off := rng.IntN(oddFiles), oddOffset(rng)
	switch rng.IntN(5) {
	case 0:
		return fmt.Sprintf("%sftruncate(f%d, %d)", beyond(off), fd, off), func(s *oddSide) string {
			return came("", unix.Ftruncate(s.fds[fd], off))
		}
	case 1:
		mode, length := rng.Uint32N(256), pick[int64](rng, 0, 1, -1, 4095, 4097, 100_000, math.MinInt64, math.MaxInt64)
		if length == math.MaxInt64 { // a range that ends nowhere: the disk must not be filled
			off = largestOdd
		}
		return fmt.Sprintf("%sfallocate(f%d, %#x, %d, %d)", beyond(off), fd, mode, off, length), func(s *oddSide) string {
			return came("", unix.Fallocate(s.fds[fd], mode, off, length))
		}
	case 2:
		whence, note := rng.IntN(7)-1, ""
		if whence == unix.SEEK_DATA || whence == unix.SEEK_HOLE {
			note = ", hole"
		}
		far := off
		if whence == unix.SEEK_CUR {
			far *= 4 // who goes on and on gets far
		}
		return fmt.Sprintf("%slseek(f%d, %d, %d%s)", beyond(off, far), fd, off, whence, note), func(s *oddSide) string {
			return came(unix.Seek(s.fds[fd], off, whence))
		}
	case 3:
		how, length := rng.IntN(16), oddOffset(rng)
		return fmt.Sprintf("sync_file_range(f%d, %d, %d, %d)", fd, off, length, how), func(s *oddSide) string {
			return came("", unix.SyncFileRange(s.fds[fd], off, length, how))
		}
	default:
		request := pick[uintptr](rng, 0, 0x1234, 0xdeadbeef, 0xffffffff, 0x40045877)
		return fmt.Sprintf("ioctl(f%d, %#x)", fd, request), func(s *oddSide) string {
			var arg [64]byte
			_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fds[fd]), request, uintptr(unsafe.Pointer(&arg)))
			return came("", failure(errno))
		}
	}
}

// failure is errno as an error.
func failure(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// oddPath draws a path and how it reads.
func oddPath(rng *rand.Rand) (text string, path func(*oddSide) string) {
	name := oddName(rng)
	return fmt.Sprintf("%.40q(%d)", name, len(name)), func(s *oddSide) string { return s.dir + "/" + name }
}

func oddOpen(rng *rand.Rand) (string, func(*oddSide) string) {
	text, path := oddPath(rng)
	flags := rng.IntN(1<<23)&^unix.O_ASYNC | unix.O_NONBLOCK // a fifo has no other end
	return fmt.Sprintf("open(%s, %#o)", text, flags), func(s *oddSide) string {
		fd, err := unix.Open(path(s), flags|unix.O_CLOEXEC, 0o644)
		if err == nil {
			err = unix.Close(fd)
		}
		return came("", err)
	}
}

// oddAttributeCall is about an extended attribute.
func oddAttributeCall(rng *rand.Rand) (string, func(*oddSide) string) {
	text, path := oddPath(rng)
	attr := oddAttribute(rng)
	text = fmt.Sprintf("xattr(%s, %.20q(%d)", text, attr, len(attr))
	switch rng.IntN(3) {
	case 0:
		flags, size := rng.IntN(5), pick(rng, 0, 1, 500, 65536, 65537)
		return fmt.Sprintf("set%s, %d, %d)", text, size, flags), func(s *oddSide) string {
			return came("", unix.Setxattr(path(s), attr, make([]byte, size), flags))
		}
	case 1:
		size := pick(rng, 0, 1, 100_000)
		return fmt.Sprintf("get%s, %d)", text, size), func(s *oddSide) string {
			return came(unix.Getxattr(path(s), attr, make([]byte, size)))
		}
	default:
		return fmt.Sprintf("remove%s)", text), func(s *oddSide) string { return came("", unix.Removexattr(path(s), attr)) }
	}
}

// oddNaming makes, renames or removes a name.
func oddNaming(rng *rand.Rand) (string, func(*oddSide) string) {
	text, path := oddPath(rng)
	switch rng.IntN(5) {
	case 0:
		other, otherPath := oddPath(rng)
		flags, note := uint(rng.Uint32N(9)), ""
		if flags&unix.RENAME_WHITEOUT != 0 {
			note = ", whiteout"
		}
		return fmt.Sprintf("renameat2(%s, %s, %d%s)", text, other, flags, note), func(s *oddSide) string {
			return came("", unix.Renameat2(unix.AT_FDCWD, path(s), unix.AT_FDCWD, otherPath(s), flags))
		}
	case 1:
		return fmt.Sprintf("mkdir(%s)", text), func(s *oddSide) string { return came("", unix.Mkdir(path(s), 0o7777)) }
	case 2:
		to := pick(rng, "", "x", strings.Repeat("l", 4094), strings.Repeat("l", 4095), strings.Repeat("l", 4096), "\xff")
		return fmt.Sprintf("symlink(%d, %s)", len(to), text), func(s *oddSide) string { return came("", unix.Symlink(to, path(s))) }
	case 3:
		flags := rng.IntN(1 << 12)
		return fmt.Sprintf("unlinkat(%s, %#x)", text, flags), func(s *oddSide) string {
			return came("", unix.Unlinkat(unix.AT_FDCWD, path(s), flags))
		}
	default:
		mode := rng.Uint32N(1<<17) &^ 0o20000 // a device may be forbidden where the native directory is
		return fmt.Sprintf("mknod(%s, %#o)", text, mode), func(s *oddSide) string { return came("", unix.Mknod(path(s), mode, 0)) }
	}
}
