package memstore

import (
	"context"
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

// stage implements [objstore.Stage].
type stage struct {
	// Constant.
	b     *Bucket
	owner objstore.Owner

	mu sync.Mutex
	// Guarded by mu.
	draft   *draft
	base    *content         // what a commit replaces; nil: nothing
	version objstore.Version // of base
	changed bool
	closed  bool
	kept    objstore.ConflictID // empty: nothing was kept
}

// NewStage implements [objstore.Namespace].
func (b *Bucket) NewStage(ctx context.Context, spec objstore.StageSpec) (objstore.Stage, error) {
	s := &stage{b: b, owner: spec.Owner, draft: newDraft(emptyContent())}
	if spec.Base == nil && spec.Source == nil {
		return s, named("new stage", spec.Owner.Path, orCancelled(ctx, nil))
	}
	if spec.Base != nil {
		base, err := contentOf(ctx, spec.Base)
		if err != nil {
			return nil, named("new stage", spec.Owner.Path, err)
		}
		s.base, s.version = base, spec.Base.Info().Version
		if !spec.Empty {
			s.draft.rebase(base)
		}
	}
	if spec.Source != nil {
		source, err := contentOf(ctx, spec.Source)
		if err != nil {
			return nil, named("new stage", spec.Owner.Path, err)
		}
		s.draft.rebase(source)
		s.draft.prefix, s.changed = 0, true // of the base nothing is left
	}
	return s, nil
}

// contentOf is what r reads; a reader that is not of this package is read to its end.
func contentOf(ctx context.Context, r objstore.Reader) (*content, error) {
	own, ok := r.(*reader)
	switch {
	case ctx.Err() != nil:
		return nil, orCancelled(ctx, nil)
	case ok && own.closed.Load():
		return nil, objstore.ErrClosed
	case ok:
		return own.content, nil
	}
	body := r.Stream(ctx, 0, -1)
	defer body.Close()
	return readBody(ctx, body, objstore.PutOptions{})
}

// do runs f under the mutex and names its error.
func (s *stage) do(ctx context.Context, op string, f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := orCancelled(ctx, nil)
	if err == nil && s.closed {
		err = objstore.ErrClosed
	}
	if err == nil {
		err = f()
	}
	return named(op, s.owner.Path, err)
}

// change is do for what changes bytes.
func (s *stage) change(ctx context.Context, op string, f func() error) error {
	return s.do(ctx, op, func() error {
		err := f()
		s.changed = s.changed || err == nil
		return err
	})
}

// ReadAt implements [objstore.Stage].
func (s *stage) ReadAt(ctx context.Context, p []byte, off int64) (n int, err error) {
	var end error
	err = s.do(ctx, "read stage", func() error {
		if off < 0 {
			return objstore.ErrInvalid
		}
		n, end = readAt(s.draft.chunks, s.draft.size, p, off)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, end
}

// WriteAt implements [objstore.Stage].
func (s *stage) WriteAt(ctx context.Context, p []byte, off int64) (int, error) {
	err := s.change(ctx, "write stage", func() error { return s.draft.write(p, off) })
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Truncate implements [objstore.Stage].
func (s *stage) Truncate(ctx context.Context, size int64) error {
	return s.change(ctx, "truncate stage", func() error { return s.draft.truncate(size) })
}

// Allocate implements [objstore.Stage].
func (s *stage) Allocate(ctx context.Context, off, length int64, mode objstore.AllocateMode) error {
	return s.change(ctx, "allocate stage", func() error { return s.draft.allocate(off, length, mode) })
}

// NextData implements [objstore.Stage].
func (s *stage) NextData(ctx context.Context, off int64) (at int64, err error) {
	err = s.do(ctx, "seek stage", func() (err error) {
		at, err = s.draft.nextData(off)
		return err
	})
	return at, err
}

// NextHole implements [objstore.Stage].
func (s *stage) NextHole(ctx context.Context, off int64) (at int64, err error) {
	err = s.do(ctx, "seek stage", func() (err error) {
		at, err = s.draft.nextHole(off)
		return err
	})
	return at, err
}

// Size implements [objstore.Stage].
func (s *stage) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draft.size
}

// Changed implements [objstore.Stage].
func (s *stage) Changed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Close implements [objstore.Stage].
func (s *stage) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.draft = newDraft(emptyContent())
	return nil
}
