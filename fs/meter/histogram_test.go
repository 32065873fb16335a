package meter

import (
	"testing"
	"time"
)

func TestDurationsAreCountedInTheBucketWhoseBoundTheyDoNotExceed(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want int
	}{
		{-time.Second, 0},
		{0, 0},
		{time.Microsecond, 0},
		{time.Microsecond + 1, 1},
		{2 * time.Microsecond, 1},
		{2*time.Microsecond + 1, 2},
		{Bound(Buckets - 2), Buckets - 2},
		{Bound(Buckets-2) + 1, Buckets - 1},
		{time.Hour, Buckets - 1},
	} {
		var h Histogram
		h.Observe(c.d)
		got := h.Read()
		if got.Counts[c.want] != 1 || got.Count() != 1 || got.Sum != max(c.d, 0) {
			t.Errorf("%v: %+v, want one in bucket %d", c.d, got, c.want)
		}
	}
}

func TestObservingAllocatesNothing(t *testing.T) {
	var h Histogram
	if n := testing.AllocsPerRun(100, func() { h.Observe(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h.Observe(time.Millisecond)
		}
	})
}
