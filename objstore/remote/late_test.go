package remote

import (
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/locks"
)

// Locks are reclaimed only by who knows that its server had not given them up before it was gone: it was heard of within
// every lease, or the server was not there any more.
func TestLocksOfWhoWasSilentForALeaseAreNotReclaimed(t *testing.T) {
	lock := locks.Lock{Owner: locks.Owner{ID: 1}, End: 9, Exclusive: true}
	for name, c := range map[string]struct {
		heard []int // seconds after the lock was granted
		want  int
	}{
		"heard of within each lease":       {[]int{2, 4, 9, 13}, 1},
		"silent for longer than one lease": {[]int{2, 8, 9}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			before, start := &session{}, time.Now()
			l := &locker{s: &Store{}, objects: make(map[objstore.ID]*locked), lease: 5 * time.Second, renewing: true}
			l.hear(start)
			l.took(7, lock, before, 3)
			for _, s := range c.heard {
				l.hear(start.Add(time.Duration(s) * time.Second))
			}
			if got := l.reclaimable(before); len(got) != c.want {
				t.Errorf("%d locks are asked for", len(got))
			}
			if got := l.reclaimable(&session{}); len(got) != 0 {
				t.Errorf("%d locks of an earlier session are asked for", len(got))
			}
			l.took(8, lock, before, 4)
			if got := l.reclaimable(before); len(got) != 1 || got[0].Object != 8 {
				t.Errorf("after a lock of another fence was granted %+v are asked for", got)
			}
		})
	}
}
