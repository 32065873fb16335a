package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

const (
	// fileBytesMax is how large the file becomes: enough for many pages and for several requests to the daemon.
	fileBytesMax = 3 << 20
	// lengthMax is of one call.
	lengthMax = 200 << 10
	// reopens is how often, one time in so many calls, the file is closed and opened.
	reopens = 20
	// shown is how many calls before a difference are printed.
	shown = 25
)

// exercise is a file, and what must be in it.
type exercise struct {
	*rand.Rand
	path  string
	file  *os.File
	want  []byte
	calls []string
}

// call is made with a probability in proportion to its weight.
type call struct {
	name   string
	weight int
	do     func(x *exercise) error
}

func callsOnAFile() []call {
	return []call{
		{"write", 20, (*exercise).write},
		{"append", 5, (*exercise).append},
		{"read", 15, (*exercise).read},
		{"store through a mapping", 10, (*exercise).store},
		{"load through a mapping", 10, (*exercise).load},
		{"truncate", 6, (*exercise).truncate},
		{"punch", 6, (*exercise).punch},
		{"zero", 3, (*exercise).zero},
		{"copy", 6, (*exercise).copy},
		{"sync", 3, func(x *exercise) error { return x.file.Sync() }},
		{"evict", 2, func(x *exercise) error { return unix.Fadvise(int(x.file.Fd()), 0, 0, unix.FADV_DONTNEED) }},
		{"stat", 4, (*exercise).stat},
	}
}

// TestFileExercise runs for seconds, in the long form for minutes.
func TestFileExercise(t *testing.T) {
	forEachIsolation(t, func(t *testing.T, m *mounttest.Mount) {
		seed, calls := number(t, "ETAGFS_SEED", rand.Uint64()), 0
		until := time.Now().Add(either(5*time.Minute, 2*time.Second))
		for round := uint64(0); time.Now().Before(until); round++ {
			n, err := exerciseOnce(m.Path("f"), seed+round, 2000, callsOnAFile())
			if calls += n; err != nil {
				t.Fatalf("%v\nrun again with ETAGFS_SEED=%d", err, seed+round)
			}
		}
		t.Logf("%d calls", calls)
	})
}

// A file that loses one write in ten is found.
func TestFileExerciseFindsLostWrites(t *testing.T) {
	calls, writes := callsOnAFile(), 0
	calls[0].do = func(x *exercise) error {
		if writes++; writes%10 == 0 {
			x.resize(max(len(x.want), 1))
			x.want[x.IntN(len(x.want))] ^= 1
			return nil
		}
		return x.write()
	}
	if n, err := exerciseOnce(filepath.Join(t.TempDir(), "f"), rand.Uint64(), 2000, calls); err == nil {
		t.Errorf("%d calls, one write in ten of them lost, and nothing is found", n)
	}
}

// exerciseOnce makes calls on a new file. The seed decides all of them.
func exerciseOnce(path string, seed uint64, count int, calls []call) (made int, err error) {
	x := &exercise{Rand: rand.New(rand.NewPCG(seed, 0)), path: path}
	if x.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, x.file.Close()) }()
	var choice []call
	for _, c := range calls {
		choice = append(choice, slices.Repeat([]call{c}, c.weight)...)
	}
	for ; made < count; made++ {
		c := choice[x.IntN(len(choice))]
		x.calls = append(x.calls, c.name)
		err = c.do(x)
		if err == nil && x.IntN(reopens) == 0 {
			err = x.reopen()
		}
		if err != nil {
			last := x.calls[max(len(x.calls)-shown, 0):]
			return made, fmt.Errorf("call %d of seed %d: %w, after\n%s", made, seed, err, strings.Join(last, "\n"))
		}
	}
	return made, x.reopen()
}

// note adds what a call was given.
func (x *exercise) note(format string, args ...any) {
	x.calls[len(x.calls)-1] += fmt.Sprintf(format, args...)
}

// part is some of the file, if it has anything.
func (x *exercise) part() (from, to int) {
	from = x.IntN(len(x.want) + 1)
	to = min(from+1+x.IntN(lengthMax), len(x.want))
	x.note(" %d to %d of %d", from, to, len(x.want))
	return from, to
}

// fresh are bytes that nothing else wrote.
func (x *exercise) fresh(n int) []byte {
	p := make([]byte, n)
	first, step := byte(x.IntN(256)), byte(1+x.IntN(254))
	for i := range p {
		p[i] = first + step*byte(i) + byte(i>>8)
	}
	return p
}

// differs says where bytes are not what they must be.
func differs(got, want []byte, off int) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d bytes, not %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			return fmt.Errorf("byte %d is %d, not %d", off+i, got[i], want[i])
		}
	}
	return nil
}

func (x *exercise) resize(size int) {
	if size <= len(x.want) {
		x.want = x.want[:size:size]
		return
	}
	x.want = append(x.want, make([]byte, size-len(x.want))...)
}

func (x *exercise) writeAt(off, n int) error {
	x.note(" %d to %d of %d", off, off+n, len(x.want))
	p := x.fresh(n)
	if _, err := x.file.WriteAt(p, int64(off)); err != nil {
		return err
	}
	x.resize(max(len(x.want), off+n))
	copy(x.want[off:], p)
	return nil
}

func (x *exercise) write() error {
	off := x.IntN(min(len(x.want)+lengthMax, fileBytesMax-lengthMax))
	return x.writeAt(off, 1+x.IntN(lengthMax))
}

func (x *exercise) append() error {
	if len(x.want) > fileBytesMax-lengthMax {
		return nil
	}
	return x.writeAt(len(x.want), 1+x.IntN(lengthMax))
}

func (x *exercise) read() error {
	from, to := x.part()
	got := make([]byte, to-from)
	if _, err := x.file.ReadAt(got, int64(from)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return differs(got, x.want[from:to], from)
}

func (x *exercise) truncate() error {
	size := x.IntN(min(len(x.want)+lengthMax, fileBytesMax))
	x.note(" from %d to %d", len(x.want), size)
	x.resize(size)
	return x.file.Truncate(int64(size))
}

// mapped calls use with a mapping of a part of the file.
func (x *exercise) mapped(protection int, use func(memory, want []byte, off int) error) error {
	from, to := x.part()
	page := from &^ (os.Getpagesize() - 1)
	if from == to {
		return nil
	}
	memory, err := unix.Mmap(int(x.file.Fd()), int64(page), to-page, protection, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	err = use(memory[from-page:], x.want[from:to], from)
	if x.IntN(3) == 0 {
		err = errors.Join(err, unix.Msync(memory, unix.MS_SYNC))
	}
	return errors.Join(err, unix.Munmap(memory))
}

func (x *exercise) load() error {
	return x.mapped(unix.PROT_READ, differs)
}

func (x *exercise) store() error {
	return x.mapped(unix.PROT_READ|unix.PROT_WRITE, func(memory, want []byte, off int) error {
		if err := differs(memory, want, off); err != nil {
			return err
		}
		p := x.fresh(len(memory))
		copy(memory, p)
		copy(want, p)
		return nil
	})
}

func (x *exercise) allocate(mode uint32) error {
	from, to := x.part()
	if from == to {
		return nil
	}
	clear(x.want[from:to])
	return unix.Fallocate(int(x.file.Fd()), mode|unix.FALLOC_FL_KEEP_SIZE, int64(from), int64(to-from))
}

func (x *exercise) punch() error { return x.allocate(unix.FALLOC_FL_PUNCH_HOLE) }
func (x *exercise) zero() error  { return x.allocate(unix.FALLOC_FL_ZERO_RANGE) }

// copy copies a part within the file, to where it does not overlap.
func (x *exercise) copy() error {
	from, to := x.part()
	dst := to + x.IntN(lengthMax)
	x.note(", to %d", dst)
	if from == to || dst+to-from > fileBytesMax {
		return nil
	}
	in, out := int64(from), int64(dst)
	for in < int64(to) {
		n, err := unix.CopyFileRange(int(x.file.Fd()), &in, int(x.file.Fd()), &out, to-int(in), 0)
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
	}
	p := bytes.Clone(x.want[from:to])
	x.resize(max(len(x.want), dst+len(p)))
	copy(x.want[dst:], p)
	return nil
}

func (x *exercise) stat() error {
	byDescriptor, err := x.file.Stat()
	if err != nil {
		return err
	}
	byPath, err := os.Stat(x.path)
	if err != nil {
		return err
	}
	if int(byDescriptor.Size()) != len(x.want) {
		return fmt.Errorf("fstat says %d bytes, not %d", byDescriptor.Size(), len(x.want))
	}
	if !os.SameFile(byDescriptor, byPath) {
		return errors.New("the path leads to another file")
	}
	return nil
}

// reopen closes the file, opens it and reads it all.
func (x *exercise) reopen() error {
	if err := x.file.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	f, err := os.OpenFile(x.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open again: %w", err)
	}
	x.file = f
	x.calls = append(x.calls, "close and open")
	got, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	return differs(got, x.want, 0)
}
