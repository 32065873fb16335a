package disk

import (
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	fileMode = 0o600
	dirMode  = 0o700
)

// OS is the file system of the machine.
type OS struct{}

var _ FS = OS{}

// DescriptorsMax is how many descriptors the process may have, at most 1 << 20.
func DescriptorsMax() int {
	const most = 1 << 20
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return most
	}
	return int(min(limit.Cur, most))
}

// Open implements FS.
func (OS) Open(name string) (File, error) { return open(name, os.O_RDONLY) }

// OpenRW implements FS.
func (OS) OpenRW(name string) (File, error) { return open(name, os.O_RDWR|os.O_CREATE) }

// Reopen implements FS.
func (OS) Reopen(name string) (File, error) { return open(name, os.O_RDWR) }

// Create implements FS.
func (OS) Create(name string) (File, error) { return open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL) }

// open bypasses os.OpenFile, which would offer every descriptor to the
// runtime's poller: two system calls that regular files never need. A symbolic link is no file: what it names
// may be somebody else's. A pipe that somebody has put there is not waited for.
func open(name string, flags int) (File, error) {
	if flags&unix.O_DIRECTORY == 0 { // the directory of a store may be named by a link
		flags |= unix.O_NOFOLLOW | unix.O_NONBLOCK
	}
	for {
		fd, err := unix.Open(name, flags|unix.O_CLOEXEC, fileMode)
		if err == nil {
			return &file{fd: fd, name: name}, nil
		}
		if err != unix.EINTR {
			return nil, &os.PathError{Op: "open", Path: name, Err: err}
		}
	}
}

// Lock implements FS.
func (o OS) Lock(name string) (File, error) {
	f, err := o.OpenRW(name)
	return lock(f, err, name, unix.LOCK_EX)
}

// LockToRead implements FS.
func (o OS) LockToRead(name string) (File, error) {
	f, err := o.Open(name)
	return lock(f, err, name, unix.LOCK_SH)
}

func lock(f File, err error, name string, how int) (File, error) {
	if err != nil {
		return nil, err
	}
	err = unix.Flock(f.Fd(), how|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	return nil, &os.PathError{Op: "lock", Path: name, Err: err}
}

// Link implements FS.
func (OS) Link(oldname, newname string) error { return os.Link(oldname, newname) }

// Rename implements FS.
func (OS) Rename(oldname, newname string) error { return os.Rename(oldname, newname) }

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// Mkdir implements FS.
func (OS) Mkdir(name string) error { return os.Mkdir(name, dirMode) }

// ReadDir implements FS.
func (OS) ReadDir(name string) ([]string, error) {
	d, err := os.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY, 0) // which does not wait at a pipe
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// Stat implements FS.
func (OS) Stat(name string) (Info, error) {
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		return Info{}, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	return infoOf(&st), nil
}

// SyncDir implements FS.
func (OS) SyncDir(name string) error {
	const flags = os.O_RDONLY | unix.O_DIRECTORY
	d, err := open(name, flags)
	if err != nil {
		return err
	}
	err = retry(func() error { return unix.Fsync(d.Fd()) })
	if err != nil {
		err = &os.PathError{Op: "sync", Path: name, Err: err}
	}
	return errors.Join(err, d.Close())
}

// Space implements FS.
func (OS) Space(name string) (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(name, &st); err != nil {
		return Space{}, &os.PathError{Op: "statfs", Path: name, Err: err}
	}
	unit := st.Frsize
	if unit == 0 {
		unit = st.Bsize
	}
	return Space{
		BytesTotal: int64(st.Blocks) * unit,
		BytesFree:  int64(st.Bavail) * unit,
	}, nil
}

func infoOf(st *unix.Stat_t) Info {
	const statBlockBytes = 512
	return Info{
		Size:           st.Size,
		BytesAllocated: st.Blocks * statBlockBytes,
		Dir:            st.Mode&unix.S_IFMT == unix.S_IFDIR,
		Links:          uint64(st.Nlink),
		Modified:       time.Unix(st.Mtim.Unix()),
	}
}

// file is an open file of the machine.
type file struct {
	fd   int
	name string
}

func (f *file) Name() string { return f.name }
func (f *file) Fd() int      { return f.fd }

func (f *file) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: f.name, Err: err}
}

// retry repeats a call interrupted by a signal.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		var m int
		m, err = unix.Pread(f.fd, p[n:], off+int64(n))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return n, f.wrap("read", err)
		case m == 0:
			return n, io.EOF
		}
		n += m
	}
	return n, nil
}

func (f *file) WriteAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		var m int
		m, err = unix.Pwrite(f.fd, p[n:], off+int64(n))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return n, f.wrap("write", err)
		case m == 0:
			return n, f.wrap("write", io.ErrShortWrite)
		}
		n += m
	}
	return n, nil
}

func (f *file) Close() error { return f.wrap("close", unix.Close(f.fd)) }

func (f *file) Stat() (Info, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return Info{}, f.wrap("stat", err)
	}
	return infoOf(&st), nil
}

func (f *file) Truncate(size int64) error {
	return f.wrap("truncate", retry(func() error { return unix.Ftruncate(f.fd, size) }))
}

func (f *file) Allocate(off, length int64) error {
	return f.wrap("allocate", retry(func() error { return unix.Fallocate(f.fd, 0, off, length) }))
}

func (f *file) Preallocate(off, length int64) error {
	return f.wrap("preallocate", retry(func() error { return unix.Fallocate(f.fd, unix.FALLOC_FL_KEEP_SIZE, off, length) }))
}

func (f *file) PunchHole(off, length int64) error {
	const mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	return f.wrap("punch hole", retry(func() error { return unix.Fallocate(f.fd, mode, off, length) }))
}

func (f *file) Sync() error {
	return f.wrap("sync", retry(func() error { return unix.Fdatasync(f.fd) }))
}

func (f *file) StartWriteback(off, length int64) error {
	return f.wrap("write back", unix.SyncFileRange(f.fd, off, length, unix.SYNC_FILE_RANGE_WRITE))
}

func (f *file) Cached() bool {
	var st unix.Stat_t
	var pages unix.Cachestat_t
	page := int64(os.Getpagesize())
	if unix.Fstat(f.fd, &st) != nil || unix.Cachestat(uint(f.fd), &unix.CachestatRange{}, &pages, 0) != nil {
		return false
	}
	return int64(pages.Cache) >= (st.Size+page-1)/page
}

func (f *file) DropCache() error {
	return f.wrap("drop cache", unix.Fadvise(f.fd, 0, 0, unix.FADV_DONTNEED))
}

func (f *file) NextData(off int64) (int64, error) { return f.seek(off, unix.SEEK_DATA) }
func (f *file) NextHole(off int64) (int64, error) { return f.seek(off, unix.SEEK_HOLE) }

func (f *file) seek(off int64, whence int) (int64, error) {
	pos, err := unix.Seek(f.fd, off, whence)
	if err == unix.ENXIO {
		return 0, io.EOF
	}
	return pos, f.wrap("seek", err)
}
