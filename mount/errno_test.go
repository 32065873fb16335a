package mount

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// C10
func TestEveryKindOfErrorHasAnErrno(t *testing.T) {
	for _, k := range objstore.Kinds() {
		if errno, known := errnoOf(&objstore.Error{Op: "test", Kind: k}); !known || errno == 0 {
			t.Errorf("objstore: %v has no errno", k)
		}
	}
	for _, k := range fs.Kinds() {
		if errno, known := errnoOf(&fs.Error{Op: "test", Kind: k}); !known || errno == 0 {
			t.Errorf("fs: %v has no errno", k)
		}
	}
}

// C10
func TestErrnos(t *testing.T) {
	for _, c := range []struct {
		err   error
		want  syscall.Errno
		known bool
	}{
		{nil, 0, true},
		{&fs.Error{Kind: fs.ErrBusy, Err: objstore.ErrPrecondition}, syscall.EBUSY, true},
		{&fs.Error{Kind: fs.ErrExists}, syscall.EEXIST, true},
		{&fs.Error{Kind: fs.ErrStale}, syscall.ESTALE, true},
		{&fs.Error{Kind: fs.ErrNameTooLong}, syscall.ENAMETOOLONG, true},
		{fmt.Errorf("wrapped: %w", &objstore.Error{Kind: objstore.ErrNoSpace}), syscall.ENOSPC, true},
		{objstore.ErrTooLarge, syscall.EFBIG, true},
		{objstore.ErrNotFound, syscall.ENOENT, true},
		{objstore.ErrCorrupt, syscall.EIO, true},
		{objstore.ErrUnknown, syscall.EIO, true},
		{objstore.ErrReadOnly, syscall.EROFS, true},
		{&objstore.Error{Kind: objstore.ErrUnavailable, Err: syscall.EMFILE}, syscall.ENFILE, true},
		{context.Canceled, syscall.EINTR, true},
		{errors.New("something else"), syscall.EIO, false},
	} {
		if errno, known := errnoOf(c.err); errno != c.want || known != c.known {
			t.Errorf("%v is %v (known: %v), want %v", c.err, errno, known, c.want)
		}
	}
}
