package cache

import (
	"context"
	"errors"
	"syscall"

	"github.com/etagfs/etagfs/objstore"
)

// problem is an error yet without its operation.
func problem(kind objstore.Kind, detail string) error {
	return &objstore.Error{Kind: kind, Detail: detail}
}

// named says what failed. Kinds stay; errors of the local disk get theirs.
func named(op, key string, err error) error {
	if err == nil {
		return nil
	}
	full := &objstore.Error{Op: op, Key: key, Kind: objstore.KindOf(err), Err: err}
	if full.Kind == 0 {
		full.Kind = diskKind(err)
	}
	var cause *objstore.Error
	if errors.As(err, &cause) {
		full.Winner = cause.Winner
		if cause.Op == "" {
			full.Detail, full.Err = cause.Detail, cause.Err
		}
	}
	if kind, ok := err.(objstore.Kind); ok && kind == full.Kind {
		full.Err = nil
	}
	return full
}

// diskKind classifies an error of the local disk, or of a context.
func diskKind(err error) objstore.Kind {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return objstore.ErrNoSpace
	case errors.Is(err, syscall.EFBIG):
		return objstore.ErrTooLarge
	case errors.Is(err, syscall.EROFS):
		return objstore.ErrReadOnly
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return objstore.ErrPermission
	default:
		return objstore.ErrUnavailable
	}
}

// ended is the error of a context that has ended.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return &objstore.Error{Kind: objstore.ErrUnavailable, Err: context.Cause(ctx)}
}
