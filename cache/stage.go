package cache

import (
	"context"
	"io"
	"math"
	"sync"
	"syscall"

	"github.com/etagfs/etagfs/objstore"
)

// baseRef is what a commit of a stage replaces.
type baseRef struct {
	Exists  bool
	Version objstore.Version
	ETag    objstore.ETag
	Size    int64
}

// Stage implements [objstore.Stage] with a file.
type Stage struct {
	// Constant.
	area  *Area
	to    Committer
	owner objstore.Owner

	// token is held by who changes the stage, commits or keeps it.
	token chan struct{}

	// Changed by the holder of the token with mu held, so either is enough to read them.
	mu      sync.RWMutex
	slot    *slot           // nil: there is no data
	base    objstore.Reader // nil: there is none, or it is not needed any more
	ref     baseRef
	ranges  extents
	size    int64
	limit   int64 // INVARIANT: limit <= size, and 0 without a base
	lowest  int64 // of the offsets changed since the base
	changed bool
	closed  bool
	journal *journal // INVARIANT: not nil if changed
	kept    objstore.ConflictID
}

const journalSuffix = ".journal"

// NewStage starts a stage that is committed through to.
func (a *Area) NewStage(ctx context.Context, spec objstore.StageSpec, to Committer) (objstore.Stage, error) {
	s := &Stage{
		area: a, to: to, owner: spec.Owner, token: make(chan struct{}, 1), lowest: math.MaxInt64,
	}
	err := ended(ctx)
	if err == nil && spec.Source != nil {
		err = &objstore.Error{Op: "new stage", Kind: objstore.ErrUnsupported}
	}
	if err == nil && spec.Base != nil {
		err = s.begin(ctx, spec)
	}
	if err == nil {
		err = a.enlist(s)
	}
	if err != nil {
		s.discard()
		return nil, named("new stage", spec.Owner.Path, err)
	}
	return s, nil
}

// begin takes over the base. A reader that cannot be shared is copied.
func (s *Stage) begin(ctx context.Context, spec objstore.StageSpec) error {
	info := spec.Base.Info()
	s.ref = baseRef{Exists: true, Version: info.Version, ETag: info.ETag, Size: info.Size}
	if sharer, ok := spec.Base.(Sharer); ok {
		base, err := sharer.Share()
		if err != nil {
			return err
		}
		s.base = base
	}
	if spec.Empty {
		s.lowest = 0
		return nil
	}
	s.size, s.limit = info.Size, info.Size
	if s.base != nil {
		return nil
	}
	s.base = spec.Base
	err := s.fill(ctx)
	s.base = nil // the caller's
	return err
}

// take waits for the token. Whoever has it may change the stage.
func (s *Stage) take(ctx context.Context) error {
	if err := ended(ctx); err != nil {
		return err
	}
	select {
	case s.token <- struct{}{}:
	case <-ctx.Done():
		return ended(ctx)
	}
	if s.closed {
		<-s.token
		return objstore.ErrClosed
	}
	return nil
}

// change runs f, which changes bytes, with the token and names its error.
func (s *Stage) change(ctx context.Context, op string, f func() error) error {
	err := s.take(ctx)
	if err == nil {
		if err = s.open(); err == nil {
			err = f()
		}
		<-s.token
	}
	return named(op, s.owner.Path, err)
}

// open takes a slot and begins the journal, unless that was done.
func (s *Stage) open() error {
	if err := s.openSlot(); err != nil {
		return err
	}
	if s.journal != nil {
		return nil
	}
	j, err := beginJournal(s.slot.journal, head{Owner: s.owner, Base: s.ref, Size: s.size, Limit: s.limit}, s.ranges)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal = j
	return nil
}

func (s *Stage) openSlot() error {
	if s.slot != nil {
		return nil
	}
	taken, err := s.area.takeSlot()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slot = taken
	return nil
}

// ReadAt implements [objstore.Stage].
func (s *Stage) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	err := ended(ctx)
	switch {
	case err != nil:
	case s.closed:
		err = objstore.ErrClosed
	case off < 0:
		err = problem(objstore.ErrInvalid, "negative offset")
	case off >= s.size:
		return 0, io.EOF
	}
	if err != nil {
		return 0, named("read stage", s.owner.Path, err)
	}
	n := int(min(int64(len(p)), s.size-off))
	if err := s.read(ctx, p[:n], off); err != nil {
		return 0, named("read stage", s.owner.Path, err)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// read fills p, which lies within the stage. It requires mu or the token.
func (s *Stage) read(ctx context.Context, p []byte, off int64) error {
	for len(p) > 0 {
		from, end := s.ranges.at(off, off+int64(len(p)), s.limit)
		part := p[:end-off]
		var n int
		var err error
		switch from {
		case fromZeros:
			clear(part)
			n = len(part)
		case fromFile:
			n, err = s.slot.data.ReadAt(part, off)
		case fromBase:
			if s.base == nil {
				return problem(objstore.ErrNotFound, "the base is gone")
			}
			n, err = s.base.ReadAt(ctx, part, off)
		}
		if n < len(part) {
			if err == nil || err == io.EOF {
				err = problem(objstore.ErrCorrupt, "bytes are missing")
			}
			return err
		}
		p, off = p[n:], end
	}
	return nil
}

// checkRange refuses ranges that no content has.
func (s *Stage) checkRange(off, length int64) error {
	switch {
	case off < 0 || length < 0:
		return problem(objstore.ErrInvalid, "negative offset or length")
	case length > s.area.opt.ObjectBytesMax || off > s.area.opt.ObjectBytesMax-length:
		return problem(objstore.ErrTooLarge, "beyond the largest object")
	}
	return nil
}

// WriteAt implements [objstore.Stage]. Bytes are in the file before they are in the journal, and in the
// journal before they can be read.
func (s *Stage) WriteAt(ctx context.Context, p []byte, off int64) (int, error) {
	if err := s.checkRange(off, int64(len(p))); err != nil {
		return 0, named("write stage", s.owner.Path, err)
	}
	err := s.change(ctx, "write stage", func() error {
		if len(p) == 0 {
			return nil
		}
		if _, err := s.slot.data.WriteAt(p, off); err != nil {
			return err
		}
		end := off + int64(len(p))
		if !s.ranges.isData(off, end) {
			if err := s.journal.add(record{recordData, off, end}); err != nil {
				return err
			}
		}
		s.update(off, func() {
			s.ranges.set(extent{off: off, end: end})
			s.size = max(s.size, end)
		})
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// update changes what is read from lowest on. It requires the token.
func (s *Stage) update(lowest int64, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.lowest = min(s.lowest, lowest)
	s.changed = true
}

// Truncate implements [objstore.Stage].
func (s *Stage) Truncate(ctx context.Context, size int64) error {
	if err := s.checkRange(size, 0); err != nil {
		return named("truncate stage", s.owner.Path, err)
	}
	return s.change(ctx, "truncate stage", func() error { return s.resize(size) })
}

func (s *Stage) resize(size int64) error {
	limit := min(s.limit, size)
	if err := s.journal.add(record{recordSize, size, limit}); err != nil {
		return err
	}
	lowest := int64(math.MaxInt64)
	if size < s.size {
		lowest = size
	}
	s.update(lowest, func() {
		s.ranges.cut(size)
		s.size, s.limit = size, limit
	})
	return nil
}

// Allocate implements [objstore.Stage]. Space is not reserved: a commit takes it elsewhere.
func (s *Stage) Allocate(ctx context.Context, off, length int64, mode objstore.AllocateMode) error {
	err := s.checkRange(off, length)
	if err == nil && (length == 0 || mode > objstore.ZeroRange) {
		err = problem(objstore.ErrInvalid, "nothing to allocate")
	}
	if err != nil {
		return named("allocate stage", s.owner.Path, err)
	}
	return s.change(ctx, "allocate stage", func() error {
		end := off + length
		if mode == objstore.PunchHole || mode == objstore.ZeroRange {
			if err := s.zero(off, min(end, s.size)); err != nil {
				return err
			}
		}
		if grows := mode == objstore.AllocateGrow || mode == objstore.ZeroRange; grows && end > s.size {
			return s.resize(end)
		}
		s.update(math.MaxInt64, func() {})
		return nil
	})
}

// zero makes [off, end) zeros. The file gives the space back if it can.
func (s *Stage) zero(off, end int64) error {
	if off >= end {
		return nil
	}
	if err := s.journal.add(record{recordZero, off, end}); err != nil {
		return err
	}
	s.update(off, func() { s.ranges.set(extent{off, end, true}) })
	const punchKeepingSize = 0x3
	err := syscall.Fallocate(int(s.slot.data.Fd()), punchKeepingSize, off, end-off)
	if err != nil && err != syscall.EOPNOTSUPP {
		return err
	}
	return nil
}

// seek walks from off to the first byte that is, or is not, a hole.
func (s *Stage) seek(ctx context.Context, off int64, hole bool) (int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	err := ended(ctx)
	switch {
	case err != nil:
	case s.closed:
		err = objstore.ErrClosed
	case off < 0:
		err = problem(objstore.ErrInvalid, "negative offset")
	}
	for err == nil && off < s.size {
		from, end := s.ranges.at(off, s.size, s.limit)
		if (from == fromZeros) == hole {
			return off, nil
		}
		if off = end; hole && off == s.size {
			return off, nil
		}
	}
	if err == nil {
		err = objstore.ErrRange
	}
	return 0, named("seek stage", s.owner.Path, err)
}

// NextData implements [objstore.Stage].
func (s *Stage) NextData(ctx context.Context, off int64) (int64, error) {
	return s.seek(ctx, off, false)
}

// NextHole implements [objstore.Stage].
func (s *Stage) NextHole(ctx context.Context, off int64) (int64, error) {
	return s.seek(ctx, off, true)
}

// Size implements [objstore.Stage].
func (s *Stage) Size() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.size
}

// Changed implements [objstore.Stage].
func (s *Stage) Changed() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.changed
}

// Close implements [objstore.Stage]. It waits for a commit.
func (s *Stage) Close() error {
	s.token <- struct{}{}
	defer func() { <-s.token }()
	if s.closed {
		return nil
	}
	s.area.forget(s)
	return named("close stage", s.owner.Path, s.discard())
}
