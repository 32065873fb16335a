package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
)

// scrub is all that a scrub finds.
func (e *Engine) scrub(ctx context.Context, opt ScrubOptions) (s Scrubbed, all []Finding, err error) {
	s, err = e.Scrub(ctx, opt, nil, func(f Finding) error {
		all = append(all, f)
		return nil
	})
	return s, all, err
}

// A scrub of a whole store reads all of it, finds nothing, and says when that was.
func TestScrubOfAWholeStoreFindsNothing(t *testing.T) {
	e := openTest(t, makeVariedStore(t), Options{})
	before := time.Now()
	s, all, err := e.scrub(t.Context(), ScrubOptions{})
	must(t, err)
	if len(all) > 0 || s.Bytes < 4<<20 || s.Ended.Before(before) || !s.Complete.Equal(s.Begun) {
		t.Errorf("%+v, %v", s, all)
	}
	last, err := e.LastScrub()
	must(t, err)
	if last.Bytes != s.Bytes || !last.Ended.Equal(s.Ended) {
		t.Errorf("noted is %+v, not %+v", last, s)
	}
}

// C11: whatever bit of whatever payload file is flipped, or where it is cut off, or if it is gone: a scrub of the store that is
// in use reports it and names the file, and so does a check that reads all bytes.
func TestScrubAndCheckReportEveryFlippedBitOfABlob(t *testing.T) {
	good := makeVariedStore(t)
	seed := testSeed(t)
	random := rand.New(rand.NewPCG(seed, 0))
	var blobs []string
	for _, path := range filesIn(t, filepath.Join(good, blobsName)) {
		blobs = append(blobs, strings.TrimPrefix(path, good))
	}
	rounds := 3 * len(blobs)
	if os.Getenv("ETAGFS_LONG") != "" {
		rounds *= 40
	}
	for i := range rounds {
		dir := filepath.Join(testDir(t), "store")
		must(t, copyStore(good, dir))
		e, err := Open(t.Context(), dir, Options{}, testParts(t))
		must(t, err)
		path := filepath.Join(dir, blobs[i%len(blobs)])
		what := fmt.Sprintf("seed %d, round %d, %s: ", seed, i, path)
		if i < len(blobs) {
			must(t, os.Remove(path))
			what += "removed"
		} else {
			what += harm(t, random, path)
		}
		wantReported(t, e, strings.TrimSuffix(filepath.Base(path), ".sum"), what)
		must(t, errors.Join(e.Close(), os.RemoveAll(filepath.Dir(dir))))
	}
}

// wantReported wants one blob to be reported.
func wantReported(t *testing.T, e *Engine, name, what string) {
	t.Helper()
	s, all, err := e.scrub(t.Context(), ScrubOptions{})
	must(t, err)
	if len(all) != 1 || !all[0].Kind.IsDamage() || !strings.HasSuffix(all[0].Text, "/"+name) || s.Damage != 1 {
		t.Errorf("%s: a scrub found %v", what, all)
	}
	all, err = e.findings(CheckOptions{Payload: true})
	must(t, err)
	for _, f := range all {
		if f.Kind.IsDamage() {
			return
		}
	}
	t.Errorf("%s: a check found %v", what, all)
}

// openWithTable is a new store that has made a table, and where it is.
func openWithTable(t *testing.T) (*Engine, string) {
	t.Helper()
	parts := testParts(t)
	parts.sizes = smallSizes()
	dir := filepath.Join(testDir(t), "store")
	e, err := Open(t.Context(), dir, Options{Create: true}, parts)
	must(t, err)
	load := &tableLoad{e: e, b: mainBucket(t, e), want: map[objstore.Key]byte{}}
	must(t, load.until(func() bool { return e.db.Levels()[0].NumTables >= 1 }))
	return e, dir
}

// C11: a flipped bit of a block of a table is reported by a scrub of the store that is in use.
func TestScrubReportsFlippedBitsOfTables(t *testing.T) {
	e, dir := openWithTable(t)
	e.verifier.close()                                                 // so that the table stays where it is
	defer func() { e.verifier = newVerifier(e, nil); _ = e.Close() }() // of a damaged store
	name, _ := oneTable(t, dir)
	p, err := os.ReadFile(name)
	must(t, err)
	random := rand.New(rand.NewPCG(testSeed(t), 0))
	for _, at := range tableBytes(p, random) {
		bit := byte(1) << random.IntN(8)
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteAt([]byte{p[at.off] ^ bit}, at.off)
		must(t, err)
		_, all, err := e.scrub(t.Context(), ScrubOptions{})
		if err != nil || len(all) != 1 || all[0].Kind != FindingTable || !strings.Contains(all[0].Text, filepath.Base(name)) {
			t.Errorf("%s at %d: %v, %v", at.kind, at.off, all, err)
		}
		_, err = f.WriteAt(p[at.off:at.off+1], at.off)
		must(t, errors.Join(err, f.Close()))
	}
}

// A scrub that ends early is gone on with where it was.
func TestScrubGoesOnWhereItEnded(t *testing.T) {
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true})
	b := mainBucket(t, e)
	const blobs, blobBytes = 10, 100 << 10
	for i := range blobs {
		mustPut(t, b, objstore.Key(fmt.Sprint(i)), bytes.Repeat([]byte{byte(i)}, blobBytes))
	}
	ctx, cancel := context.WithCancel(t.Context())
	first, err := e.Scrub(ctx, ScrubOptions{}, func(done, _ int64) {
		if done >= 4*blobBytes {
			cancel()
		}
	}, func(f Finding) error { return errors.New(f.Text) })
	if !errors.Is(err, context.Canceled) || !first.Ended.IsZero() || first.Next == 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	second, all, err := e.scrub(t.Context(), ScrubOptions{Resume: true})
	must(t, err)
	if len(all) > 0 || !second.Begun.Equal(first.Begun) || second.Bytes < blobs*blobBytes || second.Bytes > (blobs+3)*blobBytes {
		t.Errorf("%+v, %v", second, all)
	}
}

// A scrub keeps to its rate: by its clock, which goes on by as much as it waits, it takes as long as its bytes should.
func TestScrubKeepsToItsRate(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	parts := testParts(t)
	parts.Clock = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	parts.after = func(d time.Duration, f func()) {
		mu.Lock()
		now = now.Add(d)
		mu.Unlock()
		f()
	}
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	must(t, err)
	defer func() { must(t, e.Close()) }()
	b := mainBucket(t, e)
	const blobs, blobBytes, rateBytes = 10, 100 << 10, 50 << 10
	for i := range blobs {
		mustPut(t, b, objstore.Key(fmt.Sprint(i)), bytes.Repeat([]byte{byte(i)}, blobBytes))
	}
	s, _, err := e.scrub(t.Context(), ScrubOptions{RateBytes: rateBytes})
	must(t, err)
	want := time.Duration(float64(s.Bytes) / rateBytes * float64(time.Second))
	if took := s.Ended.Sub(s.Begun); s.Bytes < blobs*blobBytes || (took-want).Abs() > time.Millisecond {
		t.Errorf("%d bytes took %v, want %v", s.Bytes, took, want)
	}
}

// What a scrub found to be whole may be sent by the kernel for as long as ScrubAge says, without another look.
func TestScrubbedBlobIsTrustedForScrubAge(t *testing.T) {
	clock := movedClock{began: time.Now()}
	parts := testParts(t)
	parts.Clock = clock.now
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true, ScrubAge: time.Hour}, parts)
	must(t, err)
	defer func() { must(t, e.Close()) }()
	mustPut(t, mainBucket(t, e), "large", make([]byte, 10<<20))
	var ref blobRef
	must(t, e.blobs.Orphans(0, func(r blobRef) error { ref = r; return nil }))
	sent := func() bool {
		f, ok := e.blobs.OpenChecked(t.Context(), ref, 0, 10<<20)
		if ok {
			must(t, f.Close())
		}
		return ok
	}
	e.blobs.DropCache(ref)
	if sent() {
		t.Error("it is trusted and nobody has looked")
	}
	_, _, err = e.scrub(t.Context(), ScrubOptions{})
	if must(t, err); !sent() {
		t.Error("it is not trusted")
	}
	if clock.move(time.Hour); sent() {
		t.Error("it is trusted for too long")
	}
}

// C11: the kernel may send what was put and has not left memory since, unless it may send nothing.
func TestWhatIsStillInMemoryIsTrusted(t *testing.T) {
	if unix.Cachestat(0, nil, nil, 0) == unix.ENOSYS {
		t.Skip("needs a kernel that tells what is in the page cache")
	}
	for _, c := range []struct {
		profile Profile
		age     time.Duration
		want    bool
	}{{ProfileServer, time.Hour, true}, {ProfileServer, 0, false}, {ProfileMount, time.Hour, true}, {ProfileMount, 0, false}} {
		e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true, ScrubAge: c.age, Profile: c.profile}, testParts(t))
		must(t, err)
		var got bool
		for i := range 100 { // memory may be scarce for a while
			mustPut(t, mainBucket(t, e), objstore.Key(fmt.Sprint(i)), make([]byte, 5<<20)) // too many for a look of its own
			var ref blobRef
			must(t, e.blobs.Orphans(0, func(r blobRef) error { ref = r; return nil }))
			f, ok := e.blobs.OpenChecked(t.Context(), ref, 0, 5<<20)
			if got = ok; ok {
				must(t, f.Close())
			}
			if got || !c.want && i == 2 {
				break
			}
		}
		if got != c.want {
			t.Errorf("profile %v, %v: sent by the kernel: %v", c.profile, c.age, got)
		}
		must(t, e.Close())
	}
}
