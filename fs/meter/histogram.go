package meter

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Buckets are how many there are: durations up to 1 µs, 2 µs, 4 µs and so on, and a last one for all that are longer.
const Buckets = 26

// Bound is the longest duration of a bucket but the last.
func Bound(bucket int) time.Duration { return time.Microsecond << bucket }

// Histogram counts durations. The zero value is ready; it must not be copied.
type Histogram struct {
	buckets     [Buckets]atomic.Uint64
	nanoseconds atomic.Uint64
}

// Observe counts one duration; a negative one is 0.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	h.buckets[bucketOf(d)].Add(1)
	h.nanoseconds.Add(uint64(d))
}

func bucketOf(d time.Duration) int {
	if d <= time.Microsecond {
		return 0
	}
	return min(bits.Len64((uint64(d)-1)/uint64(time.Microsecond)), Buckets-1)
}

// Distribution is what a histogram has counted.
type Distribution struct {
	Counts [Buckets]uint64 // of each bucket alone
	Sum    time.Duration
}

// Read returns what was counted so far.
func (h *Histogram) Read() Distribution {
	d := Distribution{Sum: time.Duration(h.nanoseconds.Load())}
	for i := range h.buckets {
		d.Counts[i] = h.buckets[i].Load()
	}
	return d
}

// Count is how many durations were counted.
func (d Distribution) Count() uint64 {
	var n uint64
	for _, count := range d.Counts {
		n += count
	}
	return n
}
