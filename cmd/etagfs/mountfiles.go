package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
)

// The attributes by which a mount tells of versions.
const (
	versionXattr  = "user.etagfs.version"
	etagXattr     = "user.etagfs.etag"
	conflictXattr = "user.etagfs.conflict"
)

// mountFiles are the files of a mount as a [cas.Store]; keys are absolute paths. A put is what any program does: open,
// write, fsync. Its condition is that of the mount, which compares what was opened with what is there. A file lock
// is held meanwhile, for mounts whose descriptors share what they write.
type mountFiles struct {
	control string // the control directory
}

// Capabilities are those of Get and Put.
func (mountFiles) Capabilities() objstore.Capabilities {
	return objstore.Capabilities{UniqueVersions: true, PinnedReaders: true}
}

// Get implements [cas.Store]; the condition is Unconditional.
func (m mountFiles) Get(_ context.Context, key objstore.Key, _ objstore.Cond) (objstore.Reader, error) {
	f, err := os.Open(string(key))
	if err != nil {
		return nil, fileError("get", key, err)
	}
	info, err := describe(f)
	if err == nil && info.Version == "" { // somebody is making it
		err = &objstore.Error{Op: "get", Key: string(key), Kind: objstore.ErrConflict}
	}
	if err != nil {
		return nil, errors.Join(fileError("get", key, err), f.Close())
	}
	return fileReader{f, info}, nil
}

// describe tells of an open file what a mount knows. A file that was never committed has no version.
func describe(f *os.File) (objstore.Info, error) {
	stat, err := f.Stat()
	if err != nil {
		return objstore.Info{}, err
	}
	if !stat.Mode().IsRegular() {
		return objstore.Info{}, usageErrorf("%s is not a regular file", f.Name())
	}
	version, err := xattr(f, versionXattr)
	if err != nil {
		return objstore.Info{}, err
	}
	etag, err := xattr(f, etagXattr)
	return objstore.Info{
		Type: objstore.TypeFile, Size: stat.Size(), Version: objstore.Version(version), ETag: objstore.ETag(etag), Modified: stat.ModTime(),
	}, err
}

// xattr is an attribute of an open file, empty if it has none.
func xattr(f *os.File, name string) (string, error) {
	value := make([]byte, 256)
	n, err := unix.Fgetxattr(int(f.Fd()), name, value)
	if errors.Is(err, unix.ENODATA) {
		return "", nil
	}
	if err != nil {
		return "", &iofs.PathError{Op: "getxattr " + name, Path: f.Name(), Err: err}
	}
	return string(value[:n]), nil
}

// Put implements [cas.Store]; the condition is IfAbsent or IfVersion. Nobody sees a new file before it
// is committed.
func (m mountFiles) Put(_ context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, _ objstore.PutOptions) (info objstore.Info, err error) {
	flags := os.O_RDWR
	if cond.IsIfAbsent() {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(string(key), flags, 0o666)
	if err != nil {
		return info, fileError("put", key, err)
	}
	if err = m.replace(f, key, body, cond); err == nil {
		info, err = describe(f)
	}
	if closed := f.Close(); err == nil && closed != nil {
		err = fileError("put", key, closed)
	}
	return info, err
}

// replace commits another content of f, which must have the version of cond.
func (m mountFiles) replace(f *os.File, key objstore.Key, body io.Reader, cond objstore.Cond) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		return &objstore.Error{Op: "put", Key: string(key), Kind: objstore.ErrConflict, Detail: "another process has locked the file"}
	}
	if err != nil {
		return fileError("lock", key, err)
	}
	now, err := describe(f)
	if err != nil {
		return fileError("put", key, err)
	}
	if err := cond.Check(now.Version, now.Version != ""); err != nil {
		return &objstore.Error{Op: "put", Key: string(key), Kind: objstore.KindOf(err), Winner: now.ETag}
	}
	size, err := overwrite(f, body)
	if err == nil && size < now.Size {
		err = f.Truncate(size)
	}
	if err != nil { // what is written is committed when the file is closed
		return &objstore.Error{Op: "put", Key: string(key), Kind: objstore.ErrUnknown, Detail: "the file may have a part of the new content", Err: err}
	}
	err = f.Sync()
	if !errors.Is(err, unix.EBUSY) {
		return fileError("put", key, err)
	}
	lost := &objstore.Error{Op: "put", Key: string(key), Kind: objstore.ErrPrecondition}
	if err := m.forget(f); err != nil {
		return fmt.Errorf("%w (and its kept copy could not be dropped: %w)", lost, err)
	}
	return lost
}

// overwrite writes body from the start of f, in pieces as large as they can be: a small content is one write.
func overwrite(f *os.File, body io.Reader) (size int64, err error) {
	piece := make([]byte, 1<<20)
	for {
		n, err := objstore.Fill(body, piece)
		if n > 0 {
			if _, err := f.WriteAt(piece[:n], size); err != nil {
				return size, err
			}
			size += int64(n)
		}
		switch {
		case err == io.EOF:
			return size, nil
		case err != nil:
			return size, err
		}
	}
}

// forget drops the kept copy of what lost: it is computed again.
func (m mountFiles) forget(f *os.File) error {
	id, err := xattr(f, conflictXattr)
	if err != nil || id == "" {
		return err
	}
	return keptInMount{filepath.Join(m.control, conflictsName)}.drop(context.Background(), objstore.ConflictID(id))
}

// fileError gives an error of a file the kind it would have on a store.
func fileError(op string, key objstore.Key, err error) error {
	var kind objstore.Kind
	switch {
	case err == nil || objstore.KindOf(err) != 0:
		return err
	case errors.Is(err, iofs.ErrNotExist):
		kind = objstore.ErrNotFound
	case errors.Is(err, unix.EBUSY):
		kind = objstore.ErrPrecondition
	case errors.Is(err, iofs.ErrPermission):
		kind = objstore.ErrPermission
	case errors.Is(err, unix.EROFS):
		kind = objstore.ErrReadOnly
	case errors.Is(err, unix.EISDIR):
		kind = objstore.ErrIsDir
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		kind = objstore.ErrNoSpace
	case errors.Is(err, unix.EIO) && op == "put":
		kind = objstore.ErrUnknown
	default:
		return err
	}
	return &objstore.Error{Op: op, Key: string(key), Kind: kind, Err: err}
}
