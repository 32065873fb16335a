package staging

import (
	"errors"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// Committed says that the commit succeeded: base is the committed content, owner.Base its
// version. The stage goes on from there with what was written since the seal. The base it had is no longer used,
// unless there is an error: then it takes that base to make sense of the stage after a crash.
func (se *Sealed) Committed(owner objstore.Owner, base Base) error {
	defer func() { <-se.stage.token }()
	return disk.Error("finish commit", errors.Join(se.stage.rebase(se, owner, base), se.dropOwn()))
}

// Failed says that it did not: the stage is as before.
func (se *Sealed) Failed() {
	_ = se.dropOwn() // the sweep of the session finds what stays
	<-se.stage.token
}

func (se *Sealed) dropOwn() error {
	var err error
	for _, l := range []*layer{se.ownFile, se.gathered} {
		if l != nil {
			err = errors.Join(err, l.drop())
		}
	}
	return err
}

func (st *Stage) rebase(se *Sealed, owner objstore.Owner, base Base) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.owner, st.clean = owner, se.changes
	st.view.base = base
	st.view.limit = min(st.view.baseSize(), st.lowest, st.view.size)
	st.baseEpoch = st.epoch
	unused := st.forgetUnused(st.view.dropUpTo(se.epoch))
	var err error
	if st.view.untouched() || base == nil && st.view.size == 0 {
		st.clean = st.changes // what came since the seal, if anything, left no trace
		err = st.log.clear()
	} else {
		err = st.relog()
	}
	if err == nil { // else a log that names them is still there
		err = dropAll(unused)
	}
	st.endLoans()
	st.checkInvariants()
	return err
}

func dropAll(layers []*layer) error {
	var err error
	for _, l := range layers {
		err = errors.Join(err, l.drop())
	}
	return err
}

// dropUpTo forgets the segments of a committed epoch, and returns the layers of others.
func (v *view) dropUpTo(epoch uint32) map[*layer]bool {
	used := make(map[*layer]bool)
	for k, b := range v.blocks {
		left := &block{digest: b.digest, digestBytes: b.digestBytes}
		for _, s := range b.segments {
			if s.epoch > epoch {
				left.segments = append(left.segments, s)
				used[s.layer] = true
			}
		}
		if v.blocks[k] = left; len(left.segments) == 0 {
			delete(v.blocks, k)
		}
	}
	return used
}

// forgetUnused returns the layers that are not in use, which are to be dropped.
func (st *Stage) forgetUnused(used map[*layer]bool) (unused []*layer) {
	var layers []*layer
	for _, l := range st.layers {
		if used[l] {
			layers = append(layers, l)
		} else {
			unused = append(unused, l)
		}
	}
	if !used[st.current] {
		st.current = nil
	}
	st.layers = layers
	return unused
}

// relog writes a new log of what is changed over the new base, and then forgets the old
// one, which goes on if that fails. Found both after a crash, they say the same: nobody sees a part of the new one.
func (st *Stage) relog() error {
	old := st.log
	st.log = stageLog{session: st.session, muted: old.muted, hidden: true}
	err := st.append(logRecord{kind: recordSize, a: uint64(st.view.limit)})
	if err == nil {
		err = st.append(logRecord{kind: recordSize, a: uint64(st.view.size)})
	}
	st.view.segments(0, st.view.size, func(s segment) bool {
		if err == nil {
			err = st.append(s.record())
		}
		return err == nil
	})
	if err == nil {
		err = st.log.reveal()
	}
	if err != nil {
		err = errors.Join(err, st.log.clear())
		st.log = old
		return err
	}
	for _, l := range st.layers {
		l.whole = false // one made since the seal: the new log says what it has, and will
	}
	return old.clear()
}

// record is what a log says of s.
func (s segment) record() logRecord {
	switch {
	case s.layer == nil:
		return logRecord{kind: recordZero, a: uint64(s.off), b: uint64(s.n)}
	case s.layer.file == nil:
		return logRecord{kind: recordData, a: uint64(s.off), data: s.layer.memory[s.src : s.src+s.n]}
	default:
		return logRecord{kind: recordRange, a: uint64(s.off), b: uint64(s.n), c: s.layer.id, d: uint64(s.src)}
	}
}
