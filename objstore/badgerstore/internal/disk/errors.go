package disk

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
)

// KindOf classifies an error of an FS for those above, who know no errno. An
// error that is classified already keeps its kind; nil has none.
func KindOf(err error) objstore.Kind {
	if kind := objstore.KindOf(err); kind != 0 || err == nil {
		return kind
	}
	var errno unix.Errno
	switch {
	case errors.Is(err, ErrLocked):
		return objstore.ErrInUse
	case !errors.As(err, &errno):
		return objstore.ErrUnavailable
	}
	switch errno {
	case unix.ENOSPC, unix.EDQUOT:
		return objstore.ErrNoSpace
	case unix.EFBIG:
		return objstore.ErrTooLarge
	case unix.EROFS:
		return objstore.ErrReadOnly
	case unix.EACCES, unix.EPERM:
		return objstore.ErrPermission
	default:
		return objstore.ErrUnavailable
	}
}

// Error wraps err as an [*objstore.Error] of its kind; nil stays nil. The
// name of the file is in err already.
func Error(op string, err error) error {
	if err == nil {
		return nil
	}
	return &objstore.Error{Op: op, Kind: KindOf(err), Err: err}
}

// Cancelled is the error of an operation whose context has ended, nil if it has not.
func Cancelled(ctx context.Context, op string) error {
	if cause := ctx.Err(); cause != nil {
		return &objstore.Error{Op: op, Kind: objstore.ErrUnavailable, Detail: "cancelled", Err: cause}
	}
	return nil
}
