package cache

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
	"strconv"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// bucket is a Committer by path over a flat store, which pins.
type bucket struct{ objstore.Store }

func newBucket(t *testing.T) bucket {
	engine := memstore.New(memstore.Options{})
	must(t, engine.CreateBucket(t.Context(), "box"))
	store, err := engine.Bucket(t.Context(), "box")
	must(t, err)
	return bucket{store}
}

func (b bucket) CommitContent(ctx context.Context, req objstore.CommitRequest, body objstore.Reader) (objstore.CommitResult, error) {
	in := body.Stream(ctx, 0, -1)
	defer in.Close()
	info, err := b.Put(ctx, objstore.Key(req.Target.Name), in, req.Cond, objstore.PutOptions{Length: body.Info().Size, LengthKnown: true})
	return objstore.CommitResult{Info: info}, err
}

func (b bucket) OpenVersion(ctx context.Context, _ objstore.ID, path string, v objstore.Version) (objstore.Reader, error) {
	r, err := b.Get(ctx, objstore.Key(path), objstore.IfPresent())
	if err == nil && v != "" && r.Info().Version != v {
		return nil, errors.Join(&objstore.Error{Op: "open", Kind: objstore.ErrPrecondition}, r.Close())
	}
	return r, err
}

func (b bucket) put(t *testing.T, key objstore.Key, body string) objstore.Info {
	t.Helper()
	info, err := b.Put(t.Context(), key, strings.NewReader(body), objstore.Unconditional(), objstore.PutOptions{})
	must(t, err)
	return info
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openArea(t *testing.T, dir string) *Area {
	t.Helper()
	a, err := OpenArea(dir, Options{})
	must(t, err)
	t.Cleanup(func() { must(t, a.Close()) })
	return a
}

// unshared is a reader that a stage cannot share, and so reads to its end at once; shared is one it asks when it needs to.
type shared struct {
	objstore.Reader
	b    bucket
	path string
}

func (s shared) Share() (objstore.Reader, error) {
	return s.b.OpenVersion(context.Background(), 0, s.path, s.Info().Version)
}

// edit is a stage on the current content of a path.
func edit(t *testing.T, a *Area, b bucket, path string) *Stage {
	t.Helper()
	r, err := b.OpenVersion(t.Context(), 0, path, "")
	must(t, err)
	defer r.Close()
	s, err := a.NewStage(t.Context(), objstore.StageSpec{
		Base: shared{r, b, path}, Owner: objstore.Owner{Path: path, Object: 7, UID: 1000, PID: 42, Host: "h", Base: r.Info().Version},
	}, b)
	must(t, err)
	return s.(*Stage)
}

func write(t *testing.T, s *Stage, body string, off int64) {
	t.Helper()
	_, err := s.WriteAt(t.Context(), []byte(body), off)
	must(t, err)
}

// crash is what the death of the process does to an area: its locks are free.
func (a *Area) crash(t *testing.T) {
	t.Helper()
	must(t, a.lock.Close())
}

// sweptBy opens the directory as the next process does and sweeps it.
func sweptBy(t *testing.T, dir string, b Committer) (*Area, []objstore.Conflict) {
	t.Helper()
	a := openArea(t, dir)
	must(t, a.Sweep(t.Context(), b))
	all, err := a.ListConflicts(t.Context())
	must(t, err)
	return a, all
}

func mine(t *testing.T, a *Area, id objstore.ConflictID) string {
	t.Helper()
	r, err := a.OpenConflict(t.Context(), id, objstore.SideMine)
	must(t, err)
	defer r.Close()
	body, err := io.ReadAll(r.Stream(t.Context(), 0, -1))
	must(t, err)
	return string(body)
}

func openCrashing(t *testing.T, dir string) *Area {
	t.Helper()
	a, err := OpenArea(dir, Options{})
	must(t, err)
	return a
}

// TestChangedStagesOfADeadProcessAreKept is promise C4 after a crash.
func TestChangedStagesOfADeadProcessAreKept(t *testing.T) {
	dir, b := t.TempDir(), newBucket(t)
	base := b.put(t, "f", "hello world")
	b.put(t, "same", "old")
	dead := openCrashing(t, dir)
	write(t, edit(t, dead, b, "f"), "J", 0)
	edit(t, dead, b, "f") // unchanged
	committed := edit(t, dead, b, "same")
	write(t, committed, "new", 0)
	b.put(t, "same", "new") // as if its commit had been answered to nobody
	dead.crash(t)
	a, kept := sweptBy(t, dir, b)
	if len(kept) != 1 {
		t.Fatalf("%d conflicts: %+v", len(kept), kept)
	}
	c := kept[0]
	if c.Reason != objstore.ReasonCrash || c.Path != "f" || c.UID != 1000 || c.PID != 42 || c.Host != "h" || c.Base.Version != base.Version || !c.Base.Held ||
		c.Theirs.Version != base.Version || !c.Theirs.Held { // nobody else has changed it
		t.Errorf("kept %+v", c)
	}
	if got := mine(t, a, c.ID); got != "Jello world" {
		t.Errorf("bytes %q", got)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "sessions")); err != nil || len(left) != 2 { // the living one's
		t.Errorf("sessions left: %v, %v", left, err)
	}
	if _, again := sweptBy(t, dir, b); len(again) != 1 {
		t.Errorf("a second sweep: %+v", again)
	}
}

// nameless is a committer that takes an empty path for a mistake, as stores do.
type nameless struct{ bucket }

func (n nameless) OpenVersion(ctx context.Context, id objstore.ID, path string, v objstore.Version) (objstore.Reader, error) {
	switch path {
	case "":
		return nil, &objstore.Error{Op: "lookup", Kind: objstore.ErrInvalid}
	case "later":
		return nil, &objstore.Error{Op: "open", Kind: objstore.ErrUnavailable}
	}
	return n.bucket.OpenVersion(ctx, id, path, v)
}

// TestStagesOfADeadProcessDoNotWaitForEachOther: what had no name when its writer died is kept, too, and one stage whose base cannot be
// had now does not keep the others waiting.
func TestStagesOfADeadProcessDoNotWaitForEachOther(t *testing.T) {
	dir, b := t.TempDir(), newBucket(t)
	dead := openCrashing(t, dir)
	for _, path := range []string{"later", "unnamed", "f"} {
		b.put(t, objstore.Key(path), "hello")
		s := edit(t, dead, b, path)
		if path == "unnamed" {
			s.owner.Path = ""
		}
		write(t, s, "J", 0)
	}
	dead.crash(t)
	a := openArea(t, dir)
	if err := a.Sweep(t.Context(), nameless{b}); !errors.Is(err, objstore.ErrUnavailable) {
		t.Errorf("the sweep: %v", err)
	}
	kept, err := a.ListConflicts(t.Context())
	must(t, err)
	var paths []string
	for _, c := range kept {
		paths = append(paths, c.Path)
	}
	if slices.Sort(paths); !slices.Equal(paths, []string{"", "f"}) {
		t.Errorf("kept %q", paths)
	}
	must(t, a.Sweep(t.Context(), b))
	if kept, err = a.ListConflicts(t.Context()); err != nil || len(kept) != 3 {
		t.Errorf("at last %d are kept: %v", len(kept), err)
	}
}

// TestLostBaseIsTold: what of a dead writer's base is gone reads as zeros, and the conflict says where.
func TestLostBaseIsTold(t *testing.T) {
	dir, b := t.TempDir(), newBucket(t)
	b.put(t, "f", "hello world")
	dead := openCrashing(t, dir)
	write(t, edit(t, dead, b, "f"), "J", 0)
	dead.crash(t)
	b.put(t, "f", "another")
	a, kept := sweptBy(t, dir, b)
	if len(kept) != 1 || mine(t, a, kept[0].ID) != "J"+strings.Repeat("\x00", 10) || !kept[0].Gaps || !strings.Contains(kept[0].Detail, "1 to 11") {
		t.Errorf("kept %+v", kept)
	}
}

func TestSessionsOfTheLivingAreLeftAlone(t *testing.T) {
	dir, b := t.TempDir(), newBucket(t)
	b.put(t, "f", "hello")
	living := openArea(t, dir)
	s := edit(t, living, b, "f")
	defer s.Close()
	write(t, s, "J", 0)
	if _, kept := sweptBy(t, dir, b); len(kept) != 0 {
		t.Errorf("kept %+v", kept)
	}
	p := make([]byte, 5)
	if _, err := s.ReadAt(t.Context(), p, 0); err != nil || string(p) != "Jello" {
		t.Errorf("read %q, %v", p, err)
	}
}

// TestHalfReplacedConflictIsFound: the process dies after the earlier copy has made room and before the newer is there.
func TestHalfReplacedConflictIsFound(t *testing.T) {
	dir, b := t.TempDir(), newBucket(t)
	b.put(t, "f", "hello")
	dead := openCrashing(t, dir)
	s := edit(t, dead, b, "f")
	write(t, s, "J", 0)
	kept, err := s.Keep(t.Context(), objstore.Conflict{Reason: objstore.ReasonLost, Path: "f"})
	must(t, err)
	must(t, s.endJournal())
	must(t, os.Rename(filepath.Join(dead.kept, string(kept.ID)), filepath.Join(dead.session, "replaced-99")))
	dead.crash(t)
	a, all := sweptBy(t, dir, b)
	if len(all) != 1 || all[0].ID != kept.ID || mine(t, a, kept.ID) != "Jello" {
		t.Errorf("after the sweep: %+v", all)
	}
}

// TestRandomStagesSurviveACrash compares what a sweep finds with a byte slice.
func TestRandomStagesSurviveACrash(t *testing.T) {
	seed := uint64(1)
	if n, err := strconv.ParseUint(os.Getenv("CACHE_SEED"), 10, 64); err == nil {
		seed = n
	}
	for run := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, run))
		dir, b := t.TempDir(), newBucket(t)
		want := bytes.Repeat([]byte("base"), rng.IntN(3000))
		b.put(t, "f", string(want))
		dead := openCrashing(t, dir)
		s := edit(t, dead, b, "f")
		for range 1 + rng.IntN(30) {
			want = editRandomly(t, s, rng, want)
		}
		got := make([]byte, s.Size())
		if n, err := s.ReadAt(t.Context(), got, 0); len(got) > 0 && (n != len(got) || err != nil) || !bytes.Equal(got, want) {
			t.Fatalf("run %d: the stage is wrong: %v (run again with CACHE_SEED=%d)", run, err, seed)
		}
		dead.crash(t)
		a, kept := sweptBy(t, dir, b)
		if len(kept) == 0 && bytes.Equal(want, readAll(t, b, "f")) {
			continue // it came back to what is there
		}
		if len(kept) != 1 || mine(t, a, kept[0].ID) != string(want) {
			t.Fatalf("run %d: kept %+v (run again with CACHE_SEED=%d)", run, kept, seed)
		}
	}
}

func readAll(t *testing.T, b bucket, path string) []byte {
	t.Helper()
	r, err := b.OpenVersion(t.Context(), 0, path, "")
	must(t, err)
	defer r.Close()
	body, err := io.ReadAll(r.Stream(t.Context(), 0, -1))
	must(t, err)
	return body
}

func editRandomly(t *testing.T, s *Stage, rng *rand.Rand, want []byte) []byte {
	ctx := t.Context()
	off, length := rng.Int64N(int64(len(want))+500), 1+rng.Int64N(2000)
	end := off + length
	grow := func(size int64) {
		if size > int64(len(want)) {
			want = append(want, make([]byte, size-int64(len(want)))...)
		}
	}
	switch rng.IntN(6) {
	case 0:
		must(t, s.Truncate(ctx, off))
		grow(off)
		want = want[:off]
	case 1:
		must(t, s.Allocate(ctx, off, length, objstore.PunchHole))
		if off < int64(len(want)) {
			clear(want[off:min(end, int64(len(want)))])
		}
	case 2:
		must(t, s.Allocate(ctx, off, length, objstore.ZeroRange))
		grow(end)
		clear(want[off:end])
	default:
		p := bytes.Repeat([]byte{byte('a' + rng.IntN(26))}, int(length))
		_, err := s.WriteAt(ctx, p, off)
		must(t, err)
		grow(end)
		copy(want[off:], p)
	}
	return want
}

// TestFailedCommitChangesNothing: a stage that lost can still be read, kept and committed knowingly.
func TestFailedCommitChangesNothing(t *testing.T) {
	ctx, b := t.Context(), newBucket(t)
	base := b.put(t, "f", "hello world")
	a := openArea(t, t.TempDir())
	s := edit(t, a, b, "f")
	defer s.Close()
	write(t, s, "J", 0)
	winner := b.put(t, "f", "winner")
	_, err := s.Commit(ctx, objstore.CommitRequest{Target: objstore.Target{Name: "f"}, Cond: objstore.IfVersion(base.Version)})
	if !errors.Is(err, objstore.ErrPrecondition) || !s.Changed() {
		t.Errorf("commit: %v, changed %v", err, s.Changed())
	}
	kept, err := s.Keep(ctx, objstore.Conflict{
		Reason: objstore.ReasonLost, Path: "f", Theirs: objstore.ContentRef{Exists: true, Version: winner.Version},
	})
	must(t, err)
	if mine(t, a, kept.ID) != "Jello world" || !kept.Theirs.Held {
		t.Errorf("kept %+v", kept)
	}
	res, err := s.Commit(ctx, objstore.CommitRequest{Target: objstore.Target{Name: "f"}, Cond: objstore.IfVersion(winner.Version)})
	must(t, err)
	if got := readAll(t, b, "f"); string(got) != "Jello world" || res.Appended || s.Changed() {
		t.Errorf("committed %q, appended %v, changed %v", got, res.Appended, s.Changed())
	}
}

func TestExtentsMatchBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const size = 64
	for range 300 {
		var x extents
		want := make([]source, size)
		limit := rng.Int64N(size)
		for i := range want {
			if int64(i) < limit {
				want[i] = fromBase
			}
		}
		for range 20 {
			off := rng.Int64N(size)
			end := off + rng.Int64N(size-off+1)
			zero := rng.IntN(2) == 0
			x.set(extent{off, end, zero})
			for i := off; i < end; i++ {
				want[i] = map[bool]source{true: fromZeros, false: fromFile}[zero]
			}
			if err := check(x, want, limit); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func check(x extents, want []source, limit int64) error {
	for i := 1; i < len(x); i++ {
		if x[i-1].end > x[i].off || x[i-1].end == x[i].off && x[i-1].zero == x[i].zero {
			return fmt.Errorf("out of order or not joined: %v", x)
		}
	}
	for off := int64(0); off < int64(len(want)); {
		from, end := x.at(off, int64(len(want)), limit)
		if end <= off {
			return fmt.Errorf("no progress at %d: %v", off, x)
		}
		for ; off < end; off++ {
			if want[off] != from {
				return fmt.Errorf("byte %d comes from %d instead of %d: %v", off, from, want[off], x)
			}
		}
	}
	return nil
}
