package objstoretest

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

func bodyCases() []Case {
	return []Case{
		{Name: "FailedBodiesLeaveNothing", run: failedBodiesLeaveNothing},
		{Name: "WrongLengthsLeaveNothing", run: wrongLengthsLeaveNothing},
		{Name: "CancelledBodiesLeaveNothing", run: cancelledBodiesLeaveNothing},
		{Name: "BodiesMayDribble", run: bodiesMayDribble},
	}
}

// endsWith yields some bytes and then an error.
type endsWith struct {
	body io.Reader
	err  error
}

func (r endsWith) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err == io.EOF {
		err = r.err
	}
	return n, err
}

// wantNothing tries puts that must fail, over an object and over nothing, with
// bodies of several sizes.
func (e *Env) wantNothing(ctx context.Context, try func(key objstore.Key, body io.Reader, length int64) error) {
	e.put(ctx, "old", "old content")
	before := e.snapshot(ctx, "old")
	for _, size := range []int64{0, 1, 100, 64<<10 + 1, 5 << 20} {
		for _, key := range []objstore.Key{"old", "new", "dir/sub/new"} {
			if err := try(key, strings.NewReader(string(pattern(uint64(size), size))), size); err == nil {
				e.Failf("put %q of %d bytes succeeded", key, size)
			} else if kind := objstore.KindOf(err); kind == 0 || kind.Applied() != objstore.NotApplied {
				e.Failf("put %q of %d bytes: not known to be not applied: %w", key, size, err)
			}
		}
	}
	equal(e, e.snapshot(ctx, "old"), before, "state of the old object")
	e.wantAbsent(ctx, "new")
	equal(e, len(e.keys(ctx, objstore.ListOptions{})), 1, "keys")
	if e.isNamespace() {
		equal(e, len(e.readDir(ctx, e.root())), 1, "entries of the root")
	}
}

func failedBodiesLeaveNothing(ctx context.Context, e *Env) {
	cut := errors.New("the client went away")
	for _, cause := range []error{cut, io.ErrUnexpectedEOF} {
		e.wantNothing(ctx, func(key objstore.Key, body io.Reader, _ int64) error {
			_, err := e.Store.Put(ctx, key, endsWith{body, cause}, objstore.Unconditional(), objstore.PutOptions{})
			if err != nil && !errors.Is(err, cause) {
				e.Failf("the error does not hold its cause: %w", err)
			}
			return err
		})
	}
}

func wrongLengthsLeaveNothing(ctx context.Context, e *Env) {
	for _, off := range []int64{-1, 1, 100_000} {
		e.wantNothing(ctx, func(key objstore.Key, body io.Reader, length int64) error {
			if length+off < 0 {
				off = 1
			}
			_, err := e.Store.Put(ctx, key, body, objstore.Unconditional(), objstore.PutOptions{Length: length + off, LengthKnown: true})
			e.want(err, objstore.ErrInvalid, "put with a wrong length")
			return err
		})
	}
}

// cancels ends a context once its bytes have been read.
type cancels struct {
	body   io.Reader
	cancel context.CancelFunc
}

func (r cancels) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err == io.EOF {
		r.cancel()
	}
	return n, err
}

func cancelledBodiesLeaveNothing(ctx context.Context, e *Env) {
	e.wantNothing(ctx, func(key objstore.Key, body io.Reader, _ int64) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		// More would follow: the context ends in the middle of the body.
		body = io.MultiReader(cancels{body, cancel}, io.LimitReader(zeros{}, 4<<20))
		_, err := e.Store.Put(ctx, key, body, objstore.Unconditional(), objstore.PutOptions{})
		if err != nil && !errors.Is(err, context.Canceled) {
			e.Failf("the error does not hold its cause: %w", err)
		}
		return err
	})
}

// dribble yields one byte at a time, sometimes none, and the last with io.EOF.
type dribble struct {
	body string
	calm bool
}

func (d *dribble) Read(p []byte) (int, error) {
	if d.calm = !d.calm; d.calm || len(p) == 0 {
		return 0, nil
	}
	if len(d.body) == 0 {
		return 0, io.EOF
	}
	p[0], d.body = d.body[0], d.body[1:]
	if len(d.body) == 0 {
		return 1, io.EOF
	}
	return 1, nil
}

func bodiesMayDribble(ctx context.Context, e *Env) {
	body := string(pattern(1, 70_000))
	_, err := e.Store.Put(ctx, "k", &dribble{body: body}, objstore.IfAbsent(), objstore.PutOptions{})
	e.ok(err, "put")
	e.wantContent(ctx, "k", body)
}
