package main

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/etagfs/etagfs/cache"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// C4: a copy that was kept on this machine because the store's reply was lost, and by the store, is one: the later state
// of it, which is here. Dropped, it is gone from both.
func TestCopyKeptInBothPlacesIsOne(t *testing.T) {
	ctx := t.Context()
	store, err := memstore.New(memstore.Options{}).Bucket(ctx, memstore.MainBucket)
	must(t, err)
	ns := store.(objstore.Namespace)
	area, err := cache.OpenArea(t.TempDir(), cache.Options{})
	must(t, err)
	defer func() { must(t, area.Close()) }()
	keep := func(c objstore.Conflict, body string, open func(context.Context, objstore.StageSpec) (objstore.Stage, error)) objstore.ConflictID {
		t.Helper()
		stage, err := open(ctx, objstore.StageSpec{})
		must(t, err)
		_, err = stage.WriteAt(ctx, []byte(body), 0)
		must(t, err)
		kept, err := stage.Keep(ctx, c)
		must(t, err)
		must(t, stage.Close())
		return kept.ID
	}
	here := func(ctx context.Context, spec objstore.StageSpec) (objstore.Stage, error) {
		return area.NewStage(ctx, spec, versionsOf{ns})
	}
	const id = objstore.ConflictID("20260102T030405Z-1a2b3c4d")
	lost := objstore.Conflict{ID: id, Reason: objstore.ReasonLost, Path: "f"}
	keep(lost, "early", ns.NewStage)
	keep(lost, "later", here)
	other := keep(objstore.Conflict{Reason: objstore.ReasonLost, Path: "g"}, "other", ns.NewStage)

	k := keptHere{Namespace: ns, area: area, log: slog.New(slog.DiscardHandler)}
	all, err := k.ListConflicts(ctx)
	if err != nil || len(all) != 2 {
		t.Errorf("listed %+v, %v", all, err)
	}
	mine, err := k.OpenConflict(ctx, id, objstore.SideMine)
	must(t, err)
	p := make([]byte, 5)
	if _, err := mine.ReadAt(ctx, p, 0); err != nil || string(p) != "later" {
		t.Errorf("read %q, %v", p, err)
	}
	must(t, mine.Close())
	must(t, k.DropConflict(ctx, id))
	if all, err := k.ListConflicts(ctx); err != nil || len(all) != 1 || all[0].ID != other {
		t.Errorf("after one was dropped: %+v, %v", all, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Copies of both places are listed by their times as far as each place has its order, which is that in which they were kept.
func TestCopiesOfBothPlacesStayInTheirOrder(t *testing.T) {
	list := func(seconds ...int64) (all []objstore.Conflict) {
		for _, s := range seconds {
			all = append(all, objstore.Conflict{Time: time.Unix(s, 0)})
		}
		return all
	}
	for _, c := range []struct{ there, here, want []objstore.Conflict }{
		{list(1, 3), list(2, 4), list(1, 2, 3, 4)},
		{list(9, 1), list(2), list(2, 9, 1)},
		{nil, list(2, 1), list(2, 1)},
	} {
		if got := merged(c.there, c.here); !slices.Equal(got, c.want) {
			t.Errorf("%v, want %v", got, c.want)
		}
	}
}
