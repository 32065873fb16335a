package locks

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

const (
	modelBytes   = 12
	modelObjects = 3
)

// hold is what an owner has on a byte: 0 nothing, 1 shared, 2 exclusive.
type modelState map[objstore.ID]*[modelBytes]map[Owner]int

// model is locks byte by byte, without waits.
type model struct{ state modelState }

func newModel() *model {
	m := &model{make(modelState)}
	for id := range objstore.ID(modelObjects) {
		m.state[id] = new([modelBytes]map[Owner]int)
		for i := range modelBytes {
			m.state[id][i] = make(map[Owner]int)
		}
	}
	return m
}

func (m *model) free(id objstore.ID, k Lock) bool {
	for i := k.Start; i <= min(k.End, modelBytes-1); i++ {
		for owner, has := range m.state[id][i] {
			if owner != k.Owner && owner.Flock == k.Owner.Flock && (k.Exclusive || has == 2) {
				return false
			}
		}
	}
	return true
}

func (m *model) set(id objstore.ID, k Lock, has int) {
	for i := k.Start; i <= min(k.End, modelBytes-1); i++ {
		delete(m.state[id][i], k.Owner)
		if has != 0 {
			m.state[id][i][k.Owner] = has
		}
	}
}

func (m *model) take(id objstore.ID, k Lock) {
	has := 1
	if k.Exclusive {
		has = 2
	}
	m.set(id, k, has)
}

// convert is what flock(2) gives up to get a lock of the other kind.
func (m *model) convert(id objstore.ID, k Lock) {
	if has := m.state[id][0][k.Owner]; k.Owner.Flock && has != 0 && (has == 2) != k.Exclusive {
		m.set(id, k, 0)
	}
}

// check compares what the table holds.
func (m *model) check(t *testing.T, table *Table) {
	t.Helper()
	for id := range m.state {
		for i := range uint64(modelBytes) {
			for owner := range owners() {
				any, exclusive := table.holds(id, Lock{Owner: owner, Start: i, End: i})
				has := m.state[id][i][owner]
				if any != (has > 0) || exclusive != (has == 2) {
					t.Fatalf("object %d byte %d owner %v: held %v, exclusive %v, want %d", id, i, owner, any, exclusive, has)
				}
			}
		}
	}
}

func owners() map[Owner]uint32 {
	all := make(map[Owner]uint32)
	for id := range uint64(4) {
		all[Owner{ID: id}] = uint32(id % 3) // one of no known process, two of one
		all[Owner{ID: id, Flock: true}] = uint32(id % 3)
	}
	return all
}

func randomLock(r *rand.Rand) (objstore.ID, Lock) {
	owner := Owner{ID: r.Uint64N(4), Flock: r.IntN(3) == 0}
	k := Lock{Owner: owner, Process: owners()[owner], Exclusive: r.IntN(2) == 0, End: math.MaxUint64}
	if !owner.Flock {
		k.Start = r.Uint64N(modelBytes)
		if end := k.Start + r.Uint64N(modelBytes-k.Start); end < modelBytes-1 {
			k.End = end // the last byte of the model stands for all that follow
		}
	}
	return objstore.ID(r.IntN(modelObjects)), k
}

func (m *model) run(t *testing.T, table *Table, r *rand.Rand) {
	id, k := randomLock(r)
	switch r.IntN(8) {
	case 0, 1, 2, 3:
		m.convert(id, k)
		want := m.free(id, k)
		if want {
			m.take(id, k)
		}
		if _, got := table.try(id, k); got != want {
			t.Fatalf("TryLock(%d, %+v) = %v", id, k, got)
		}
	case 4, 5:
		m.set(id, k, 0)
		table.unlock(id, k)
	case 6:
		m.set(id, Whole(k.Owner), 0)
		table.unlock(id, Whole(k.Owner))
	default:
		other, found := table.conflict(id, k)
		if found == m.free(id, k) || found && !other.conflicts(k) {
			t.Fatalf("Conflict(%d, %+v) = %+v, %v", id, k, other, found)
		}
	}
	m.check(t, table)
	table.checkInvariants(t)
}

func TestTableIsItsModel(t *testing.T) {
	for range 25 {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		m, table := newModel(), New()
		for range 200 {
			m.run(t, table, r)
		}
	}
}

// TestWaitsAreGrantedAsSoonAsTheyCanBe lets owners of one lock at a time wait, give up and release at random. Whatever is
// granted is so in the model; that nothing waits in vain is an invariant.
func TestWaitsAreGrantedAsSoonAsTheyCanBe(t *testing.T) {
	for range 25 {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		m, table := newModel(), New()
		var waits []*Wait
		for range 200 {
			id, k := randomLock(r)
			switch r.IntN(4) {
			case 0:
				m.set(id, Whole(k.Owner), 0)
				table.unlock(id, Whole(k.Owner))
			case 1:
				if len(waits) > 0 {
					w := waits[r.IntN(len(waits))]
					if err := table.withdraw(w, context.Canceled); err != nil {
						waits = remove(waits, w)
					}
				}
			default:
				if waitsFor(waits, k.Owner) {
					continue // one thread each
				}
				m.convert(id, k)
				w, err := table.request(id, k)
				if errors.Is(err, ErrDeadlock) {
					continue
				}
				waits = append(waits, w)
			}
			waits = m.collect(t, waits)
			m.check(t, table)
			table.checkInvariants(t)
		}
	}
}

func remove(waits []*Wait, w *Wait) (left []*Wait) {
	for _, other := range waits {
		if other != w {
			left = append(left, other)
		}
	}
	return left
}

func waitsFor(waits []*Wait, owner Owner) bool {
	for _, w := range waits {
		if w.lock.Owner == owner {
			return true
		}
	}
	return false
}

// collect takes the waits that were granted, in an order in which that was possible.
func (m *model) collect(t *testing.T, waits []*Wait) (left []*Wait) {
	t.Helper()
	var taken []*Wait
	for _, w := range waits {
		if isGranted(w) {
			taken = append(taken, w)
		} else {
			left = append(left, w)
		}
	}
	for len(taken) > 0 {
		i := slices.IndexFunc(taken, func(w *Wait) bool { return m.free(w.object.id, w.lock) })
		if i < 0 {
			t.Fatalf("%+v was granted beside another", taken[0].lock)
		}
		m.take(taken[i].object.id, taken[i].lock)
		taken = slices.Delete(taken, i, i+1)
	}
	return left
}
