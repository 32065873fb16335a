package flatns_test

import (
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/flatns"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// A copy that another mount kept names an object by an id that is another file's here, which is not meant. The file of the copy's path
// is, under any id.
func TestKeptCopiesOfOtherMountsNameNoOtherFile(t *testing.T) {
	bucket := flat{memstore.NewBucket(memstore.Options{}), nil}
	first, area, err := over(bucket, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer area.Close()
	ids := map[string]objstore.ID{}
	look := func(ns *flatns.Namespace, name string) objstore.ID {
		t.Helper()
		info, err := ns.Lookup(t.Context(), ns.Root(), name)
		if err != nil {
			t.Fatal(err)
		}
		return info.ID
	}
	for _, name := range []string{"f", "g"} {
		id, err := first.NewID(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		stage, err := first.NewStage(t.Context(), objstore.StageSpec{Empty: true, Owner: objstore.Owner{Path: name, Object: id}})
		if err != nil {
			t.Fatal(err)
		}
		defer stage.Close()
		target := objstore.Target{ID: id, Parent: first.Root(), Name: name}
		if _, err := stage.Commit(t.Context(), objstore.CommitRequest{Target: target, Cond: objstore.IfAbsent()}); err != nil {
			t.Fatal(err)
		}
		ids[name] = look(first, name)
		if name == "f" {
			if _, err := stage.Keep(t.Context(), objstore.Conflict{Reason: objstore.ReasonLost, Path: name, Object: ids[name]}); err != nil {
				t.Fatal(err)
			}
		}
	}
	named := func(ns *flatns.Namespace) objstore.ID {
		t.Helper()
		all, err := ns.ListConflicts(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("%v, %v", all, err)
		}
		one, err := ns.Conflict(t.Context(), all[0].ID)
		if err != nil || one != all[0] {
			t.Errorf("%+v (%v), listed as %+v", one, err, all[0])
		}
		return one.Object
	}
	if id := named(first); id != ids["f"] {
		t.Errorf("the mount that kept it names object %d, not %d", id, ids["f"])
	}
	second, err := flatns.New(flatns.Config{Store: bucket, Conflicts: area, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if g := look(second, "g"); g != ids["f"] {
		t.Fatalf("g is %d here, so this tells nothing", g)
	}
	if id := named(second); id != 0 {
		t.Errorf("another mount names object %d, which is g", id)
	}
}
