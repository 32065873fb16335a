package cache

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/etagfs/etagfs/objstore"
)

// pieceBytes are copied at a time.
const pieceBytes = 1 << 20

// discard closes and gives up all that the stage has. The journal goes first: without it there is nothing to find.
func (s *Stage) discard() error {
	ended := s.endJournal()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	err := ended
	if s.base != nil {
		err = errors.Join(err, s.base.Close())
	}
	if s.slot == nil {
		return err
	}
	if ended != nil {
		return errors.Join(err, s.slot.remove())
	}
	return errors.Join(err, s.area.giveBack(s.slot))
}

// endJournal says that nothing is to be found any more.
func (s *Stage) endJournal() error {
	if s.journal == nil {
		return nil
	}
	err := s.journal.file.Truncate(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal = nil
	return err
}

// fill fetches what is still the base's. It requires the token. What failed was no commit.
func (s *Stage) fill(ctx context.Context) error {
	for off := int64(0); off < s.limit; {
		from, end := s.ranges.at(off, s.limit, s.limit)
		if from == fromBase {
			if err := s.fetch(ctx, off, end); err != nil {
				return err
			}
		}
		off = end
	}
	return nil
}

// fetch copies [off, end) of the base to the file.
func (s *Stage) fetch(ctx context.Context, off, end int64) error {
	if err := s.openSlot(); err != nil {
		return err
	}
	body := s.base.Stream(ctx, off, end-off)
	defer body.Close()
	n, err := io.CopyBuffer(io.NewOffsetWriter(s.slot.data, off), body, make([]byte, min(pieceBytes, end-off)))
	if err == nil && n < end-off {
		err = problem(objstore.ErrCorrupt, "the base is too short")
	}
	if err != nil {
		return err
	}
	if s.journal != nil {
		if err := s.journal.add(record{recordData, off, end}); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ranges.set(extent{off: off, end: end})
	return nil
}

// Commit implements [objstore.Stage].
func (s *Stage) Commit(ctx context.Context, req objstore.CommitRequest) (res objstore.CommitResult, err error) {
	if err := s.take(ctx); err != nil {
		return res, named("commit", s.owner.Path, err)
	}
	defer func() { <-s.token }()
	if !req.Cond.Valid() {
		return res, named("commit", s.owner.Path, problem(objstore.ErrInvalid, "no condition"))
	}
	if err := s.fill(ctx); err != nil {
		return res, named("commit", s.owner.Path, err)
	}
	content := &frozen{s}
	res, err = s.to.CommitContent(ctx, req, content)
	if err != nil {
		return objstore.CommitResult{}, err
	}
	res.Appended = content.Appended()
	s.settle(res.Info)
	return res, nil
}

// settle makes what was committed the base. All of it is here, so no reader is needed. A
// journal that cannot be emptied does no harm: what it says is found to be committed.
func (s *Stage) settle(info objstore.Info) {
	if err := s.endJournal(); err != nil {
		s.area.opt.Logger.Warn("the journal of a stage that was committed stays", "path", s.owner.Path, "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base != nil {
		if err := s.base.Close(); err != nil {
			s.area.opt.Logger.Warn("close the base of a stage", "path", s.owner.Path, "error", err)
		}
	}
	s.base, s.limit, s.changed, s.lowest = nil, 0, false, math.MaxInt64
	s.ref = baseRef{Exists: true, Version: info.Version, ETag: info.ETag, Size: s.size}
}

// frozen reads a stage whose token is held.
type frozen struct{ s *Stage }

// Info implements [objstore.Reader]. Only the size counts.
func (f *frozen) Info() objstore.Info { return objstore.Info{Type: objstore.TypeFile, Size: f.s.size} }

// Appended reports whether it is the base's content followed by more.
func (f *frozen) Appended() bool { return f.s.ref.Exists && f.s.lowest >= f.s.ref.Size }

// ReadAt implements [objstore.Reader].
func (f *frozen) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	return f.s.ReadAt(ctx, p, off)
}

// Stream implements [objstore.Reader].
func (f *frozen) Stream(ctx context.Context, off, length int64) io.ReadCloser {
	return newStream(ctx, f, f.s.size, off, length)
}

// Close implements [objstore.Reader].
func (f *frozen) Close() error { return nil }
