package disk

import (
	"errors"
	"io"
	"time"
)

// ErrLocked is returned by FS.Lock when another process, or another Lock of
// this one, holds the file.
var ErrLocked = errors.New("locked by another process")

// FS is what the store needs of a file system. All methods may be called
// concurrently. Files are made with mode 0600, directories with 0700.
type FS interface {
	// Open opens an existing file for reading.
	Open(name string) (File, error)
	// OpenRW opens a file for reading and writing and makes it if it is absent.
	OpenRW(name string) (File, error)
	// Reopen opens an existing file for reading and writing.
	Reopen(name string) (File, error)
	// Create makes a file that must not exist, for reading and writing.
	Create(name string) (File, error)
	// Lock opens or makes a file and locks it until it is closed or the process dies; ErrLocked.
	Lock(name string) (File, error)
	// LockToRead locks an existing file against Lock, but not against LockToRead, and needs no right to write; ErrLocked.
	LockToRead(name string) (File, error)
	Link(oldname, newname string) error
	Rename(oldname, newname string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// Mkdir makes a directory whose parent exists.
	Mkdir(name string) error
	// ReadDir lists the names in a directory, sorted.
	ReadDir(name string) ([]string, error)
	Stat(name string) (Info, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	// Space is the space of the file system that holds name.
	Space(name string) (Space, error)
}

// File is an open file. ReadAt and WriteAt may be called concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Name() string
	Stat() (Info, error)
	Truncate(size int64) error
	// Allocate reserves blocks for a range and grows the file to its end.
	Allocate(off, length int64) error
	// Preallocate reserves blocks for a range, also beyond the end, and leaves the size as it is.
	Preallocate(off, length int64) error
	// PunchHole frees the blocks of a range, which then reads as zeros.
	PunchHole(off, length int64) error
	// Sync makes content and size durable (fdatasync); the name is SyncDir's.
	Sync() error
	// StartWriteback begins to write the dirty pages of a range and does not wait for them.
	StartWriteback(off, length int64) error
	// Cached reports whether all bytes are in the page cache; also false if the kernel does not tell.
	Cached() bool
	// DropCache forgets clean cached pages, so that later reads see what the disk has.
	DropCache() error
	// NextData and NextHole are SEEK_DATA and SEEK_HOLE; io.EOF past the last one.
	NextData(off int64) (int64, error)
	NextHole(off int64) (int64, error)
	// Fd is the descriptor, for calls that need one; it is valid until Close. -1: there is none, as of files of a [Pool].
	Fd() int
}

// Info describes a file.
type Info struct {
	Size           int64
	BytesAllocated int64 // on the disk; less than Size where there are holes
	Dir            bool
	Links          uint64
	Modified       time.Time // when a file was last written, or a directory got or lost a name
}

// Space is what statfs(2) tells.
type Space struct {
	BytesTotal int64
	BytesFree  int64 // for unprivileged users, and what the store may count on
}
