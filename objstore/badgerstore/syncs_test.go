package badgerstore

import (
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// C8: a commit is made durable though nobody waits for that, and none comes after it; so is one after that.
func TestCommitNobodyWaitsForIsMadeDurable(t *testing.T) {
	e := openTest(t, testDir(t), Options{Create: true})
	for _, name := range []string{"first", "second"} {
		if _, err := mainBucket(t, e).Make(t.Context(), objstore.MakeRequest{
			Parent: mainBucket(t, e).Root(), Name: name, Type: objstore.TypeDir, Durability: objstore.Visible,
		}); err != nil {
			t.Fatal(err)
		}
		awaitSync(t, e.syncer, e.published.Load())
	}
}

// awaitSync returns once commits up to ts are durable, without asking for that.
func awaitSync(t *testing.T, s *syncer, ts uint64) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		s.mu.Lock()
		durable, finished := s.durable, s.finished
		s.mu.Unlock()
		if durable >= ts {
			return
		}
		select {
		case <-finished:
		case <-late:
			t.Fatalf("commits up to %d are durable, and nobody syncs %d", durable, ts)
		}
	}
}
