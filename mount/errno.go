package mount

import (
	"context"
	"errors"
	"log/slog"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// fsErrno is the errno of a kind of package fs.
func fsErrno(k fs.Kind) syscall.Errno {
	switch k {
	case fs.ErrBusy:
		return syscall.EBUSY
	case fs.ErrExists:
		return syscall.EEXIST
	case fs.ErrStale:
		return syscall.ESTALE
	case fs.ErrNameTooLong:
		return syscall.ENAMETOOLONG
	case fs.ErrLoop:
		return syscall.ELOOP
	case fs.ErrNoXattr:
		return syscall.ENODATA
	case fs.ErrCrossMount:
		return syscall.EXDEV
	case fs.ErrNotPermitted:
		return syscall.EPERM
	case fs.ErrBadHandle:
		return syscall.EBADF
	case fs.ErrTextBusy:
		return syscall.ETXTBSY
	default:
		return 0
	}
}

// storeErrno is the errno of a kind of package objstore. A lost condition is
// EBUSY: where exclusivity was asked, package fs says [fs.ErrExists].
func storeErrno(k objstore.Kind) syscall.Errno {
	switch k {
	case objstore.ErrNotFound:
		return syscall.ENOENT
	case objstore.ErrPrecondition:
		return syscall.EBUSY
	case objstore.ErrConflict, objstore.ErrUnknown, objstore.ErrUnavailable,
		objstore.ErrCorrupt, objstore.ErrNewerFormat, objstore.ErrClosed:
		return syscall.EIO
	case objstore.ErrPermission:
		return syscall.EACCES
	case objstore.ErrInvalid:
		return syscall.EINVAL
	case objstore.ErrUnsupported:
		return syscall.ENOTSUP
	case objstore.ErrTooLarge:
		return syscall.EFBIG
	case objstore.ErrNoSpace:
		return syscall.ENOSPC
	case objstore.ErrRange:
		return syscall.ENXIO
	case objstore.ErrNotDir:
		return syscall.ENOTDIR
	case objstore.ErrIsDir:
		return syscall.EISDIR
	case objstore.ErrNotEmpty:
		return syscall.ENOTEMPTY
	case objstore.ErrReadOnly:
		return syscall.EROFS
	case objstore.ErrInUse:
		return syscall.EBUSY
	default:
		return 0
	}
}

// errnoOf is the errno an application gets for err, and whether err was of a known kind.
func errnoOf(err error) (errno syscall.Errno, known bool) {
	if err == nil {
		return 0, true
	}
	if errno = fsErrno(fs.KindOf(err)); errno != 0 {
		return errno, true
	}
	if errno = storeErrno(objstore.KindOf(err)); errno != 0 {
		if errno == syscall.EIO && (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)) {
			return syscall.ENFILE, true // it is not the caller who has too many files open
		}
		return errno, true
	}
	if errors.Is(err, context.Canceled) {
		return syscall.EINTR, true
	}
	return syscall.EIO, false
}

// objectGone reports whether err says that an object is no more.
func objectGone(err error) bool { return objstore.KindOf(err) == objstore.ErrNotFound }

// status converts err for the kernel. Damage, which programs see as one EIO among others, and what is
// unclassified have no better place to be told than the log, where a failed commit stands already.
func (b *bridge) status(op string, err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	errno, known := errnoOf(err)
	switch {
	case fs.IsReported(err):
	case !known:
		b.log.Error("unclassified failure", slog.String("op", op), slog.Any("error", err))
	case objstore.KindOf(err) == objstore.ErrCorrupt:
		b.log.Error("stored bytes are damaged", slog.String("op", op), slog.Any("error", err))
	}
	return fuse.Status(errno)
}
