package cas

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"strconv"

	"github.com/etagfs/etagfs/objstore"
)

// fenceMeta is the user metadata that holds the token of who wrote an object.
const fenceMeta = "etagfs-fence"

// Options qualify an update. The zero value is good.
type Options struct {
	Tries Tries
	// Fence, if not 0, is the token of the lease under which the update is made. It is written into the
	// object's metadata; an object with a greater one is left as it is: [Stale].
	Fence uint64
}

// Current is what an update starts from.
type Current struct {
	Exists  bool
	Content []byte
	Info    objstore.Info // empty if there is no object
}

// Update replaces the content of key by what change makes of it, in one step; an object that does not exist is
// made. change is called again whenever somebody else was faster, and must not do what cannot be done twice. If it
// fails the object stays as it is, and so it does if the content is the same as before. Content type and metadata stay.
func Update(ctx context.Context, s Store, key objstore.Key, change func(ctx context.Context, now Current) ([]byte, error), opt Options) (objstore.Info, error) {
	return update(ctx, s, key, opt, func(ctx context.Context, reader objstore.Reader) (func() (io.ReadCloser, error), error) {
		var now Current
		if reader != nil {
			content, err := readAll(ctx, reader)
			if err != nil {
				return nil, &readError{err}
			}
			now = Current{Exists: true, Content: content, Info: reader.Info()}
		}
		next, err := change(ctx, now)
		if err != nil || now.Exists && bytes.Equal(next, now.Content) {
			return nil, err
		}
		return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(next)), nil }, nil
	})
}

// readError is a failure to read what is to be changed, as opposed to a failure of the change.
type readError struct{ cause error }

// Error is the cause in words.
func (e *readError) Error() string { return e.cause.Error() }

// Unwrap is the cause.
func (e *readError) Unwrap() error { return e.cause }

// step makes the next content from the version reader reads, nil if there is none. Without a next content there is nothing to put.
type step func(ctx context.Context, reader objstore.Reader) (next func() (io.ReadCloser, error), err error)

func update(ctx context.Context, s Store, key objstore.Key, opt Options, next step) (info objstore.Info, err error) {
	err = opt.Tries.do(ctx, "update", key, func() (again bool, err error) {
		info, again, err = attempt(ctx, s, key, opt.Fence, next)
		return again, err
	})
	return info, err
}

// attempt is one read, change and put.
func attempt(ctx context.Context, s Store, key objstore.Key, fence uint64, next step) (info objstore.Info, again bool, err error) {
	reader, err := s.Get(ctx, key, objstore.Unconditional())
	cond := objstore.IfAbsent()
	switch {
	case err == nil:
		defer reader.Close()
		info = reader.Info()
		cond = objstore.IfVersion(info.Version)
	case objstore.KindOf(err) == objstore.ErrNotFound:
		reader = nil
	default:
		return info, busy(err) || objstore.IsLostCondition(err), err
	}
	if err := fenced(key, info, fence); err != nil {
		return info, false, err
	}
	open, err := next(ctx, reader)
	if err != nil || open == nil {
		var read *readError // without pins, what was not read yet may be gone
		again := errors.As(err, &read) && (busy(err) || objstore.IsLostCondition(err))
		return info, again, err
	}
	info, err = put(ctx, s, key, open, cond, putOptions(s, info, fence))
	return info, busy(err) || objstore.IsLostCondition(err), err
}

// fenced refuses to follow a later token.
func fenced(key objstore.Key, now objstore.Info, fence uint64) error {
	last, err := strconv.ParseUint(now.UserMeta[fenceMeta], 10, 64)
	if fence == 0 || err != nil || last <= fence { // what is no token fences nobody
		return nil
	}
	return &objstore.Error{Op: "update", Key: string(key), Kind: objstore.ErrPrecondition, Err: Stale}
}

// putOptions keep what describes an object.
func putOptions(s Store, now objstore.Info, fence uint64) objstore.PutOptions {
	opt := objstore.PutOptions{ContentType: now.ContentType, UserMeta: now.UserMeta}
	caps := s.Capabilities()
	if caps.Headers {
		opt.Headers = now.Headers
	}
	if caps.Tags {
		opt.Tags = now.Tags
	}
	if fence != 0 {
		opt.UserMeta = maps.Clone(opt.UserMeta)
		if opt.UserMeta == nil {
			opt.UserMeta = make(map[string]string)
		}
		opt.UserMeta[fenceMeta] = strconv.FormatUint(fence, 10)
	}
	return opt
}

func readAll(ctx context.Context, reader objstore.Reader) ([]byte, error) {
	body := reader.Stream(ctx, 0, -1)
	content, err := io.ReadAll(body)
	return content, errors.Join(err, body.Close())
}
