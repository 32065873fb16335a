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
	return st.change(ctx, "truncate stage", func() (bool, error) { return true, st.truncate(size) })
}

// change does what changes size or zeros, with mu held. do says whether it had anything to change.
func (st *Stage) change(ctx context.Context, op string, do func() (bool, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return errClosed(op)
	}
	if err := st.session.admit(recordBytes); err != nil {
		return err
	}
	changed, err := do()
	if err != nil {
		return err
	}
	if changed {
		st.changes++
	}
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
	switch mode {
	case objstore.AllocateKeepSize:
		return st.admitOnly(length)
	case objstore.AllocateGrow, objstore.PunchHole, objstore.ZeroRange:
		return st.change(ctx, op, func() (bool, error) { return st.allocate(off, off+length, mode) })
	default:
		return &objstore.Error{Op: op, Kind: objstore.ErrInvalid, Detail: "no such mode"}
	}
}

// admitOnly says whether there is space now. Blocks are not held for later: a stage is committed
// by the extents it has.
func (st *Stage) admitOnly(n int64) error {
	space := st.session.opt.Space
	err := space.Reserve(n)
	if err == nil {
		space.Release(n)
	}
	return err
}

func (st *Stage) allocate(from, to int64, mode objstore.AllocateMode) (changed bool, err error) {
	if mode == objstore.AllocateGrow {
		err = st.admitOnly(to - from)
	}
	if err == nil && mode != objstore.PunchHole && to > st.view.size {
		changed = true
		err = st.truncate(to)
	}
	if to = min(to, st.view.size); err == nil && mode != objstore.AllocateGrow && from < to {
		changed = true
		err = st.zero(from, to)
	}
	return changed, err
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
