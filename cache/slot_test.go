package cache

import (
	"os"
	"strconv"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// fresh is a stage of a file that does not exist.
func fresh(t *testing.T, a *Area, b bucket, path string) *Stage {
	t.Helper()
	s, err := a.NewStage(t.Context(), objstore.StageSpec{Owner: objstore.Owner{Path: path}}, b)
	must(t, err)
	return s.(*Stage)
}

// Small stages, one after another, make no files but the first's.
func TestStagesShareASlot(t *testing.T) {
	dir, b := t.TempDir(), newBucket(t)
	a := openArea(t, dir)
	for i := range 100 {
		s := fresh(t, a, b, strconv.Itoa(i))
		write(t, s, "content", 0)
		if i%2 == 0 {
			_, err := s.Commit(t.Context(), objstore.CommitRequest{Target: objstore.Target{Name: strconv.Itoa(i)}, Cond: objstore.IfAbsent()})
			must(t, err)
		}
		must(t, s.Close())
	}
	files, err := os.ReadDir(a.session)
	must(t, err)
	if len(files) != 2 {
		t.Fatalf("there are %d files, want one of data and one journal", len(files))
	}
	for _, f := range files { // or it might be found as another's after power was lost
		if info, err := f.Info(); err != nil || info.Size() != 0 {
			t.Errorf("%s is not empty (%v)", f.Name(), err)
		}
	}
}

// C4: in a slot that was used before, a process that dies leaves what it has written last, and nothing else: no byte and no range
// of the stages before, and nothing for a slot that is nobody's.
func TestC4ASlotKeepsNothingOfItsFormerStages(t *testing.T) {
	dir, b := t.TempDir(), newBucket(t)
	dead := openCrashing(t, dir)
	both := []*Stage{fresh(t, dead, b, "first"), fresh(t, dead, b, "second")}
	for _, s := range both {
		for off := range 20 {
			write(t, s, "secret of another", int64(off*100))
		}
	}
	for _, s := range both {
		must(t, s.Close())
	}
	last := fresh(t, dead, b, "last")
	write(t, last, "x", 0)
	must(t, last.Truncate(t.Context(), 10))
	write(t, last, "y", 9)
	dead.crash(t)

	a, kept := sweptBy(t, dir, b)
	if len(kept) != 1 || kept[0].Path != "last" {
		t.Fatalf("kept %v, want that of last alone", kept)
	}
	if got, want := mine(t, a, kept[0].ID), "x\x00\x00\x00\x00\x00\x00\x00\x00y"; got != want {
		t.Errorf("kept %q, want %q", got, want)
	}
}

// C4: what was changed after a commit, in the same slot, is found beside what the commit has.
func TestC4ASlotIsUsedAgainAfterACommit(t *testing.T) {
	dir, b := t.TempDir(), newBucket(t)
	dead := openCrashing(t, dir)
	s := fresh(t, dead, b, "f")
	write(t, s, "committed", 0)
	_, err := s.Commit(t.Context(), objstore.CommitRequest{Target: objstore.Target{Name: "f"}, Cond: objstore.IfAbsent()})
	must(t, err)
	write(t, s, "C", 0)
	dead.crash(t)

	a, kept := sweptBy(t, dir, b)
	if len(kept) != 1 || mine(t, a, kept[0].ID) != "Committed" {
		t.Errorf("kept %v", kept)
	}
}

// Slots are given up when there are many, and with their area.
func TestSlotsAreBounded(t *testing.T) {
	dir, b := t.TempDir(), newBucket(t)
	a, err := OpenArea(dir, Options{})
	must(t, err)
	var all []*Stage
	for i := range sparesMax + 10 {
		s := fresh(t, a, b, strconv.Itoa(i))
		write(t, s, "content", 0)
		all = append(all, s)
	}
	for _, s := range all[:sparesMax+5] {
		must(t, s.Close())
	}
	files, err := os.ReadDir(a.session)
	must(t, err)
	if want := 2 * (sparesMax + 5); len(files) != want {
		t.Errorf("there are %d files, want %d", len(files), want)
	}
	must(t, a.Close())
	if files, err := os.ReadDir(a.sessions); err != nil || len(files) != 0 {
		t.Errorf("%v remain (%v)", files, err)
	}
}
