package badgerstore

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// commitAt writes p at off of a file as it is at version, and commits that.
func commitAt(t *testing.T, b *Bucket, s objstore.Stage, info objstore.Info, p string, off int64) (objstore.Info, error) {
	t.Helper()
	if _, err := s.WriteAt(t.Context(), []byte(p), off); err != nil {
		t.Fatal(err)
	}
	res, err := s.Commit(t.Context(), objstore.CommitRequest{
		Target: objstore.Target{ID: info.ID}, Cond: objstore.IfVersion(info.Version)})
	return res.Info, err
}

func stageOf(t *testing.T, b *Bucket, info objstore.Info) objstore.Stage {
	t.Helper()
	r, err := b.Open(t.Context(), info.ID, info.Version)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s, err := b.NewStage(t.Context(), objstore.StageSpec{Base: r, Owner: objstore.Owner{Path: "f", Object: info.ID, Base: info.Version}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// C4: what a loser keeps shares pages with the base it lost; the winner's commit freed some of
// them. They stay when the base goes.
func TestKeptContentOutlivesTheGarbageOfItsBase(t *testing.T) {
	dir, ctx := testDir(t), t.Context()
	e, err := Open(ctx, dir, Options{Create: true}, testParts(t))
	if err != nil {
		t.Fatal(err)
	}
	b := mainBucket(t, e)
	want := bytes.Repeat([]byte("0123456789abcdef"), 12<<20/16)
	info, err := b.Put(ctx, "f", bytes.NewReader(want), objstore.Unconditional(), objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	edit := func(s objstore.Stage, p string, off int64) error {
		now, err := commitAt(t, b, s, info, p, off)
		if err == nil {
			info = now
		}
		return err
	}
	first := stageOf(t, b, info)
	for _, off := range []int64{100, 9 << 20} { // blocks 0 and 2 get pages
		if err := edit(first, "first", off); err != nil {
			t.Fatal(err)
		}
		copy(want[off:], "first")
	}
	winner, loser := stageOf(t, b, info), stageOf(t, b, info)
	base := info
	if err := edit(winner, "winner", 200); err != nil {
		t.Fatal(err)
	}
	info = base
	if err := edit(loser, "loser", 9<<20+100); objstore.KindOf(err) != objstore.ErrPrecondition {
		t.Fatalf("the loser's commit: %v", err)
	}
	kept, err := loser.Keep(ctx, objstore.Conflict{Reason: objstore.ReasonLost, Path: "f", Object: info.ID})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []objstore.Stage{first, winner, loser} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = openTest(t, dir, Options{})
	b = mainBucket(t, e)
	for range 4 { // the epoch turns with each
		for e.collector.collect() {
		}
	}
	wantContent(t, b, kept.ID, objstore.SideBase, want)
	copy(want[9<<20+100:], "loser")
	wantContent(t, b, kept.ID, objstore.SideMine, want)
	if err := e.checkInvariants(); err != nil {
		t.Error(err)
	}
}

// C4: the same for pages of the base that a content refers to whose pages are stored ahead.
func TestKeptContentStoredAheadCountsTheFreedPagesOfItsBase(t *testing.T) {
	const blocks, blockBytes = 20, 4 << 20
	ctx := t.Context()
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true})
	b := mainBucket(t, e)
	want := bytes.Repeat([]byte("0123456789abcdef"), blocks*blockBytes/16)
	info, err := b.Put(ctx, "f", bytes.NewReader(want), objstore.Unconditional(), objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// write writes p into each block from the first given on.
	write := func(s objstore.Stage, p string, first, off int) {
		for at := first*blockBytes + off; at < len(want); at += blockBytes {
			if _, err := s.WriteAt(ctx, []byte(p), int64(at)); err != nil {
				t.Fatal(err)
			}
			copy(want[at:], p)
		}
	}
	first := stageOf(t, b, info)
	write(first, "first", 0, 0)
	if info, err = commitAt(t, b, first, info, "first", 0); err != nil {
		t.Fatal(err)
	}
	winner, loser := stageOf(t, b, info), stageOf(t, b, info)
	if _, err := commitAt(t, b, winner, info, "winner", 100); err != nil {
		t.Fatal(err)
	}
	write(loser, "loser", 1, 200)
	e.collector.working.Lock() // nobody else commits now
	most := e.batchBytesMax
	e.batchBytesMax = 12000
	kept, err := loser.Keep(ctx, objstore.Conflict{Reason: objstore.ReasonLost, Path: "f", Object: info.ID})
	e.batchBytesMax = most
	e.collector.working.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []objstore.Stage{first, winner, loser} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	collectAll(t, e)
	wantContent(t, b, kept.ID, objstore.SideMine, want)
	if err := e.checkInvariants(); err != nil {
		t.Error(err)
	}
}

func wantContent(t *testing.T, b *Bucket, id objstore.ConflictID, side objstore.ConflictSide, want []byte) {
	t.Helper()
	r, err := b.OpenConflict(t.Context(), id, side)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := r.Stream(t.Context(), 0, -1)
	defer s.Close()
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("side %d of the conflict: %d bytes of %d, %v", side, len(got), len(want), err)
	}
}

// C4: copies are listed in the order in which they were kept, whatever those say who kept them, and so after the next open.
func TestKeptCopiesAreListedAsTheyWereKept(t *testing.T) {
	dir := filepath.Join(testDir(t), "store")
	e := openTest(t, dir, Options{Create: true})
	now := time.Now()
	var want []objstore.ConflictID
	for _, by := range []time.Duration{time.Hour, 0, -time.Hour, time.Minute} {
		s, err := mainBucket(t, e).NewStage(t.Context(), objstore.StageSpec{})
		must(t, err)
		_, err = s.WriteAt(t.Context(), []byte("mine"), 0)
		must(t, err)
		kept, err := s.Keep(t.Context(), objstore.Conflict{Reason: objstore.ReasonLost, Path: "f", Time: now.Add(by)})
		must(t, errors.Join(err, s.Close()))
		want = append(want, kept.ID)
	}
	for range 2 {
		all, err := mainBucket(t, e).ListConflicts(t.Context())
		must(t, err)
		var got []objstore.ConflictID
		for _, c := range all {
			got = append(got, c.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		must(t, e.Close())
		e = openTest(t, dir, Options{})
	}
	must(t, e.Close())
}
