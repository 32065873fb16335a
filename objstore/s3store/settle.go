package s3store

import (
	"context"
	"io"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// A write is sent at most triesMax times; who is cancelled after it was sent still has settleTime to find out.
const (
	triesMax   = 6
	backoffMin = 20 * time.Millisecond
	settleTime = 30 * time.Second
)

// write is one mutation under way.
type write struct {
	op   string
	key  objstore.Key // where its outcome shows
	cond objstore.Cond
	id   string
	// repeatable: sending it again cannot apply it twice nor undo another's.
	repeatable bool
	send       func(context.Context) (objstore.ETag, error)
	// look finds out what became of it, where repeating does not tell. decided false: nobody knows.
	look func(ctx context.Context, lost bool) (etag objstore.ETag, decided bool, err error)
}

// settle sends w until what became of it is known, or cannot be.
func (s *Store) settle(ctx context.Context, w write) (objstore.ETag, error) {
	if err := ctx.Err(); err != nil {
		return "", writeError(w.op, w.key, objstore.ErrUnavailable, err)
	}
	unknown := false
	for try := 1; ; try++ {
		etag, err := w.send(ctx)
		if err == nil {
			return etag, nil
		}
		kind := kindOf(err)
		if kind == objstore.ErrUnknown && !unknown {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), settleTime)
			defer cancel()
			unknown = true
		}
		again := kind == objstore.ErrConflict || kind == objstore.ErrUnknown && w.repeatable
		if again && try < triesMax && s.backOff(ctx, try) == nil {
			continue
		}
		if !unknown || s.replays && (kind == objstore.ErrPrecondition || kind == objstore.ErrNotFound) {
			return "", writeError(w.op, w.key, kind, err)
		}
		return s.resolve(ctx, w, kind, err)
	}
}

// resolve ends a write that lost a reply; kind and cause are of its last answer.
func (s *Store) resolve(ctx context.Context, w write, kind objstore.Kind, cause error) (objstore.ETag, error) {
	if w.look != nil {
		lost := kind == objstore.ErrPrecondition || kind == objstore.ErrNotFound
		if etag, decided, err := w.look(ctx, lost); decided && err == nil {
			return etag, nil
		} else if decided {
			return "", writeError(w.op, w.key, objstore.KindOf(err), cause)
		}
	}
	return "", writeError(w.op, w.key, objstore.ErrUnknown, cause)
}

// backOff waits before the next try: twice as long as before, and anything between half of that and all.
func (s *Store) backOff(ctx context.Context, try int) error {
	var jitter [1]byte
	if _, err := io.ReadFull(s.parts.Rand, jitter[:]); err != nil {
		return err
	}
	d := backoffMin << try
	return s.parts.Clock.Sleep(ctx, d/2+d/2*time.Duration(jitter[0])/256)
}

// lookForPut searches what is there for the id of a put or copy.
func (s *Store) lookForPut(key objstore.Key, id string, cond objstore.Cond) func(context.Context, bool) (objstore.ETag, bool, error) {
	return func(ctx context.Context, lost bool) (objstore.ETag, bool, error) {
		info, line, err := s.head(ctx, key, objstore.Unconditional())
		if err != nil {
			return "", false, nil
		}
		if etag, ok := line.made(id, info.ETag); ok {
			return etag, true, nil
		}
		if base, ok := cond.Version(); ok && lost && line.reaches(objstore.ETag(base)) {
			return "", true, objstore.ErrPrecondition
		}
		return "", false, nil
	}
}

// lookForDelete decides a delete: gone is as good as deleted if nothing was demanded; an object that descends from the
// one that was to be deleted says that it was not.
func (s *Store) lookForDelete(key objstore.Key, cond objstore.Cond) func(context.Context, bool) (objstore.ETag, bool, error) {
	return func(ctx context.Context, lost bool) (objstore.ETag, bool, error) {
		_, line, err := s.head(ctx, key, objstore.Unconditional())
		if err != nil {
			return "", kindOf(err) == objstore.ErrNotFound && cond.IsUnconditional(), nil
		}
		if base, ok := cond.Version(); ok && lost && line.reaches(objstore.ETag(base)) {
			return "", true, objstore.ErrPrecondition
		}
		return "", false, nil
	}
}
