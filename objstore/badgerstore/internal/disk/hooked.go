package disk

import (
	"errors"
	"fmt"
)

// Kind is an operation of FS or File.
type Kind string

// The operations a [Hook] sees. Reading, Stat and Close are not among them: they change nothing.
const (
	OpCreate    Kind = "create" // also OpenRW and Lock, which may make a file
	OpOpen      Kind = "open"
	OpLink      Kind = "link"
	OpRename    Kind = "rename"
	OpRemove    Kind = "remove"
	OpMkdir     Kind = "mkdir"
	OpSyncDir   Kind = "syncdir"
	OpSpace     Kind = "space"
	OpWrite     Kind = "write"
	OpTruncate  Kind = "truncate"
	OpAllocate  Kind = "allocate" // also Preallocate
	OpPunch     Kind = "punch"
	OpSync      Kind = "sync"
	OpWriteback Kind = "writeback"
)

// Op is one call.
type Op struct {
	Kind   Kind
	Name   string // of the file; for link and rename the new name
	Offset int64
	Length int64 // of write, allocate, punch, writeback; the size for truncate
}

// String is for messages.
func (o Op) String() string { return fmt.Sprintf("%s %s %d+%d", o.Kind, o.Name, o.Offset, o.Length) }

// ErrSkipped, returned by a [Hook], makes a call report success without being done.
var ErrSkipped = errors.New("skipped by the test")

// Hook is called before each operation. nil lets it happen, [ErrSkipped] pretends
// it did, any other error is returned in its place. It may be called concurrently.
type Hook func(Op) error

// Hooked is an FS whose changes go through a hook. It is for tests: the n-th
// operation can be the last before a crash, syncs can be left out, disks can be full.
func Hooked(fs FS, hook Hook) FS { return &hooked{fs, hook} }

type hooked struct {
	FS
	hook Hook
}

// call does op unless the hook has it otherwise.
func (h *hooked) call(op Op, do func() error) error {
	switch err := h.hook(op); {
	case err == nil:
		return do()
	case errors.Is(err, ErrSkipped):
		return nil
	default:
		return err
	}
}

func (h *hooked) open(kind Kind, name string, do func(string) (File, error)) (File, error) {
	if err := h.hook(Op{Kind: kind, Name: name}); err != nil && !errors.Is(err, ErrSkipped) {
		return nil, err
	}
	f, err := do(name)
	if err != nil {
		return nil, err
	}
	return &hookedFile{f, h}, nil
}

func (h *hooked) Open(name string) (File, error)   { return h.open(OpOpen, name, h.FS.Open) }
func (h *hooked) OpenRW(name string) (File, error) { return h.open(OpCreate, name, h.FS.OpenRW) }
func (h *hooked) Reopen(name string) (File, error) { return h.open(OpOpen, name, h.FS.Reopen) }
func (h *hooked) Create(name string) (File, error) { return h.open(OpCreate, name, h.FS.Create) }
func (h *hooked) Lock(name string) (File, error)   { return h.open(OpCreate, name, h.FS.Lock) }
func (h *hooked) LockToRead(name string) (File, error) {
	return h.open(OpOpen, name, h.FS.LockToRead)
}

func (h *hooked) Link(oldname, newname string) error {
	return h.call(Op{Kind: OpLink, Name: newname}, func() error { return h.FS.Link(oldname, newname) })
}

func (h *hooked) Rename(oldname, newname string) error {
	return h.call(Op{Kind: OpRename, Name: newname}, func() error { return h.FS.Rename(oldname, newname) })
}

func (h *hooked) Remove(name string) error {
	return h.call(Op{Kind: OpRemove, Name: name}, func() error { return h.FS.Remove(name) })
}

func (h *hooked) Mkdir(name string) error {
	return h.call(Op{Kind: OpMkdir, Name: name}, func() error { return h.FS.Mkdir(name) })
}

func (h *hooked) SyncDir(name string) error {
	return h.call(Op{Kind: OpSyncDir, Name: name}, func() error { return h.FS.SyncDir(name) })
}

func (h *hooked) Space(name string) (space Space, err error) {
	err = h.call(Op{Kind: OpSpace, Name: name}, func() error {
		space, err = h.FS.Space(name)
		return err
	})
	return space, err
}

type hookedFile struct {
	File
	fs *hooked
}

func (f *hookedFile) op(kind Kind, off, length int64) Op {
	return Op{Kind: kind, Name: f.Name(), Offset: off, Length: length}
}

func (f *hookedFile) WriteAt(p []byte, off int64) (n int, err error) {
	n = len(p) // what a skipped write reports
	err = f.fs.call(f.op(OpWrite, off, int64(len(p))), func() error {
		n, err = f.File.WriteAt(p, off)
		return err
	})
	if err != nil && n == len(p) {
		n = 0
	}
	return n, err
}

func (f *hookedFile) Truncate(size int64) error {
	return f.fs.call(f.op(OpTruncate, 0, size), func() error { return f.File.Truncate(size) })
}

func (f *hookedFile) Allocate(off, length int64) error {
	return f.fs.call(f.op(OpAllocate, off, length), func() error { return f.File.Allocate(off, length) })
}

func (f *hookedFile) Preallocate(off, length int64) error {
	return f.fs.call(f.op(OpAllocate, off, length), func() error { return f.File.Preallocate(off, length) })
}

func (f *hookedFile) PunchHole(off, length int64) error {
	return f.fs.call(f.op(OpPunch, off, length), func() error { return f.File.PunchHole(off, length) })
}

func (f *hookedFile) Sync() error {
	return f.fs.call(f.op(OpSync, 0, 0), f.File.Sync)
}

func (f *hookedFile) StartWriteback(off, length int64) error {
	return f.fs.call(f.op(OpWriteback, off, length), func() error { return f.File.StartWriteback(off, length) })
}
