package badgerstore

import (
	"maps"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// verifier lets Badger compact, but only tables whose blocks it has just verified: what goes bad in a table while the
// store is open is found before a compaction reads it. While no level is full enough Badger's compactions are held.
type verifier struct {
	e     *Engine
	stop  chan struct{}
	done  chan struct{}
	asked chan flattening // to compact everything

	// Of run alone.
	verified map[uint64]time.Time // when
	told     map[uint64]bool      // that it is damaged, in a record at least
}

const (
	// looksEvery is how long it takes to see that a level is full: as often as Badger looks.
	looksEvery = 50 * time.Millisecond
	// looksSeldom is the same while no level is fullSoon: a store nobody writes to shall cost nothing.
	looksSeldom = 500 * time.Millisecond
	// compactsLonger is how many looks compactions go on without a full level: Badger takes up to a second to begin.
	compactsLonger = 40
	// verifiedLasts is how long a table need not be verified again before it is compacted.
	verifiedLasts = time.Minute
	// fullSoon is how full a level is whose tables are verified although none of it is compacted yet.
	fullSoon = 0.7
)

// newVerifier verifies tables in the background, and from then on what is to be compacted.
func newVerifier(e *Engine, tables []uint64) *verifier {
	v := &verifier{
		e: e, stop: make(chan struct{}), done: make(chan struct{}), asked: make(chan flattening),
		verified: map[uint64]time.Time{}, told: map[uint64]bool{},
	}
	e.compactions.hold()
	go v.run(tables)
	return v
}

// run ends at a table that is unusable, with compactions forbidden, or when it is stopped.
func (v *verifier) run(tables []uint64) {
	defer close(v.done)
	defer v.e.compactions.release()
	ok := v.verify(tables)
	for ok && v.verify(v.candidates(1)) {
		switch full, _ := v.e.fullness(); {
		case full < fullSoon:
			ok = v.wait(looksSeldom)
			continue
		case full < 1:
			ok = v.wait(looksEvery)
			continue
		}
		v.e.compactions.release()
		if ok = v.besideCompactions(); ok {
			v.e.compactions.hold()
		}
	}
}

// besideCompactions returns when there is nothing to compact any more, and false if there must not be.
func (v *verifier) besideCompactions() bool {
	for idle := 0; idle < compactsLonger; idle++ {
		if !v.wait(looksEvery) || !v.verify(v.candidates(fullSoon)) {
			return false
		}
		if full, _ := v.e.fullness(); full >= 1 {
			idle = 0
		}
	}
	return true
}

// wait also does what is asked for. It returns false if the verifier is stopped, or there are no compactions any more.
func (v *verifier) wait(until time.Duration) bool {
	next := time.NewTimer(until)
	defer next.Stop()
	select {
	case <-v.stop:
		return false
	case f := <-v.asked:
		err, ok := v.flattenAll(f.done)
		f.answer <- err
		return ok
	case <-next.C:
		return !v.e.compactions.areForbidden()
	}
}

// candidates are the tables that may be compacted next, but for those verified lately, if levels are at least that full.
func (v *verifier) candidates(full float64) (ids []uint64) {
	most, levels := v.e.fullness()
	if most < full {
		return nil
	}
	tables := v.e.compactions.all()
	now := time.Now()
	maps.DeleteFunc(v.verified, func(_ uint64, at time.Time) bool { return now.Sub(at) > verifiedLasts })
	for _, id := range nextCompacted(levels, tables, full, v.e.sizes.compactors+2) {
		if _, ok := v.verified[id]; !ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// verify returns false if one of the tables is unusable, or the verifier is stopped.
func (v *verifier) verify(tables []uint64) bool {
	for _, id := range tables {
		select {
		case <-v.stop:
			return false
		default:
		}
		if !v.isUsable(id) {
			return false
		}
		v.verified[id] = time.Now()
	}
	return true
}

func (v *verifier) isUsable(id uint64) bool {
	r, err := inspectTable(v.e.path(badgerName), id, v.e.badgerOptions(nil), true)
	if v.e.compactions.isGone(id) {
		return true // it was compacted, and removed
	}
	switch {
	case err != nil:
		v.e.distrust(disk.Error("verify "+tableName(id), err))
		return false
	case r.unusable != "":
		v.e.distrust(damaged("%s", r.unusable))
		return false
	case r.damaged != "" && !v.told[id]:
		v.told[id] = true
		v.e.log.Error("a table is damaged, in a record at least: a check lists what is lost", "damage", r.damaged)
	}
	return true
}

// level is what decides when Badger compacts a level.
type level struct {
	full   float64 // from 1 on it is compacted
	isBase bool    // what level 0 is compacted into
}

// fullness is how full the levels are, and the fullest of them.
func (e *Engine) fullness() (most float64, levels []level) {
	infos := e.compactions.levels()
	for i, in := range infos {
		l := level{isBase: in.IsBaseLevel}
		switch {
		case i == 0:
			l.full = float64(in.NumTables) / float64(e.sizes.tablesL0)
		case i < len(infos)-1 && in.TargetSize > 0:
			l.full = float64(in.Size) / float64(in.TargetSize)
		}
		most = max(most, l.full)
		levels = append(levels, l)
	}
	return most, levels
}

// nextCompacted are the tables that Badger compacts next: all of level 0; of another the oldest few; and what
// they overlap with in the level they go to.
func nextCompacted(levels []level, tables []badger.TableInfo, full float64, oldest int) (ids []uint64) {
	for i, l := range levels {
		if l.full < full {
			continue
		}
		top, into := tablesOf(tables, i), i+1
		if i == 0 {
			into = slices.IndexFunc(levels, func(l level) bool { return l.isBase })
		} else {
			slices.SortFunc(top, func(a, b badger.TableInfo) int { return int(a.MaxVersion) - int(b.MaxVersion) })
			top = top[:min(oldest, len(top))]
		}
		for _, t := range top {
			ids = append(ids, t.ID)
		}
		for _, t := range tablesOf(tables, into) {
			if slices.ContainsFunc(top, func(o badger.TableInfo) bool { return tablesOverlap(o, t) }) {
				ids = append(ids, t.ID)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// close waits for the table that is being read.
func (v *verifier) close() {
	close(v.stop)
	<-v.done
}
