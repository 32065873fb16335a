package badgerstore

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/marks"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// cureMark makes a new last commit, which is durable.
func cureMark() cure {
	return cure{stageRecords, "the commits are given up", func(m *mending) (bool, error) {
		mark := m.e.marks.Get().Durable
		v := m.e.view()
		_, at, err := m.e.sequenceAt(min(mark, v.ts))
		v.close()
		if readable(err) != nil || at == mark {
			return false, err
		}
		err = m.e.commit(m.ctx, objstore.Durable, true, func(t *tx) error {
			t.set([]byte{0}, nil)
			return nil
		})
		return err == nil, err
	}}
}

// cureNumber makes all numbers up to one such that were given out.
func cureNumber(n uint64) cure {
	return cure{stageRecords, "numbers begin after it", func(m *mending) (bool, error) {
		if n >= math.MaxInt64 {
			return false, nil
		}
		return true, m.e.numbers.skip(n)
	}}
}

// skip makes n one that was given out.
func (n *numbers) skip(number uint64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if number < n.limit.Load() {
		n.last.Store(max(n.last.Load(), number))
		return nil
	}
	limit := number + leaseNumbers
	if err := n.marks.Update(true, func(m *marks.Marks) { m.Lease = limit }); err != nil {
		return err
	}
	n.limit.Store(limit)
	n.last.Store(number)
	return nil
}

func cureChildren(d dirCount) cure {
	return cure{stageTotals, "they are counted anew", func(m *mending) (done bool, err error) {
		err = m.commit(func(t *tx) error {
			o, err := t.free(d.id)
			if err != nil || o == nil || !o.IsDir() {
				return err
			}
			done = true
			o = o.Clone()
			o.Children, o.Subdirs = d.entries, d.subdirs
			t.store(o)
			return nil
		})
		return done, err
	}}
}

func cureTotal(objects uint64) cure {
	return cure{stageTotals, "they are counted anew", func(m *mending) (bool, error) {
		m.e.objects.Store(int64(objects))
		return true, m.touch()
	}}
}

// cureExpiry removes an expiry of nothing.
func cureExpiry(key []byte) cure {
	key = slices.Clone(key)
	return cure{stageLost, "it is removed", func(m *mending) (bool, error) { return true, m.set(key, nil) }}
}

// cureOutcomes gives every outcome one expiry.
func cureOutcomes() cure {
	return cure{stageTotals, "each gets one", func(m *mending) (bool, error) {
		expiries, err := m.keys(record.ExpiryPrefix())
		if err != nil {
			return false, err
		}
		outcomes, err := m.keys([]byte{record.TagOutcome})
		if err != nil {
			return false, err
		}
		expires := map[string]bool{}
		return true, m.commit(func(t *tx) error {
			for _, key := range expiries {
				_, root, id := record.ParseExpiryKey(key)
				outcome := string(record.OutcomeKey(root, id))
				if expires[outcome] {
					t.set(key, nil)
				}
				expires[outcome] = true
			}
			for _, key := range outcomes {
				if !expires[string(key)] {
					expiry := record.ExpiryKey(t.now.Unix(), record.Number(key), string(key[9:]))
					t.set(expiry, raw(record.EncodeExpiry(expiry)))
				}
			}
			return nil
		})
	}}
}

// cureCount notes how often something is referred to.
func cureCount(r extent.Ref, n uint64) cure {
	return cure{stageReferences, "they are counted anew", func(m *mending) (bool, error) {
		return true, m.commit(func(t *tx) error {
			t.setCount(r, n)
			return nil
		})
	}}
}

// setCount notes how often something is referred to. What nothing refers to is
// not counted; but it may not be forgotten that one is referred to once.
func (t *tx) setCount(r extent.Ref, n uint64) {
	if n == 0 {
		t.set(record.RefsKey(uint8(r.Kind), r.ID), nil)
		return
	}
	t.setRefs(r, record.Refs{Count: n})
}

// cureFreed keeps a page that garbage is to remove although it is referred to.
func cureFreed(page extent.Ref, garbage, count uint64) cure {
	return cure{stageReferences, "the page is not removed", func(m *mending) (bool, error) {
		return true, m.commit(func(t *tx) error {
			t.setCount(page, count)
			return t.trim(garbage)
		})
	}}
}

// cureQueue takes out of a garbage record what it may not remove.
func cureQueue(garbage uint64) cure {
	return cure{stageReferences, "it is not removed", func(m *mending) (bool, error) {
		return true, m.commit(func(t *tx) error { return t.trim(garbage) })
	}}
}

func (t *tx) trim(number uint64) error {
	g, err := t.garbageOf(pending{number: number})
	if err != nil || g == nil {
		return err
	}
	c := *g
	c.Freed, c.Unlink = nil, nil
	for _, id := range g.Freed {
		refs, err := t.refs(extent.Ref{Kind: extent.RefPage, ID: id})
		if err != nil {
			return err
		}
		if refs.Garbage == number {
			c.Freed = append(c.Freed, id)
		}
	}
	for _, u := range g.Unlink {
		refs, err := t.refs(extent.Ref{Kind: extent.RefKind(u.Kind), ID: u.ID})
		if err != nil {
			return err
		}
		if refs.Count == 0 {
			c.Unlink = append(c.Unlink, u)
		}
	}
	if len(c.Freed)+len(c.Unlink)+len(c.Dropped) == 0 {
		t.set(record.GarbageKey(number), nil)
		return nil
	}
	t.set(record.GarbageKey(number), &c)
	return nil
}

// cureAllocated notes how many bytes of payloads a content takes.
func cureAllocated(key []byte, was record.Content, allocated int64) cure {
	key = slices.Clone(key)
	mend := func(c *record.Content) {
		if bytes.Equal(c.Root, was.Root) && c.Size == was.Size {
			c.Allocated = allocated
		}
	}
	return cure{stageOwners, fmt.Sprintf("it is noted that they take %d", allocated), func(m *mending) (bool, error) {
		value, err := m.get(key)
		if err != nil {
			return false, err
		}
		switch v := value.(type) {
		case *record.Object:
			c := v.Clone()
			mend(&c.Content)
			return true, m.set(key, c)
		case *record.Part:
			c := *v
			mend(&c.Content)
			return true, m.set(key, &c)
		case *record.Conflict:
			c := *v
			mend(&c.Mine.Content)
			mend(&c.Base.Content)
			mend(&c.Theirs.Content)
			return true, m.set(key, &c)
		}
		return false, nil
	}}
}
