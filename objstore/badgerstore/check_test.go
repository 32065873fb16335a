package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// C11: everything that can be wrong with a store is found, and called what it is, with what follows from
// it and no more.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	good := makeVariedStore(t)
	type kinds = []FindingKind
	seen := map[FindingKind]bool{}
	for _, row := range damages() {
		t.Run(row.name, func(t *testing.T) {
			dir := filepath.Join(testDir(t), "store")
			must(t, copyStore(good, dir))
			e := openTest(t, dir, Options{})
			d := &damagedStore{T: t, e: e, b: mainBucket(t, e), v: e.view()}
			row.break_(d)
			d.v.close()
			got, err := e.findings(CheckOptions{Payload: true})
			must(t, err)
			var found kinds
			var text strings.Builder
			for _, f := range got {
				found = append(found, f.Kind)
				seen[f.Kind] = true
				text.WriteString(f.String() + "\n")
			}
			if !slices.Equal(found, row.want) || !strings.Contains(text.String(), row.says) {
				t.Errorf("found %v, want %v and %q:\n%s", found, row.want, row.says, text.String())
			}
			if again, err := e.findings(CheckOptions{Payload: true}); err != nil || !slices.Equal(got, again) {
				t.Errorf("the second time: %v, %v", again, err)
			}
			sameInNarrowWindows(t, e, got)
		})
	}
	for kind := FindingRecord; kind <= FindingStray; kind++ {
		if !seen[kind] && kind != FindingTable { // TestCheckVerifiesTheBlocksOfTables shows that
			t.Errorf("no row shows %v", kind)
		}
	}
}

// sameInNarrowWindows checks that a store with more payloads than are counted in one walk has the same findings.
func sameInNarrowWindows(t *testing.T, e *Engine, want []Finding) {
	t.Helper()
	var got []string
	must(t, e.checkIn(t.Context(), CheckOptions{Payload: true}, 4, func(f Finding) error {
		got = append(got, f.String())
		return nil
	}))
	var all []string
	for _, f := range want {
		all = append(all, f.String())
	}
	slices.Sort(got)
	slices.Sort(all)
	if !slices.Equal(got, all) {
		t.Errorf("in narrow windows: %q, not %q", got, all)
	}
}

// A closed store is checked without a change, and who is told can end the check.
func TestCheckOfAClosedStoreChangesNothing(t *testing.T) {
	dir := makeVariedStore(t)
	must(t, os.WriteFile(filepath.Join(dir, blobsName, "letter"), nil, 0o600))
	before := listing(filepath.Join(dir, badgerName)) + listing(filepath.Join(dir, blobsName))
	e, err := Open(t.Context(), dir, Options{ReadOnly: true}, testParts(t))
	must(t, err)
	all, err := e.findings(CheckOptions{Payload: true})
	if err != nil || len(all) != 1 || all[0].Kind != FindingStray {
		t.Errorf("found %v, %v", all, err)
	}
	enough := errors.New("enough")
	if err := e.Check(t.Context(), CheckOptions{}, func(Finding) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("ended with %v", err)
	}
	must(t, e.Close())
	if after := listing(filepath.Join(dir, badgerName)) + listing(filepath.Join(dir, blobsName)); after != before {
		t.Errorf("was\n%s\nis\n%s", before, after)
	}
	if err := e.Check(t.Context(), CheckOptions{}, nil); objstore.KindOf(err) != objstore.ErrClosed {
		t.Errorf("after the close: %v", err)
	}
}

// C11: whatever bit of the tables is flipped, the store is refused, or a check finds damage.
func TestEveryFlippedBitOfATableIsFound(t *testing.T) {
	good := makeVariedStore(t)
	tables, err := filepath.Glob(filepath.Join(good, badgerName, "*"+tableSuffix))
	must(t, err)
	if len(tables) != 1 {
		t.Fatalf("%q", tables)
	}
	info, err := os.Stat(tables[0])
	must(t, err)
	seed := testSeed(t)
	random := rand.New(rand.NewPCG(seed, 0))
	counts := map[string]int{}
	for range 150 {
		off := random.Int64N(info.Size())
		dir := filepath.Join(testDir(t), "store")
		must(t, copyStore(good, dir))
		flip(t, filepath.Join(dir, badgerName, filepath.Base(tables[0])), off)
		e, err := Open(t.Context(), dir, Options{ReadOnly: true}, Parts{})
		if err != nil {
			counts["refused"]++
			continue
		}
		all, err := e.findings(CheckOptions{Payload: true})
		must(t, errors.Join(err, e.Close()))
		if !slices.ContainsFunc(all, func(f Finding) bool { return f.Kind.IsDamage() }) {
			t.Errorf("the bit at %d of %s is flipped, found is %v (seed %d)", off, tables[0], all, seed)
		}
		counts["found"]++
	}
	if t.Logf("%v", counts); counts["refused"] == 0 || counts["found"] == 0 {
		t.Error("this shows nothing")
	}
}

// heldBy is every key, and every kept copy, with its bytes.
func heldBy(t *testing.T, dir string) map[objstore.Key]string {
	t.Helper()
	e, err := Open(t.Context(), dir, Options{ReadOnly: true}, Parts{})
	must(t, err)
	defer e.Close()
	b := mainBucket(t, e)
	all, err := readAll(t.Context(), b)
	must(t, err)
	kept, err := b.ListConflicts(t.Context())
	must(t, err)
	for _, c := range kept {
		r, err := b.OpenConflict(t.Context(), c.ID, objstore.SideMine)
		must(t, err)
		p, err := io.ReadAll(r.Stream(t.Context(), 0, -1))
		must(t, errors.Join(err, r.Close()))
		all[objstore.Key("kept "+c.ID)] = string(p)
	}
	return all
}

// What comes and goes while a store is checked is not reported: not the blobs of commits in flight, nor
// those of commits that fail, nor what garbage leaves.
func TestCheckOfABusyStoreFindsNothing(t *testing.T) {
	seed := testSeed(t)
	parts := testParts(t)
	parts.sizes = smallSizes()
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	must(t, err)
	b := mainBucket(t, e)
	var working sync.WaitGroup
	done := make(chan struct{})
	for w := range 3 {
		working.Go(func() {
			m := &mixer{t: t, b: b, random: rand.New(rand.NewPCG(seed, uint64(w))), name: fmt.Sprintf("w%d", w), files: map[objstore.Key][]byte{}}
			for i := range 80 {
				m.round(i)
				m.check(failedPut(t.Context(), b))
			}
			m.finish()
		})
	}
	go func() {
		working.Wait()
		close(done)
	}()
	for checks := 1; ; checks++ {
		all, err := e.findings(CheckOptions{Payload: checks%8 == 0})
		if err != nil || len(all) > 0 {
			t.Fatalf("check %d: %v, %v", checks, all, err)
		}
		select {
		case <-done:
			t.Logf("%d checks", checks)
			must(t, e.Close())
			return
		default:
		}
	}
}

// failedPut is a put of a blob that loses its condition.
func failedPut(ctx context.Context, b *Bucket) error {
	_, err := b.Put(ctx, "never", bytes.NewReader(make([]byte, 20<<10)), objstore.IfPresent(), objstore.PutOptions{Durability: objstore.Visible})
	if objstore.IsLostCondition(err) {
		return nil
	}
	return fmt.Errorf("a put to an absent key: %w", err)
}
