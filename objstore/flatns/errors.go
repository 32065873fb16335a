package flatns

import (
	"context"
	"errors"
	"fmt"

	"github.com/etagfs/etagfs/objstore"
)

// attemptsMax bounds how often a write whose condition was lost is prepared again from what is there now.
const attemptsMax = 1000

// problem is an error yet without its operation.
func problem(kind objstore.Kind, detail string) error {
	return &objstore.Error{Kind: kind, Detail: detail}
}

// lost is a condition that did not hold for what is there.
func lost(winner objstore.ETag) error {
	return &objstore.Error{Kind: objstore.ErrPrecondition, Winner: winner}
}

// contended is what a write ends with that others have overtaken attemptsMax times.
func contended() error {
	return problem(objstore.ErrConflict, "others write the same object all the time")
}

// named says which operation failed on what.
func named(op, key string, err error) error {
	if err == nil {
		return nil
	}
	full := &objstore.Error{Op: op, Key: key, Kind: objstore.KindOf(err), Err: err}
	if full.Kind == 0 {
		full.Kind = objstore.ErrUnavailable
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

// ended is the error of a context that has ended: nothing was asked of the store.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return &objstore.Error{Kind: objstore.ErrUnavailable, Err: context.Cause(ctx)}
}

func idText(id objstore.ID) string { return fmt.Sprintf("object %d", id) }
