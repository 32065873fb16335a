package fs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// why reads user.etagfs.why of a path.
func (m *mounted) why(c Caller, path string) (w Why) {
	m.t.Helper()
	entry, err := m.walk(c, path)
	if err != nil {
		m.t.Fatal(err)
	}
	text, err := m.GetXattr(m.ctx, c, entry.View, xattrWhy)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := json.Unmarshal(text, &w); err != nil {
		m.t.Fatal(err)
	}
	return w
}

// C10: who won, which version the loser began with and where its bytes are can be asked afterwards.
func TestWhyNamesTheWinnerAndTheKeptCopyOfTheLoser(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	base := m.why(bob, "f")
	loser := m.open(bob, "f", readWrite)
	m.write(loser, 0, "loser")
	winner := m.open(alice, "f", readWrite)
	m.write(winner, 0, "winner")
	m.close(winner)
	kept := m.loses(loser)

	got := m.why(bob, "f")
	if got.Writer == nil || got.Writer.UID != alice.UID || got.Writer.PID != 100 || got.Writer.Program != "program" || got.Writer.ETag != got.ETag {
		t.Errorf("the writer is %+v of %+v", got.Writer, got)
	}
	lost := got.Lost
	if lost == nil || lost.Kept != kept.ID || lost.Base != base.ETag || lost.Theirs != got.ETag || !lost.KeptStill || lost.UID != bob.UID || lost.PID != 300 {
		t.Fatalf("the loss is %+v of %+v", lost, got)
	}
	if lost.Winner == nil || *lost.Winner != *got.Writer {
		t.Errorf("the winner is %+v, not %+v", lost.Winner, got.Writer)
	}
	if want := "won by program (pid 100, uid 1000) on testhost at "; !strings.Contains(kept.Detail, want) {
		t.Errorf("the kept copy does not say %q: %q", want, kept.Detail)
	}
	if other := m.why(alice, "f"); other.Lost != nil {
		t.Errorf("another user is told of the loss: %+v", other.Lost)
	}
	if err := m.store.DropConflict(m.ctx, kept.ID); err != nil {
		t.Fatal(err)
	}
	if again := m.why(root, "f"); again.Lost == nil || again.Lost.KeptStill {
		t.Errorf("after the copy was dropped the loss is %+v", again.Lost)
	}
}

// Two make the same file: the loser's was never one, so the path leads to it.
func TestWhyKnowsOfALostCreateByItsPath(t *testing.T) {
	w := newWorld(t)
	m, other := w.mount(Options{}), w.mount(Options{})
	loser := m.create(alice, "f")
	m.write(loser, 0, "mine")
	other.put("f", "theirs")
	kept := m.loses(loser)
	got := m.why(alice, "f")
	if got.Writer != nil {
		t.Errorf("a version that another mount made is said to be by %+v", got.Writer)
	}
	if got.Lost == nil || got.Lost.Kept != kept.ID || got.Lost.Base != "" || got.Lost.Theirs != got.ETag || got.Lost.Winner != nil {
		t.Errorf("the loss is %+v", got.Lost)
	}
	if later := other.why(alice, "f"); later.Lost == nil || later.Lost.Kept != kept.ID || later.Writer == nil {
		t.Errorf("the mount that won tells %+v", later)
	}
}

func TestTransactionsTellWhatIsOpenForWriting(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	h := m.open(bob, "f", readWrite)
	if all := m.Transactions(m.ctx); len(all) != 1 || all[0].Changed || all[0].State != "open" || all[0].Path != "f" || all[0].PID != 300 {
		t.Errorf("unchanged: %+v", all)
	}
	m.write(h, 0, "longer than base")
	if all := m.Transactions(m.ctx); len(all) != 1 || !all[0].Changed || all[0].Bytes != 16 || all[0].Base == "" {
		t.Errorf("changed: %+v", all)
	}
	if c := m.Counts(); c.Open != 1 || c.Changed != 1 || c.StagingBytes != 16 || c.Committing != 0 {
		t.Errorf("counted: %+v", c)
	}
	m.close(h)
	if all := m.Transactions(m.ctx); len(all) != 0 {
		t.Errorf("after the close: %+v", all)
	}
}

func TestCommitsAreCountedByOutcome(t *testing.T) {
	m, _ := conflicted(t)
	appender := m.open(bob, "f", appending)
	m.put("f", "changed")
	m.write(appender, 0, "+")
	m.close(appender)
	got := m.Counts()
	if got.Lost != 1 || got.Rebased != 1 || got.Kept != 1 || got.Committed != 3 || got.Failed != 0 || got.Unknown != 0 {
		t.Errorf("%+v", got)
	}
	if n := got.Commits.Count(); n < 5 {
		t.Errorf("%d commits were timed", n)
	}
}

// What a control file says is an attribute of the root, and of nothing else, for those who may read the file.
func TestTextsOfTheControlDirectoryAreAttributesOfTheRoot(t *testing.T) {
	m := newMount(t)
	text := func(context.Context) []byte { return []byte("text") }
	m.texts = []ControlFile{{Name: "open", Mode: 0o444, UID: alice.UID, Text: text}, {Name: "private", Mode: 0o400, UID: alice.UID, Text: text}}
	m.put("f", "text")
	file, err := m.walk(root, "f")
	if err != nil {
		t.Fatal(err)
	}
	rootView := View{Object: m.ns.Root()}
	for _, test := range []struct {
		caller Caller
		view   View
		name   string
		want   error
	}{
		{bob, rootView, "open", nil}, {alice, rootView, "private", nil}, {root, rootView, "private", nil},
		{bob, rootView, "private", objstore.ErrPermission}, {root, rootView, "none", ErrNoXattr}, {root, file.View, "open", ErrNoXattr},
	} {
		value, err := m.GetXattr(m.ctx, test.caller, test.view, "system.etagfs."+test.name)
		if !errors.Is(err, test.want) || err == nil && string(value) != "text" {
			t.Errorf("%s of %d, for user %d: %q, %v", test.name, test.view.Object, test.caller.UID, value, err)
		}
	}
}

// A text that is another at each look must not keep who reads it to the end from getting there.
func TestAControlFileEndsAndGoesOnAfterwards(t *testing.T) {
	m := newMount(t)
	looks := 0
	m.texts = []ControlFile{{Name: "log", Mode: 0o400, Text: func(context.Context) []byte {
		looks++
		return []byte(strings.Repeat("line\n", looks))
	}}}
	entry, err := m.walk(root, ".etagfs/log")
	if err != nil {
		t.Fatal(err)
	}
	h, _, err := m.Open(m.ctx, root, entry.View, readOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release(m.ctx)
	var got []string
	off, p := int64(0), make([]byte, 64)
	for range 5 {
		n, err := h.ReadAt(m.ctx, p, off)
		if err != nil {
			t.Fatal(err)
		}
		got, off = append(got, fmt.Sprint(n)), off+int64(n)
	}
	if want := "5 0 5 0 5"; strings.Join(got, " ") != want {
		t.Errorf("reads returned %s bytes, want %s", strings.Join(got, " "), want)
	}
	if names := m.list(root, ".etagfs"); strings.Join(names, " ") != "conflicts log" {
		t.Errorf("the control directory lists %q", names)
	}
	if names := m.list(root, ""); len(names) != 0 {
		t.Errorf("the root lists %q", names)
	}
}

// What is remembered is bounded, whatever is written.
func TestHistoryKeepsTheNewestLosses(t *testing.T) {
	h := newHistory(&fakeProcesses{}, "host")
	for n := range lossesMax + 10 {
		h.lost(objstore.Conflict{ID: objstore.ConflictID(fmt.Sprint(n)), Object: objstore.ID(n)}, "", rival{})
	}
	if len(h.losses) != lossesMax || h.losses[0].object != 10 {
		t.Errorf("%d losses, from %d on", len(h.losses), h.losses[0].object)
	}
}

// Who is remembered to have written a version is so after memory was given back, also of versions that came meanwhile.
func TestWritersAreRememberedWhenMemoryIsGivenBack(t *testing.T) {
	h := newHistory(&fakeProcesses{}, "host")
	version := func(id objstore.ID, n int) objstore.Version {
		return objstore.Version(fmt.Sprintf("version %d of %d", n, id))
	}
	commit := func(id objstore.ID, n int) {
		info := objstore.Info{ID: id, Version: version(id, n), ETag: objstore.ETag(fmt.Sprintf("tag %d of %d", n, id))}
		h.committed(order{caller: root, op: "close"}, info, time.Unix(int64(n), 0))
	}
	const objects, versions = writerSlots / 2, 15
	given := make(chan struct{})
	var giving sync.WaitGroup
	giving.Go(func() {
		for {
			select {
			case <-given:
				return
			default:
				h.gather()
			}
		}
	})
	check := func(n int) {
		t.Helper()
		for id := range objstore.ID(objects) {
			w := h.writerOf(id, version(id, n))
			if w == nil || w.ETag != objstore.ETag(fmt.Sprintf("tag %d of %d", n, id)) || w.Time.Unix() != int64(n) || w.Operation != "close" {
				t.Errorf("version %d of %d was written by %+v", n, id, w)
			}
		}
	}
	for n := range versions {
		for id := range objstore.ID(objects) {
			commit(id, n)
		}
		check(n)
	}
	close(given)
	giving.Wait()
	h.gather()
	check(versions - 1)
}
