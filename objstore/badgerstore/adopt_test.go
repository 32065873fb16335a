package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// orphanage is a store, and what its kept copies must be after a crash: bytes by path.
type orphanage struct {
	t    *testing.T
	dir  string
	e    *Engine
	b    *Bucket
	want map[string][]byte
}

func newOrphanage(t *testing.T, hook disk.Hook) *orphanage {
	t.Helper()
	o := &orphanage{t: t, dir: filepath.Join(testDir(t), "store"), want: map[string][]byte{}}
	parts := testParts(t)
	parts.sizes = smallSizes()
	if hook != nil {
		parts.Disk = disk.Hooked(disk.OS{}, hook)
	}
	e, err := Open(t.Context(), o.dir, Options{Create: true}, parts)
	must(t, err)
	t.Cleanup(func() { must(t, e.Close()) })
	o.e, o.b = e, mainBucket(t, e)
	return o
}

// put makes path n bytes.
func (o *orphanage) put(path string, n int, fill string) []byte {
	o.t.Helper()
	body := bytes.Repeat([]byte(fill), n/len(fill)+1)[:n]
	_, err := o.b.Put(o.t.Context(), objstore.Key(path), bytes.NewReader(body), objstore.Unconditional(), objstore.PutOptions{})
	must(o.t, err)
	return body
}

// reader opens what path is now.
func (o *orphanage) reader(path string) objstore.Reader {
	o.t.Helper()
	r, err := o.b.Get(o.t.Context(), objstore.Key(path), objstore.Unconditional())
	must(o.t, err)
	return r
}

// stage starts a stage over r, or of a file that does not exist yet.
func (o *orphanage) stage(path string, r objstore.Reader) objstore.Stage {
	o.t.Helper()
	id, err := o.b.NewID(o.t.Context())
	must(o.t, err)
	owner := objstore.Owner{Path: path, Object: id}
	if r != nil {
		owner.Object, owner.Base = r.Info().ID, r.Info().Version
	}
	s, err := o.b.NewStage(o.t.Context(), objstore.StageSpec{Base: r, Owner: owner})
	must(o.t, err)
	if r != nil {
		must(o.t, r.Close())
	}
	return s
}

// write stages p, and has it expected in the kept copy of path, which has the bytes base before.
func (o *orphanage) write(s objstore.Stage, path string, base []byte, p string, off int) {
	o.t.Helper()
	_, err := s.WriteAt(o.t.Context(), []byte(p), int64(off))
	must(o.t, err)
	content := make([]byte, max(len(base), off+len(p)))
	copy(content, base)
	copy(content[off:], p)
	o.want[path] = content
}

// crash is a copy of the store as the death of its process leaves it.
func (o *orphanage) crash() string {
	o.t.Helper()
	image := o.dir + "-crashed"
	must(o.t, copyStore(o.dir, image))
	return image
}

// adopted opens a store that crashed and closes it again.
func (o *orphanage) adopted(image string, fs disk.FS) (kept []keptCopy, err error) {
	parts := testParts(o.t)
	parts.sizes, parts.Disk = smallSizes(), fs
	e, err := Open(context.Background(), image, Options{}, parts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	b, err := e.bucket(context.Background(), MainBucket)
	if err != nil {
		return nil, err
	}
	if kept, err = keptIn(b); err != nil {
		return nil, err
	}
	return kept, e.checkInvariants()
}

// keptCopy is a conflict and its bytes.
type keptCopy struct {
	objstore.Conflict
	bytes []byte
}

func keptIn(b *Bucket) (all []keptCopy, err error) {
	ctx := context.Background()
	conflicts, err := b.ListConflicts(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range conflicts {
		r, err := b.OpenConflict(ctx, c.ID, objstore.SideMine)
		if err != nil {
			return nil, err
		}
		p := make([]byte, r.Info().Size)
		if len(p) > 0 {
			_, err = r.ReadAt(ctx, p, 0)
		}
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		all = append(all, keptCopy{c, p})
	}
	return all, nil
}

// check is what is wrong with kept copies.
func (o *orphanage) check(kept []keptCopy) error {
	got := map[string][]byte{}
	var errs []error
	for _, k := range kept {
		if _, twice := got[k.Path]; twice {
			errs = append(errs, fmt.Errorf("%s is kept twice", k.Path))
		}
		got[k.Path] = k.bytes
		if want, ok := o.want[k.Path]; !ok || !bytes.Equal(k.bytes, want) {
			errs = append(errs, fmt.Errorf("%s: %d bytes are kept, not the %d that were written", k.Path, len(k.bytes), len(want)))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(o.want)) {
		if _, ok := got[path]; !ok {
			errs = append(errs, fmt.Errorf("%s is not kept", path))
		}
	}
	return errors.Join(errs...)
}

// checkCrash lets the store crash and checks what is kept.
func (o *orphanage) checkCrash() []keptCopy {
	o.t.Helper()
	kept, err := o.adopted(o.crash(), nil)
	must(o.t, err)
	must(o.t, o.check(kept))
	return kept
}

// fill leaves stages of all sorts behind.
func (o *orphanage) fill() {
	for path, n := range map[string]int{"in the log": 500, "in a file": 100_000, "in a large file": 1_500_000} {
		o.write(o.stage(path, nil), path, nil, strings.Repeat(path, n/len(path)), 7)
	}
	for path, n := range map[string]int{"over little": 1000, "over a blob": 70_000, "over a large blob": 5_000_000} {
		base := o.put(path, n, "base")
		small, large := o.reader(path), o.reader(path)
		o.put(path, n, "next")
		o.write(o.stage(path, small), path, base, "change", n/2)
		path = "/" + path // the same object, seen by another name
		o.write(o.stage(path, large), path, base, strings.Repeat("changes", 12_000), n/3)
	}
	lost := o.stage("kept before", nil)
	o.write(lost, "kept before", nil, strings.Repeat("lost", 25_000), 0)
	_, err := lost.Keep(o.t.Context(), objstore.Conflict{
		Reason: objstore.ReasonLost, Path: "kept before", Object: lost.(*stage).Owner().Object})
	must(o.t, err)
	cut := o.stage("cut", nil)
	o.write(cut, "cut", nil, strings.Repeat("cut", 25_000), 0)
	must(o.t, cut.Truncate(o.t.Context(), 30_001))
	o.want["cut"] = o.want["cut"][:30_001]
	o.share("with parts of another", "lender")
}

// share stages parts of another file, which is replaced then.
func (o *orphanage) share(path, lender string) {
	o.t.Helper()
	const n, to = 200_000, 1000
	bytesOf, r := o.put(lender, 5_000_000, "lent"), o.reader(lender)
	s := o.stage(path, nil)
	copied, err := s.(objstore.Sharer).Share(o.t.Context(), r, n+1, n, to)
	if err := errors.Join(err, r.Close()); err != nil || copied != n {
		o.t.Fatalf("shared %d: %v", copied, err)
	}
	o.want[path] = append(make([]byte, to), bytesOf[n+1:2*n+1]...)
	o.put(lender, 10, "other")
}

// C4: every stage a process left is kept, once and with its bytes, also if the process that
// keeps them dies, before any one of its operations on the disk, and another goes on.
func TestStagesFoundAfterACrashAreKeptOnceWhateverHappens(t *testing.T) {
	o := newOrphanage(t, nil)
	o.fill()
	image := o.crash()
	var mu sync.Mutex
	n, problems := 0, []error{}
	dying := disk.Hooked(disk.OS{}, func(op disk.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if op.Kind == disk.OpOpen || op.Kind == disk.OpSpace || op.Kind == disk.OpWriteback {
			return nil // changes nothing
		}
		if n++; testing.Short() && n%5 != 0 {
			return nil
		}
		second := fmt.Sprintf("%s-%d", image, n)
		err := copyStore(image, second)
		if err == nil {
			var kept []keptCopy
			if kept, err = o.adopted(second, nil); err == nil {
				err = o.check(kept)
			}
		}
		if err := errors.Join(err, os.RemoveAll(second)); err != nil {
			problems = append(problems, fmt.Errorf("died before %s: %w", op, err))
		}
		return nil
	})
	kept, err := o.adopted(image, dying)
	must(t, err)
	must(t, o.check(kept))
	if len(problems) > 0 {
		t.Fatalf("%d of %d went wrong, the first: %v", len(problems), n, problems[0])
	}
	t.Logf("%d deaths", n)
	left, err := filepath.Glob(filepath.Join(image, stagingName, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in staging: %q, %v", left, err)
	}
}

// C4: what is in a stage has been admitted once. A disk that takes no more does not keep it from being kept.
func TestStagesFoundOnAFullDiskAreKept(t *testing.T) {
	o := newOrphanage(t, nil)
	o.fill()
	full := &crowdedDisk{FS: disk.OS{}}
	kept, err := o.adopted(o.crash(), full)
	must(t, err)
	must(t, o.check(kept))
	if full.asked.Load() == 0 {
		t.Error("nobody asked for the free space")
	}
}

// crowdedDisk has half of what smallSizes reserves left.
type crowdedDisk struct {
	disk.FS
	asked atomic.Int64
}

func (f *crowdedDisk) Space(string) (disk.Space, error) {
	f.asked.Add(1)
	left := smallSizes().space
	return disk.Space{BytesTotal: 1 << 40, BytesFree: left.ReserveBytes/2 + left.BallastBytes/2 + openBytesMin}, nil
}

// C4: a stage whose base was replaced before the stage was made, so that its commit saw nobody who
// would need it, has its bytes and the base all the same.
func TestABaseReplacedBeforeItsStageIsMadeIsKept(t *testing.T) {
	for _, size := range []int{300, 100_000, 5_000_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			o := newOrphanage(t, nil)
			base := o.put("f", size, "base")
			r := o.reader("f")
			p := r.(*reader).content
			// A commit between the look at the object and the pin.
			o.e.pins.remove(p.lineage, p.version)
			next := o.stage("f", o.reader("f"))
			_, err := next.WriteAt(t.Context(), []byte("appended"), int64(size))
			must(t, err)
			info := r.Info()
			_, err = next.Commit(t.Context(), objstore.CommitRequest{Target: objstore.Target{ID: info.ID}, Cond: objstore.IfVersion(info.Version)})
			must(t, errors.Join(err, next.Close()))
			o.e.pins.add(p.lineage, p.version)

			o.write(o.stage("f", r), "f", base, "mine", 100)
			kept := o.checkCrash()
			if len(kept) != 1 || !kept[0].Base.Held || kept[0].Base.Size != int64(size) {
				t.Errorf("kept %+v", kept)
			}
		})
	}
}

// C8: a blob has its number before it is in the tree. A round of the syncer between the two does not
// count it among those that are committed or gone: after a crash it is found, and removed.
func TestBlobOfAnUnfinishedCommitIsRemovedAfterACrash(t *testing.T) {
	var o *orphanage
	var armed atomic.Bool // until then
	o = newOrphanage(t, func(op disk.Op) error {
		// The checksum block of a payload that is being sealed is written: its number is given.
		if op.Kind == disk.OpWrite && op.Offset == 100_000 && strings.Contains(op.Name, stagingName) && armed.Swap(false) {
			o.put("other", 10, "other")
			return o.e.Sync(t.Context())
		}
		return nil
	})
	id, err := o.b.NewID(t.Context())
	must(t, err)
	s := o.b.newStage(objstore.Owner{Path: "f", Object: id}, nil, true)
	o.write(s, "f", nil, strings.Repeat("f", 100_000), 0)
	armed.Store(true)
	must(t, s.seal(t.Context(), id))
	if armed.Load() || len(blobNames(t, o.e)) != 1 {
		t.Fatalf("synced: %t, blobs: %q", !armed.Load(), blobNames(t, o.e))
	}
	o.checkCrash() // and nothing is left over
	s.finish()
	must(t, s.Close())
	if len(o.e.inFlight.ids) > 0 {
		t.Errorf("%v are in flight for ever", o.e.inFlight.ids)
	}
}

// C4: a stage whose commit was replaced by another's before it could say so is not kept: nothing
// is lost with it.
func TestAStageCommittedAndReplacedIsNotKept(t *testing.T) {
	for _, size := range []int{300, 100_000} {
		var o *orphanage
		var image string
		var armed atomic.Bool // until the log of the stage is cleared
		o = newOrphanage(t, func(op disk.Op) error {
			if op.Kind == disk.OpWrite && op.Length == 8 && filepath.Base(op.Name) == "slots" && armed.Swap(false) {
				o.put("f", size, "theirs")
				image = o.crash()
			}
			return nil
		})
		o.put("f", size, "base")
		r := o.reader("f")
		info := r.Info()
		s := o.stage("f", r)
		_, err := s.WriteAt(t.Context(), bytes.Repeat([]byte("mine"), size/4), 0)
		must(t, err)
		armed.Store(true)
		_, err = s.Commit(t.Context(), objstore.CommitRequest{Target: objstore.Target{ID: info.ID}, Cond: objstore.IfVersion(info.Version)})
		must(t, errors.Join(err, s.Close()))
		if image == "" {
			t.Fatal("the log was not cleared")
		}
		kept, err := o.adopted(image, nil)
		must(t, err)
		if len(kept) > 0 {
			t.Errorf("%d bytes: kept %+v", size, kept[0].Conflict)
		}
	}
}

// C4: a loss of power brings back what was staged for a commit that is done. It is not kept if a conflict tells that it was the file's
// content, which it is no more; if it was not, it is.
func TestAStageThatComesBackIsKeptUnlessItWasCommitted(t *testing.T) {
	for _, test := range []struct {
		size int
		lost bool // another commits first
	}{{300, false}, {100_000, false}, {300, true}, {100_000, true}} {
		t.Run(fmt.Sprintf("%+v", test), func(t *testing.T) {
			o := newOrphanage(t, nil)
			o.put("f", test.size, "base")
			r := o.reader("f")
			info := r.Info()
			s := o.stage("f", r)
			mine := bytes.Repeat([]byte("mine"), test.size/4)
			_, err := s.WriteAt(t.Context(), mine, 0)
			must(t, err)
			if test.lost {
				o.put("f", test.size, "first")
			}
			staged, err := o.commitSeen(s, info)
			if objstore.IsLostCondition(err) != test.lost {
				t.Fatal(err)
			}
			must(t, s.Close())
			o.loseTo("f", "theirs")
			drain(t, o.e)
			image := o.crash()
			must(t, errors.Join(os.RemoveAll(filepath.Join(image, stagingName)), copyStore(filepath.Join(staged, stagingName), filepath.Join(image, stagingName))))
			kept, err := o.adopted(image, nil)
			must(t, err)
			found := 0
			for _, k := range kept {
				if k.Reason == objstore.ReasonCrash {
					found++
				}
			}
			if (found == 1) != test.lost || len(kept) != found+1 {
				t.Errorf("%d of %d copies are of the crash", found, len(kept))
			}
		})
	}
}

// commitSeen commits s over base, and returns the store as it was when s had noted what it is to be committed as.
func (o *orphanage) commitSeen(s objstore.Stage, base objstore.Info) (image string, err error) {
	o.t.Helper()
	st := s.(*stage)
	st.commitMu.Lock()
	defer st.commitMu.Unlock()
	must(o.t, st.seal(o.t.Context(), base.ID))
	image = o.dir + "-sealed"
	must(o.t, copyStore(o.dir, image))
	_, err = st.commitSealed(o.t.Context(), objstore.CommitRequest{Target: objstore.Target{ID: base.ID}, Cond: objstore.IfVersion(base.Version)})
	if err != nil {
		st.finish()
	}
	return image, err
}

// loseTo begins a change of path, which loses to another and is kept.
func (o *orphanage) loseTo(path, winner string) {
	o.t.Helper()
	r := o.reader(path)
	info := r.Info()
	s := o.stage(path, r)
	_, err := s.WriteAt(o.t.Context(), []byte("loser"), 0)
	must(o.t, err)
	o.put(path, int(info.Size), winner)
	_, err = s.Keep(o.t.Context(), objstore.Conflict{Reason: objstore.ReasonLost, Path: path, Object: info.ID})
	must(o.t, errors.Join(err, s.Close()))
}

// C4, C8: what is written while a commit is under way is kept with the bytes of the commit, whenever the process dies.
func TestBytesWrittenDuringACommitAreKept(t *testing.T) {
	for _, size := range []int{300, 100_000, 1_500_000} {
		var o *orphanage
		var mu sync.Mutex
		var dying atomic.Bool
		n, problems := 0, []error{}
		o = newOrphanage(t, func(op disk.Op) error {
			if !dying.Load() || op.Kind == disk.OpOpen || op.Kind == disk.OpSpace || op.Kind == disk.OpWriteback {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			n++
			image := fmt.Sprintf("%s-%d", o.dir, n)
			err := copyStore(o.dir, image)
			if err == nil {
				var kept []keptCopy
				if kept, err = o.adopted(image, nil); err == nil {
					err = o.check(kept)
				}
			}
			if err := errors.Join(err, os.RemoveAll(image)); err != nil {
				problems = append(problems, fmt.Errorf("died before %s: %w", op, err))
			}
			return nil
		})
		base := o.put("f", size, "base")
		r := o.reader("f")
		info := r.Info()
		st := o.stage("f", r).(*stage)
		o.write(st, "f", base, strings.Repeat("mine", size/8), 10)
		must(t, st.seal(t.Context(), info.ID))
		o.write(st, "f", o.want["f"], strings.Repeat("later", size/10), size/3)
		dying.Store(true)
		st.commitMu.Lock()
		_, err := st.commitSealed(t.Context(), objstore.CommitRequest{Target: objstore.Target{ID: info.ID}, Cond: objstore.IfVersion(info.Version)})
		st.commitMu.Unlock()
		dying.Store(false)
		must(t, err)
		o.checkCrash()
		must(t, st.Close())
		mu.Lock()
		if len(problems) > 0 {
			t.Errorf("%d bytes: %d of %d deaths went wrong, the first: %v", size, len(problems), n, problems[0])
		}
		if n < 2 {
			t.Errorf("%d deaths: this shows nothing", n)
		}
		mu.Unlock()
	}
}

// Stages that are kept after a crash do not wait for a sync each.
func TestManyStagesFoundAfterACrashTakeFewSyncs(t *testing.T) {
	for _, n := range []int{100, 100_000} {
		o := newOrphanage(t, nil)
		const stages = 150
		for i := range stages {
			path := fmt.Sprintf("%d", i)
			o.write(o.stage(path, nil), path, nil, strings.Repeat("x", n), 0)
		}
		var syncs atomic.Int64
		kept, err := o.adopted(o.crash(), disk.Hooked(disk.OS{}, func(op disk.Op) error {
			if op.Kind == disk.OpSync && filepath.Base(filepath.Dir(op.Name)) == badgerName {
				syncs.Add(1)
			}
			return nil
		}))
		must(t, err)
		must(t, o.check(kept))
		t.Logf("%d syncs of the log", syncs.Load())
		if syncs.Load() > stages/2 {
			t.Errorf("%d stages of %d bytes took %d syncs of the log", stages, n, syncs.Load())
		}
	}
}
