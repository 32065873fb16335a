package memstore

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

func TestDirectoryGoesWithItsLastKeyUnlessExplicit(t *testing.T) {
	ctx := context.Background()
	b := NewBucket(Options{})
	put := func(key objstore.Key) objstore.Info {
		info, err := b.Put(ctx, key, strings.NewReader("x"), objstore.Unconditional(), objstore.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	put("a/b/c")
	put("a")
	dir, err := b.Lookup(ctx, b.Root(), "a")
	if err != nil || dir.Type != objstore.TypeDir || dir.Explicit {
		t.Fatalf("%+v, %v", dir, err)
	}
	if err := b.checkInvariants(); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(ctx, "a/b/c", objstore.Unconditional(), objstore.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if file, err := b.Lookup(ctx, b.Root(), "a"); err != nil || file.Type != objstore.TypeFile {
		t.Fatalf("%+v, %v", file, err)
	}
	if err := b.checkInvariants(); err != nil {
		t.Fatal(err)
	}
}

func TestFailedMultiStepCommitLeavesNoTrace(t *testing.T) {
	ctx := context.Background()
	b := NewBucket(Options{})
	var told int
	b.Watch(func(objstore.Change) { told++ })
	id, err := b.NewID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.NewStage(ctx, objstore.StageSpec{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before, err := b.Stat(ctx, b.Root())
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Commit(ctx, objstore.CommitRequest{
		Target: objstore.Target{ID: id, Parent: b.Root(), Name: "f"}, Cond: objstore.IfAbsent(),
		Move: &objstore.MoveRequest{
			Parent: b.Root(), Name: "f", Cond: objstore.Unconditional(),
			NewParent: b.Root(), NewName: "g", NewCond: objstore.IfPresent(),
		},
	})
	if objstore.KindOf(err) != objstore.ErrNotFound {
		t.Fatal(err)
	}
	after, err := b.Stat(ctx, b.Root())
	if err != nil || after.MetaVersion != before.MetaVersion || told != 0 {
		t.Fatalf("%+v, %v, %d changes told", after, err, told)
	}
	if err := b.checkInvariants(); err != nil {
		t.Fatal(err)
	}
}

func TestTimeOfCommitsNeverGoesBack(t *testing.T) {
	ctx := context.Background()
	now := time.Unix(1000, 0)
	b := NewBucket(Options{Clock: func() time.Time { now = now.Add(-time.Second); return now }})
	var last time.Time
	for range 3 {
		info, err := b.Put(ctx, "k", strings.NewReader(""), objstore.Unconditional(), objstore.PutOptions{})
		if err != nil || info.Modified.Before(last) {
			t.Fatalf("%v after %v, %v", info.Modified, last, err)
		}
		last = info.Modified
	}
}

func TestWriteIDIsForgottenAfterADay(t *testing.T) {
	ctx := context.Background()
	now := time.Unix(1000, 0)
	b := NewBucket(Options{Clock: func() time.Time { return now }})
	put := func() objstore.Version {
		info, err := b.Put(ctx, "k", strings.NewReader("x"), objstore.Unconditional(), objstore.PutOptions{WriteID: "w"})
		if err != nil {
			t.Fatal(err)
		}
		return info.Version
	}
	first := put()
	now = now.Add(replayFor)
	if again := put(); again != first {
		t.Fatalf("%s, then %s within a day", first, again)
	}
	now = now.Add(time.Second)
	if later := put(); later == first {
		t.Fatal("the outcome was still there after a day")
	}
}

func TestBodyCutOffIsNotTakenForItsEnd(t *testing.T) {
	b := NewBucket(Options{})
	body := io.MultiReader(strings.NewReader("half"), failing{io.ErrUnexpectedEOF})
	_, err := b.Put(context.Background(), "k", body, objstore.Unconditional(), objstore.PutOptions{})
	if objstore.KindOf(err) != objstore.ErrInvalid {
		t.Fatal(err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
