package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// The numbers are written out: they are an interface, and this is its other copy.
func TestExitCodesAreStable(t *testing.T) {
	kinds := map[objstore.Kind]int{
		objstore.ErrNotFound: 3, objstore.ErrPrecondition: 4, objstore.ErrConflict: 4, objstore.ErrUnknown: 9,
		objstore.ErrUnavailable: 1, objstore.ErrPermission: 6, objstore.ErrInvalid: 2, objstore.ErrUnsupported: 1,
		objstore.ErrTooLarge: 1, objstore.ErrNoSpace: 7, objstore.ErrRange: 1, objstore.ErrCorrupt: 8,
		objstore.ErrNotDir: 1, objstore.ErrIsDir: 1, objstore.ErrNotEmpty: 1, objstore.ErrReadOnly: 6,
		objstore.ErrInUse: 5, objstore.ErrNewerFormat: 1, objstore.ErrClosed: 1,
	}
	for _, kind := range objstore.Kinds() {
		want, ok := kinds[kind]
		if got := exitCode(fmt.Errorf("wrapped: %w", &objstore.Error{Kind: kind})); !ok || got != want {
			t.Errorf("%v: exit code %d, want %d", kind, got, want)
		}
	}
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{context.Canceled, 1},
		{usageErrorf("what?"), 2},
		{&os.PathError{Err: syscall.ENOENT}, 3},
		{&os.PathError{Err: syscall.EBUSY}, 4},
		{&os.PathError{Err: syscall.EACCES}, 6},
		{&os.PathError{Err: syscall.EROFS}, 6},
		{&os.PathError{Err: syscall.ENOSPC}, 7},
		{&os.PathError{Err: syscall.EDQUOT}, 7},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
}

func TestEveryExitCodeIsExplained(t *testing.T) {
	for code := range 10 {
		if !slices.ContainsFunc(exitCodeTexts, func(row exitCodeText) bool { return row.code == code && row.text != "" }) {
			t.Errorf("exit code %d is not explained", code)
		}
	}
}
