package differential

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"golang.org/x/sys/unix"
)

// op is a system call of one process.
type op struct {
	Actor int
	Do    string
	Slot  int    // the descriptor, or the mapping, by the process's own number; the next if that is not in use
	Other int    // the descriptor of a mapping or of a duplicate, likewise
	Name  string // of a file
	To    string // where a rename or link leads
	Off   int64
	Len   int64
	Flags int
	Fill  byte
}

// String is a line for people.
func (o op) String() string {
	text := fmt.Sprintf("process %d: %s", o.Actor, o.Do)
	switch o.Do {
	case "open":
		return text + fmt.Sprintf(" %s with %s", o.Name, flagNames(o.Flags))
	case "stat", "unlink", "list", "cat":
		return text + " " + o.Name
	case "rename", "link":
		return text + fmt.Sprintf(" %s %s", o.Name, o.To)
	case "truncate", "chmod":
		return text + fmt.Sprintf(" %s %d", o.Name, o.Len)
	case "dup", "map":
		return text + fmt.Sprintf(" %d, %d bytes, flags %d", o.Other, o.Len, o.Flags)
	default:
		return text + fmt.Sprintf(" %d, %d bytes at %d, filled with %d, flags %d", o.Slot, o.Len, o.Off, o.Fill, o.Flags)
	}
}

func flagNames(flags int) string {
	names := []string{[]string{"O_RDONLY", "O_WRONLY", "O_RDWR"}[flags&unix.O_ACCMODE]}
	for _, f := range []struct {
		bit  int
		name string
	}{{unix.O_CREAT, "O_CREAT"}, {unix.O_EXCL, "O_EXCL"}, {unix.O_TRUNC, "O_TRUNC"}, {unix.O_APPEND, "O_APPEND"}, {unix.O_SYNC, "O_SYNC"}} {
		if flags&f.bit == f.bit {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, "|")
}

const (
	processes   = 4
	descriptors = 4 // per process
	mappings    = 2 // per process
	names       = 3
	spaceBytes  = 40000 // where calls write and read, in a file
	mapBytes    = 16384
)

// draw chooses calls.
type draw struct{ *rand.Rand }

func (d draw) name() string {
	return []string{"a", "b", "d/c"}[d.IntN(names)]
}

// offset is often one that matters: near a page, or the beginning.
func (d draw) offset(max int) int64 {
	switch d.IntN(4) {
	case 0:
		return 0
	case 1:
		return int64(min(d.IntN(max/4096+1)*4096+d.IntN(5), max))
	default:
		return int64(d.IntN(max))
	}
}

func (d draw) length() int64 {
	return []int64{1, int64(d.IntN(100)), int64(d.IntN(5000)), 4096, int64(d.IntN(20000))}[d.IntN(5)]
}

func (d draw) openFlags() int {
	flags := []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR, unix.O_RDWR, unix.O_RDWR}[d.IntN(5)]
	for _, f := range []struct{ bit, of int }{{unix.O_CREAT, 2}, {unix.O_EXCL, 10}, {unix.O_TRUNC, 6}, {unix.O_APPEND, 4}, {unix.O_SYNC, 20}} {
		if d.IntN(f.of) == 0 {
			flags |= f.bit
		}
	}
	if flags&unix.O_CREAT == 0 {
		flags &^= unix.O_EXCL
	}
	return flags
}

// calls are what is drawn from, as often as they are named.
var calls = strings.Fields(`open open open open open open open close close dup pwrite pwrite pwrite pwrite write write write
	pread pread pread read read seek ftruncate ftruncate truncate fstat fstat stat stat stat allocate allocate hole data
	map map map map map store store store store store load load load load load msync unmap fsync rename link unlink
	chmod fchmod list cat cat append flock flock lock lock evict forget`)

// rarely is how often a call is that takes a program.
const rarely = 300

func (d draw) op() op {
	o := op{
		Actor: d.IntN(processes), Do: calls[d.IntN(len(calls))],
		Slot: d.IntN(descriptors), Other: d.IntN(descriptors), Name: d.name(), To: d.name(),
		Off: d.offset(spaceBytes), Len: d.length(), Fill: byte(1 + d.IntN(250)),
	}
	if d.IntN(rarely) == 0 {
		o.Do = "inherit"
	}
	switch o.Do {
	case "append":
		o.Flags = []int{0, unix.O_APPEND}[d.IntN(2)]
	case "flock":
		o.Flags = []int{unix.LOCK_EX, unix.LOCK_SH, unix.LOCK_UN}[d.IntN(3)]
	case "lock":
		o.Flags, o.Off = []int{unix.F_WRLCK, unix.F_RDLCK, unix.F_UNLCK}[d.IntN(3)], int64(d.IntN(4))
	case "open":
		o.Flags = d.openFlags()
	case "map":
		o.Slot, o.Len, o.Flags = d.IntN(mappings), int64(1+d.IntN(mapBytes)), d.IntN(3)
	case "store", "load", "msync", "unmap", "forget":
		o.Slot, o.Off, o.Len = d.IntN(mappings), d.offset(mapBytes), min(o.Len, 5000)
	case "truncate", "ftruncate":
		o.Len = d.offset(spaceBytes)
	case "allocate":
		o.Flags = []int{0, unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_ZERO_RANGE}[d.IntN(4)]
		o.Len++
	case "chmod", "fchmod":
		o.Len = []int64{0o600, 0o644, 0o755}[d.IntN(3)]
	case "seek":
		o.Flags = d.IntN(3)
	}
	return o
}

// sequence is what a seed stands for.
func sequence(seed uint64, length int) []op {
	d := draw{rand.New(rand.NewPCG(seed, 0))}
	ops := make([]op, length)
	for i := range ops {
		ops[i] = d.op()
	}
	return ops
}
