package badgerstore

import (
	"sync"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/marks"
)

// leaseNumbers is how many numbers are leased at a time: a crash loses at most that many.
const leaseNumbers = 1 << 20

// numbers gives out ids and versions. They are leased, durably, before use, so
// that none is ever given out twice, not even if the power goes and commits with it.
type numbers struct {
	marks *marks.File

	last  atomic.Uint64 // given out
	limit atomic.Uint64 // leased, exclusive

	mu sync.Mutex // serialises leases
}

func newNumbers(m *marks.File) *numbers {
	n := &numbers{marks: m}
	lease := m.Get().Lease
	n.last.Store(lease - 1)
	n.limit.Store(lease)
	return n
}

// next is a number nobody has. An error means that the lease could not be made durable.
func (n *numbers) next() (uint64, error) {
	number := n.last.Add(1)
	if number < n.limit.Load() {
		return number, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for number >= n.limit.Load() {
		limit := n.limit.Load() + leaseNumbers
		if err := n.marks.Update(true, func(m *marks.Marks) { m.Lease = limit }); err != nil {
			return 0, err
		}
		n.limit.Store(limit)
	}
	return number, nil
}

// wasGiven reports whether number has been given out.
func (n *numbers) wasGiven(number uint64) bool { return number != 0 && number <= n.last.Load() }
