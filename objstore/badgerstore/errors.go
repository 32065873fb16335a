package badgerstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// problem is a failure without its operation and key, which [named] adds.
func problem(kind objstore.Kind, format string, args ...any) error {
	return &objstore.Error{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// problemOf is a failure of what this package works with: ErrUnavailable, unless it has a kind.
func problemOf(detail string, err error) error {
	kind := objstore.KindOf(err)
	if kind == 0 {
		kind = objstore.ErrUnavailable
	}
	return &objstore.Error{Kind: kind, Detail: detail, Err: err}
}

// named says which operation failed, on what. An error from below keeps its place as the cause.
func named(op, key string, err error) error {
	if err == nil {
		return nil
	}
	var e *objstore.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &objstore.Error{Op: op, Key: key, Kind: objstore.ErrUnavailable, Detail: "cancelled", Err: err}
	case !errors.As(err, &e):
		return &objstore.Error{Op: op, Key: key, Kind: objstore.KindOf(err), Err: unclassified(err)}
	}
	full := *e
	if e.Op != "" && e.Op != op {
		full = objstore.Error{Kind: e.Kind, Winner: e.Winner, Err: e}
	}
	full.Op, full.Key = op, key
	return &full
}

// unclassified is err unless it is a bare kind, which says all there is to say.
func unclassified(err error) error {
	if _, bare := err.(objstore.Kind); bare {
		return nil
	}
	return err
}

// cancelled is why ctx ended, or nil.
func cancelled(ctx context.Context) error {
	if cause := ctx.Err(); cause != nil {
		return &objstore.Error{Kind: objstore.ErrUnavailable, Detail: "cancelled", Err: cause}
	}
	return nil
}

// check evaluates cond on o, which is nil if there is no object.
func check(cond objstore.Cond, o *record.Object) error {
	if o == nil {
		return cond.Check("", false)
	}
	err := cond.Check(objstore.VersionOf(o.Version), true)
	if err == objstore.ErrPrecondition {
		return &objstore.Error{Kind: objstore.ErrPrecondition, Winner: etagOf(o)}
	}
	return err
}

// checkSource evaluates cond on an object that must exist.
func checkSource(cond objstore.Cond, o *record.Object) error {
	if err := check(cond, o); err != nil {
		return err
	}
	if o == nil {
		return objstore.ErrNotFound
	}
	return nil
}
