package memstore

import (
	"context"
	"errors"

	"github.com/etagfs/etagfs/objstore"
)

// problem is a failure without its operation and key, which [named] adds.
func problem(kind objstore.Kind, detail string) error {
	return &objstore.Error{Kind: kind, Detail: detail}
}

// named says which operation failed, on what.
func named(op, key string, err error) error {
	if err == nil {
		return nil
	}
	var e *objstore.Error
	if errors.As(err, &e) {
		full := *e
		full.Op, full.Key = op, key
		return &full
	}
	return &objstore.Error{Op: op, Key: key, Kind: objstore.KindOf(err)}
}

// orCancelled is why ctx ended, if it has, and err otherwise.
func orCancelled(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return &objstore.Error{Kind: objstore.ErrUnavailable, Detail: "cancelled", Err: cause}
	}
	return err
}

// check evaluates cond on n, which is nil if there is no object.
func check(cond objstore.Cond, n *node) error {
	if n == nil {
		return cond.Check("", false)
	}
	err := cond.Check(n.version, true)
	if err == objstore.ErrPrecondition {
		return &objstore.Error{Kind: objstore.ErrPrecondition, Winner: n.etag}
	}
	return err
}

// checkSource evaluates cond on an object that must exist.
func checkSource(cond objstore.Cond, n *node) error {
	if err := check(cond, n); err != nil {
		return err
	}
	if n == nil {
		return objstore.ErrNotFound
	}
	return nil
}
