package badgerstore

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// putOld makes an object of a size with bytes, and returns what it is.
func putOld(t *testing.T, b *Bucket, key objstore.Key, body string) objstore.Info {
	t.Helper()
	putSmall(t, b, key, body)
	info, err := b.Head(t.Context(), key)
	must(t, err)
	return info
}

// wantsReopened checks whether a version of an object can be opened again.
func wantsReopened(t *testing.T, b *Bucket, old objstore.Info, body string) {
	t.Helper()
	r, err := b.Reopen(t.Context(), old.ID, old.Version)
	if err != nil {
		t.Errorf("reopen: %v", err)
		return
	}
	p, err := io.ReadAll(r.Stream(t.Context(), 0, -1))
	if err != nil || string(p) != body || r.Info().Version != old.Version || r.Info().ETag != old.ETag || r.Info().Size != old.Size {
		t.Errorf("%d bytes of %+v were read (%v), not %d of %+v", len(p), r.Info(), err, len(body), old)
	}
	must(t, r.Close())
}

func wantsGone(t *testing.T, b *Bucket, old objstore.Info) {
	t.Helper()
	if r, err := b.Reopen(t.Context(), old.ID, old.Version); !objstore.IsLostCondition(err) && !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("reopen: %v, %v", r, err)
	}
}

// sides are contents of every way in which they are kept.
func sides() map[string]string {
	return map[string]string{"inline": "old", "blob": strings.Repeat("old ", 100_000), "many blocks": strings.Repeat("old content ", 1<<20)}
}

// C2: what a client reads can be opened again in the next process, if it was replaced or removed in the last or
// in the next before the client came back, and is garbage once nobody is expected and nobody reads it.
func TestC2VersionsOfClientsOutliveTheProcess(t *testing.T) {
	for name, body := range sides() {
		t.Run(name, func(t *testing.T) {
			dir := testDir(t)
			e := openTest(t, dir, Options{Create: true})
			b := mainBucket(t, e)
			e.ClientCame()
			replaced, removed, later := putOld(t, b, "replaced", body), putOld(t, b, "removed", body), putOld(t, b, "later", body)
			hold := func(info objstore.Info) objstore.Reader {
				r, err := b.Open(t.Context(), info.ID, info.Version)
				must(t, err)
				return r
			}
			readers := []objstore.Reader{hold(replaced), hold(removed), hold(later)}
			putSmall(t, b, "replaced", "new")
			must(t, b.Delete(t.Context(), "removed", objstore.Unconditional(), objstore.DeleteOptions{}))
			e.Retain()
			for _, r := range readers {
				must(t, r.Close())
			}
			collectAll(t, e)
			must(t, e.Close())

			e = openTest(t, dir, Options{})
			b = mainBucket(t, e)
			if !e.ClientsExpected() {
				t.Fatal("the next process expects nobody")
			}
			putSmall(t, b, "later", "new")
			collectAll(t, e)
			for _, old := range []objstore.Info{replaced, removed, later} {
				wantsReopened(t, b, old, body)
			}
			r, err := b.Reopen(t.Context(), replaced.ID, replaced.Version)
			must(t, err)
			e.ForgetClients()
			collectAll(t, e)
			if p, err := io.ReadAll(r.Stream(t.Context(), 0, -1)); err != nil || string(p) != body {
				t.Errorf("what was reopened in time: %d bytes, %v", len(p), err)
			}
			must(t, r.Close())
			collectAll(t, e)
			for _, old := range []objstore.Info{replaced, removed, later} {
				wantsGone(t, b, old)
			}
			must(t, e.checkInvariants())
		})
	}
}

func TestStoreWithoutClientsExpectsNobody(t *testing.T) {
	dir := testDir(t)
	e := openTest(t, dir, Options{Create: true})
	e.ClientCame()
	e.ClientCame()
	e.ClientWent()
	if _, err := os.Stat(filepath.Join(dir, clientsName)); err != nil {
		t.Errorf("with a client left: %v", err)
	}
	e.ClientWent()
	must(t, e.Close())
	e = openTest(t, dir, Options{})
	if e.ClientsExpected() {
		t.Error("clients that went are expected")
	}
	b := mainBucket(t, e)
	old := putOld(t, b, "k", "old")
	putSmall(t, b, "k", "new")
	wantsGone(t, b, old)
}

// Processes that open the store for a moment do not let clients back in: they expect them and leave it so, for an hour.
func TestClientsAreExpectedForAnHourByWhoNeverHearsOfThem(t *testing.T) {
	dir, now := testDir(t), time.Unix(1_700_000_000, 0)
	open := func() *Engine {
		parts := testParts(t)
		parts.Clock = func() time.Time { return now }
		e, err := Open(t.Context(), dir, Options{Create: true}, parts)
		must(t, err)
		return e
	}
	e := open()
	e.ClientCame()
	must(t, e.Close())
	for _, step := range []struct {
		passes time.Duration
		want   bool
	}{{24 * time.Hour, true}, {time.Minute, true}, {58 * time.Minute, true}, {2 * time.Minute, false}, {0, false}} {
		now = now.Add(step.passes)
		e := open()
		if got := e.ClientsExpected(); got != step.want {
			t.Errorf("%v later clients are expected: %v", step.passes, got)
		}
		must(t, e.Close())
	}
}
