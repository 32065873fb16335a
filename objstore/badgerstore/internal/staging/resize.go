package staging

import (
	"context"
	"errors"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
)

// Truncate implements objstore.Stage.
func (st *Stage) Truncate(ctx context.Context, size int64) error {
	if err := checkRange("truncate stage", 0, size); err != nil {
		return err
	}
	return st.change(ctx, "truncate stage", func() error { return st.truncate(size) })
}

// change does what changes size or zeros, with mu held. It counts as a change whatever it finds to do.
func (st *Stage) change(ctx context.Context, op string, do func() error) error {
	if err := disk.Cancelled(ctx, op); err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return errClosed(op)
	}
	if err := st.admit(recordBytes); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	st.changes++
	st.checkInvariants()
	return nil
}

func (st *Stage) truncate(size int64) error {
	if err := st.append(logRecord{kind: recordSize, a: uint64(size)}); err != nil {
		return err
	}
	if l := st.current; l != nil && l.file != nil && l.inPlace(size) && size < l.end {
		// What is cut off must not be in the blob, nor count if found after a crash.
		if err := l.file.Truncate(size); err != nil {
			return disk.Error("truncate stage", err)
		}
		l.summer.Cut(size)
		l.end = size
	}
	if size < st.view.size {
		st.stream.touch(size, st.view.size)
		st.lowest = min(st.lowest, size)
	}
	st.view.truncate(size)
	return nil
}

// Allocate implements objstore.Stage.
func (st *Stage) Allocate(ctx context.Context, off, length int64, mode objstore.AllocateMode) error {
	const op = "allocate in stage"
	if err := checkRange(op, off, length); err != nil {
		return err
	}
	if length == 0 {
		return &objstore.Error{Op: op, Kind: objstore.ErrInvalid, Detail: "nothing to allocate"}
	}
	if mode > objstore.ZeroRange {
		return &objstore.Error{Op: op, Kind: objstore.ErrInvalid, Detail: "no such mode"}
	}
	return st.change(ctx, op, func() error { return st.allocate(off, off+length, mode) })
}

// allocate does not hold blocks for later, a stage is committed by the extents it has: it
// says whether there is space now.
func (st *Stage) allocate(from, to int64, mode objstore.AllocateMode) error {
	if mode == objstore.AllocateGrow || mode == objstore.AllocateKeepSize {
		space := st.session.opt.Space
		if err := space.Reserve(to - from); err != nil {
			return err
		}
		space.Release(to - from)
	}
	if (mode == objstore.AllocateGrow || mode == objstore.ZeroRange) && to > st.view.size {
		if err := st.truncate(to); err != nil {
			return err
		}
	}
	if to = min(to, st.view.size); mode == objstore.PunchHole || mode == objstore.ZeroRange {
		if from < to {
			return st.zero(from, to)
		}
	}
	return nil
}

// zero makes [from, to) read as zeros.
func (st *Stage) zero(from, to int64) error {
	if err := st.append(logRecord{kind: recordZero, a: uint64(from), b: uint64(to - from)}); err != nil {
		return err
	}
	if l := st.current; l != nil && l.file != nil && l.inPlace(from) && from < l.end {
		if err := l.file.PunchHole(from, min(to, l.end)-from); err != nil {
			return disk.Error("punch hole in stage", err)
		}
		l.summer.Zeroed(from, to)
	}
	st.stream.touch(from, to)
	return st.view.zero(from, to, st.epoch, st.epoch != st.baseEpoch)
}

// zero puts zeros where the base has data, and nothing elsewhere. What changed before may be
// in a base to come, if there was a seal since this one: then that gets zeros too.
func (v *view) zero(from, to int64, epoch uint32, sealed bool) error {
	var hidden []segment
	v.segments(from, to, func(s segment) bool {
		if sealed {
			hidden = append(hidden, segment{off: s.off, n: s.n, epoch: epoch})
		}
		return true
	})
	v.remove(from, to)
	put := func(e extent.Extent) error {
		if e.Source.Kind != extent.Hole {
			v.put(segment{off: e.Off, n: e.Len, epoch: epoch})
		}
		return nil
	}
	if end := min(to, v.limit); from < end {
		if err := v.base.Extents(from, end-from, put); err != nil {
			return err
		}
	}
	for _, s := range hidden {
		v.put(s)
	}
	return nil
}

// NextData implements objstore.Stage.
func (st *Stage) NextData(_ context.Context, off int64) (int64, error) {
	return st.next(off, true)
}

// NextHole implements objstore.Stage.
func (st *Stage) NextHole(_ context.Context, off int64) (int64, error) {
	return st.next(off, false)
}

// next is the first offset from off on that is data or not, as asked.
func (st *Stage) next(off int64, wantData bool) (int64, error) {
	st.mu.RLock()
	defer st.mu.RUnlock()
	if st.closed {
		return 0, errClosed("seek in stage")
	}
	if off < 0 || off >= st.view.size {
		return 0, errNoneLeft()
	}
	found := int64(-1)
	err := st.view.extents(off, func(from, _ int64, data bool) bool {
		if data == wantData {
			found = from
		}
		return found < 0
	})
	switch {
	case err != nil:
		return 0, err
	case found >= 0:
		return found, nil
	case wantData:
		return 0, errNoneLeft()
	default:
		return st.view.size, nil
	}
}

func errNoneLeft() error {
	return &objstore.Error{Op: "seek in stage", Kind: objstore.ErrRange, Err: errors.New("nothing from there on")}
}
