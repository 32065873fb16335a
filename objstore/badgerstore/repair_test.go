package badgerstore

import (
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// repaired repairs a store and returns what was and what is left.
func repaired(t *testing.T, dir string) (done, left []Finding) {
	t.Helper()
	must(t, Repair(t.Context(), dir, CheckOptions{Payload: true}, testParts(t), func(r Repaired) error {
		if r.Left {
			left = append(left, r.Finding)
		} else {
			done = append(done, r.Finding)
		}
		return nil
	}))
	return done, left
}

// isLost reports whether a finding says that bytes are lost, which no repair brings back.
func isLost(f Finding) bool {
	switch f.Kind {
	case FindingContent, FindingExtent, FindingBytes, FindingMissing:
		return true
	}
	return false
}

// unreadable stands for bytes that are ErrCorrupt.
const unreadable = "unreadable"

// everything is all that can be read in a store, kept copies with it.
func everything(t *testing.T, dir string) map[string]string {
	t.Helper()
	e, err := Open(t.Context(), dir, Options{ReadOnly: true}, testParts(t))
	must(t, err)
	defer e.Close()
	buckets, err := e.ListBuckets(t.Context())
	must(t, err)
	all := map[string]string{}
	for _, info := range buckets {
		b, err := e.bucket(t.Context(), info.Name)
		must(t, err)
		page, err := b.List(t.Context(), objstore.ListOptions{})
		must(t, err)
		for _, entry := range page.Entries {
			p, err := getAll(t.Context(), b, entry.Key)
			all[info.Name+"/"+string(entry.Key)] = textOr(t, p, err)
		}
		kept, err := b.ListConflicts(t.Context())
		must(t, err)
		for _, c := range kept {
			r, err := b.OpenConflict(t.Context(), c.ID, objstore.SideMine)
			must(t, err)
			p, err := io.ReadAll(r.Stream(t.Context(), 0, -1))
			all["kept "+string(c.ID)] = textOr(t, p, err)
			must(t, r.Close())
		}
	}
	return all
}

// textOr is p, or unreadable if that is what err says.
func textOr(t *testing.T, p []byte, err error) string {
	t.Helper()
	if objstore.KindOf(err) == objstore.ErrCorrupt {
		return unreadable
	}
	must(t, err)
	return string(p)
}

// isLike reports whether one of all is a text, but for zeros behind it: how long a content was, may be lost.
func isLike(all map[string]string, text string) bool {
	for _, got := range all {
		if strings.TrimRight(got, "\x00") == strings.TrimRight(text, "\x00") {
			return true
		}
	}
	return false
}

// sameAgain repairs a store that was repaired: nothing happens.
func sameAgain(t *testing.T, dir string, left []Finding) {
	t.Helper()
	done, again := repaired(t, dir)
	if len(done) > 0 || !slices.Equal(left, again) {
		t.Errorf("repaired once more: %v; left %v, and before %v", done, again, left)
	}
}

// C11: everything that can be wrong with a store is mended, but for bytes that are lost, which are ErrCorrupt; once what they
// were of is gone the store is clean. What no finding is about stays as it is, and no bytes go.
func TestRepairMendsWhatIsWrong(t *testing.T) {
	good := makeVariedStore(t)
	before := everything(t, good)
	for _, row := range damages() {
		t.Run(row.name, func(t *testing.T) {
			dir := filepath.Join(testDir(t), "store")
			must(t, copyStore(good, dir))
			t.Parallel() // from here on: a program that is begun would inherit locks
			breakStore(t, dir, row)
			done, left := repaired(t, dir)
			if len(row.want) > 0 && len(done)+len(left) == 0 && row.name != "durable commits are gone" && row.name != "a session was not swept" {
				t.Error("nothing was said")
			}
			for _, f := range left {
				if !isLost(f) {
					t.Errorf("left: %v", f)
				}
			}
			after := everything(t, dir)
			for key, text := range before {
				switch got := after[key]; {
				case got == text:
				case !isAbout(slices.Concat(done, left), key):
					t.Errorf("%s has changed: %d bytes, %d before: %q", key, len(got), len(text), done)
				case got != unreadable && len(left) == 0 && !isLike(after, text):
					t.Errorf("the bytes of %s are gone", key)
				}
			}
			if len(left) == 0 {
				sameAgain(t, dir, nil)
				return
			}
			removeLost(t, dir, left)
			if done, left := repaired(t, dir); len(left) > 0 {
				t.Errorf("with all removed that is lost, %v is left; repaired %v", left, done)
			}
		})
	}
}

func breakStore(t *testing.T, dir string, row damage) {
	t.Helper()
	e, err := Open(t.Context(), dir, Options{}, testParts(t))
	must(t, err)
	d := &damagedStore{T: t, e: e, b: mainBucket(t, e), v: e.view()}
	row.break_(d)
	d.v.close()
	must(t, e.Close())
}

// isAbout reports whether one of the findings names what is at a key, or a directory on the way there.
func isAbout(all []Finding, key string) bool {
	for _, f := range all {
		if f.Kind == FindingDirectory || f.Kind == FindingConflict && strings.HasPrefix(key, "kept ") {
			return true
		}
		for _, name := range strings.Split(strings.TrimPrefix(key, "kept "), "/") {
			if strings.Contains(f.Text+" "+string(f.Key), name) {
				return true
			}
		}
		if f.Kind == FindingUnreferenced && strings.HasPrefix(key, "kept ") {
			return true
		}
	}
	return false
}

// removeLost deletes whatever cannot be read, or is said to be other bytes than those that were written.
func removeLost(t *testing.T, dir string, left []Finding) {
	t.Helper()
	lost := everything(t, dir)
	for _, f := range left {
		if f.Bucket != "" {
			lost[f.Bucket+"/"+string(f.Key)] = unreadable
		}
	}
	e := openTest(t, dir, Options{})
	for name, text := range lost {
		if text != unreadable {
			continue
		}
		if id, kept := strings.CutPrefix(name, "kept "); kept {
			must(t, mainBucket(t, e).DropConflict(t.Context(), objstore.ConflictID(id)))
			continue
		}
		bucket, key, _ := strings.Cut(name, "/")
		b, err := e.bucket(t.Context(), bucket)
		must(t, err)
		must(t, b.Delete(t.Context(), objstore.Key(key), objstore.Unconditional(), objstore.DeleteOptions{}))
	}
	drain(t, e)
	must(t, e.Close())
}

// ruin makes random damages and reports whether bytes were among what was destroyed.
func ruin(t *testing.T, dir string, random *rand.Rand) (bytesToo bool) {
	t.Helper()
	e, err := Open(t.Context(), dir, Options{}, testParts(t))
	must(t, err)
	d := &damagedStore{T: t, e: e, b: mainBucket(t, e), v: e.view()}
	var keys [][]byte
	for _, tag := range []byte(walkOrder) {
		must(t, d.v.scanKeys([]byte{tag}, func(key []byte) (bool, error) {
			keys = append(keys, slices.Clone(key))
			return true, nil
		}))
	}
	for range 1 + random.IntN(5) {
		key := keys[random.IntN(len(keys))]
		switch tag := key[0]; {
		case tag == record.TagSequence:
			continue
		case tag == record.TagPayload, tag == record.TagPage:
			bytesToo = true
		}
		switch value, err := d.v.read(key); {
		case random.IntN(3) > 0:
			d.set(key, nil)
		case err == nil && value != nil:
			d.flipped(key)
		}
	}
	if random.IntN(4) == 0 {
		d.write("blobs/0/fff", "x")
	}
	d.v.close()
	must(t, e.Close())
	return bytesToo
}

// C11: whatever records are lost or damaged together, a repair ends with a store in which only bytes are
// missing that were among them. It says so, and then has nothing more to do.
func TestRepairMendsWhatIsRuinedTogether(t *testing.T) {
	good := makeVariedStore(t)
	before := everything(t, good)
	seed := testSeed(t)
	rounds := uint64(12)
	if os.Getenv("ETAGFS_LONG") != "" {
		rounds = 400
	}
	for n := range rounds {
		random := rand.New(rand.NewPCG(seed, n))
		dir := filepath.Join(testDir(t), "store")
		must(t, copyStore(good, dir))
		bytesToo := ruin(t, dir, random)
		done, left := repaired(t, dir)
		if slices.ContainsFunc(left, func(f Finding) bool { return !isLost(f) }) || len(left) > 0 && !bytesToo {
			t.Errorf("left: %v (seed %d, %d)", left, seed, n)
		}
		after := everything(t, dir)
		for key, text := range before {
			if !bytesToo && !isLike(after, text) {
				t.Errorf("the bytes of %s are gone (seed %d, %d): %v", key, seed, n, done)
			}
		}
		sameAgain(t, dir, left)
		must(t, os.RemoveAll(dir))
	}
}

// C11: a repair that is killed at any point, before it changes a file or after it has said something, is completed by another.
func TestRepairThatIsKilledIsCompletedByAnother(t *testing.T) {
	dir := filepath.Join(testDir(t), "store")
	good := makeVariedStore(t)
	must(t, copyStore(good, dir))
	before := everything(t, good)
	for _, name := range []string{
		"a bit of an entry is flipped", "a blob is not counted", "a blob is nobody's", "a file is no blob", "a part is of no upload",
		"a record is of no kind", "a linked file is gone", "a directory is within itself",
	} {
		all := damages()
		breakStore(t, dir, all[slices.IndexFunc(all, func(d damage) bool { return d.name == name })])
	}
	k := &killer{t: t, dir: dir}
	parts := testParts(t)
	parts.Disk = disk.Hooked(disk.OS{}, k.before)
	must(t, Repair(t.Context(), dir, CheckOptions{}, parts, func(r Repaired) error { return k.image() }))
	if len(k.images) < 20 {
		t.Fatalf("it was killed %d times only", len(k.images))
	}
	want := slices.Sorted(maps.Values(everything(t, dir)))
	for i, image := range k.images {
		if i%3 != 0 {
			continue // as long as this is enough to see every kind of step
		}
		if _, left := repaired(t, image); len(left) > 0 {
			t.Errorf("killed at %d: left %v", i, left)
		}
		after := everything(t, image)
		for key, text := range before {
			if !isLike(after, text) {
				t.Errorf("killed at %d: the bytes of %s are gone", i, key)
			}
		}
		if got := slices.Sorted(maps.Values(after)); !slices.Equal(got, want) {
			t.Errorf("killed at %d: %d contents, and not %d", i, len(got), len(want))
		}
	}
}

// killer copies a store as a process that is killed leaves it.
type killer struct {
	t      *testing.T
	dir    string
	images []string
}

func (k *killer) before(op disk.Op) error {
	if op.Kind == disk.OpOpen || op.Kind == disk.OpSpace || op.Kind == disk.OpWriteback || !strings.Contains(op.Name, repairName) {
		return nil
	}
	return k.image()
}

func (k *killer) image() error {
	image := filepath.Join(testDir(k.t), "store")
	k.images = append(k.images, image)
	return copyStore(k.dir, image)
}

// A store that is open elsewhere is not repaired, and one whose repair is interrupted can be repaired again.
func TestRepairNeedsTheStoreToItself(t *testing.T) {
	dir := makeVariedStore(t)
	e := openTest(t, dir, Options{})
	told := func(Repaired) error { return nil }
	if err := Repair(t.Context(), dir, CheckOptions{}, testParts(t), told); objstore.KindOf(err) != objstore.ErrInUse {
		t.Errorf("open elsewhere: %v", err)
	}
	must(t, e.Close())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Repair(ctx, dir, CheckOptions{}, testParts(t), told); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if done, left := repaired(t, dir); len(done)+len(left) > 0 {
		t.Errorf("of a whole store: %v, %v", done, left)
	}
}
