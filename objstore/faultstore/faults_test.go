package faultstore

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// scene is a small wrapped bucket: the file "f" and the empty directory "d".
type scene struct {
	t     *testing.T
	inner *memstore.Bucket
	b     *Bucket
	file  objstore.Info
	dir   objstore.Info
	stage objstore.Stage // changed, on f
	kept  objstore.Conflict
}

func newScene(t *testing.T, injector Injector) *scene {
	toggle := NewToggle(injector)
	inner := memstore.NewBucket(memstore.Options{})
	s := &scene{t: t, inner: inner, b: NewBucket(inner, inner, toggle)}
	ctx := t.Context()
	var err error
	s.file, err = s.b.Put(ctx, "f", strings.NewReader("old"), objstore.IfAbsent(), objstore.PutOptions{})
	s.ok(err)
	s.dir, err = s.b.Make(ctx, objstore.MakeRequest{Parent: s.b.Root(), Name: "d", Type: objstore.TypeDir})
	s.ok(err)
	r, err := s.b.Get(ctx, "f", objstore.IfPresent())
	s.ok(err)
	s.stage, err = s.b.NewStage(ctx, objstore.StageSpec{Base: r, Owner: objstore.Owner{Path: "f"}})
	s.ok(err)
	_, err = s.stage.WriteAt(ctx, []byte("new"), 0)
	s.ok(err)
	other, err := s.b.NewStage(ctx, objstore.StageSpec{})
	s.ok(err)
	s.kept, err = other.Keep(ctx, objstore.Conflict{Reason: objstore.ReasonFailed, Path: "kept"})
	s.ok(err)
	toggle.Set(true)
	return s
}

func (s *scene) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) content() string {
	r, err := s.inner.Get(s.t.Context(), "f", objstore.IfPresent())
	s.ok(err)
	body, err := io.ReadAll(r.Stream(s.t.Context(), 0, -1))
	s.ok(err)
	return string(body)
}

func (s *scene) has(key objstore.Key) bool {
	_, err := s.inner.Head(s.t.Context(), key)
	return err == nil
}

func (s *scene) hasName(name string) bool {
	_, err := s.inner.Lookup(s.t.Context(), s.inner.Root(), name)
	return err == nil
}

// mutation is one operation that changes something, and how to see that it did.
type mutation struct {
	kind    Kind
	run     func(ctx context.Context, s *scene) error
	applied func(s *scene) bool
}

func mutations() []mutation {
	any := objstore.Unconditional()
	return []mutation{
		{OpPut, func(ctx context.Context, s *scene) error {
			_, err := s.b.Put(ctx, "f", strings.NewReader("put"), any, objstore.PutOptions{})
			return err
		}, func(s *scene) bool { return s.content() == "put" }},
		{OpDelete, func(ctx context.Context, s *scene) error {
			return s.b.Delete(ctx, "f", any, objstore.DeleteOptions{})
		}, func(s *scene) bool { return !s.has("f") }},
		{OpCopy, func(ctx context.Context, s *scene) error {
			_, err := s.b.Copy(ctx, objstore.CopyRequest{Src: "f", SrcCond: any, Dst: "copy", DstCond: any})
			return err
		}, func(s *scene) bool { return s.has("copy") }},
		{OpRename, func(ctx context.Context, s *scene) error {
			_, err := s.b.Rename(ctx, objstore.RenameRequest{Src: "f", SrcCond: any, Dst: "g", DstCond: any})
			return err
		}, func(s *scene) bool { return s.has("g") }},
		{OpMake, func(ctx context.Context, s *scene) error {
			_, err := s.b.Make(ctx, objstore.MakeRequest{Parent: s.b.Root(), Name: "made", Type: objstore.TypeFifo})
			return err
		}, func(s *scene) bool { return s.hasName("made") }},
		{OpLink, func(ctx context.Context, s *scene) error {
			_, err := s.b.Link(ctx, s.file.ID, s.b.Root(), "link", objstore.Visible)
			return err
		}, func(s *scene) bool { return s.has("link") }},
		{OpUnlink, func(ctx context.Context, s *scene) error {
			_, err := s.b.Unlink(ctx, s.b.Root(), "f", any, objstore.Visible)
			return err
		}, func(s *scene) bool { return !s.has("f") }},
		{OpRmdir, func(ctx context.Context, s *scene) error {
			_, err := s.b.Rmdir(ctx, s.b.Root(), "d", objstore.Visible)
			return err
		}, func(s *scene) bool { return !s.has("d/") }},
		{OpMove, func(ctx context.Context, s *scene) error {
			_, err := s.b.Move(ctx, objstore.MoveRequest{
				Parent: s.b.Root(), Name: "f", Cond: any, NewParent: s.dir.ID, NewName: "f", NewCond: any,
			})
			return err
		}, func(s *scene) bool { return s.has("d/f") }},
		{OpSetAttr, func(ctx context.Context, s *scene) error {
			_, err := s.b.SetAttr(ctx, s.file.ID, objstore.AttrChange{UID: new(uint32(7))}, objstore.Visible)
			return err
		}, func(s *scene) bool {
			info, err := s.inner.Head(s.t.Context(), "f")
			s.ok(err)
			return info.Attr.UID == 7
		}},
		{OpCommit, func(ctx context.Context, s *scene) error {
			_, err := s.stage.Commit(ctx, objstore.CommitRequest{Target: objstore.Target{ID: s.file.ID}, Cond: any})
			return err
		}, func(s *scene) bool { return s.content() == "new" }},
		{OpKeep, func(ctx context.Context, s *scene) error {
			_, err := s.stage.Keep(ctx, objstore.Conflict{Reason: objstore.ReasonLost, Path: "f"})
			return err
		}, func(s *scene) bool {
			all, err := s.inner.ListConflicts(s.t.Context())
			s.ok(err)
			return len(all) == 2
		}},
		{OpDropConflict, func(ctx context.Context, s *scene) error {
			return s.b.DropConflict(ctx, s.kept.ID)
		}, func(s *scene) bool {
			_, err := s.inner.Conflict(s.t.Context(), s.kept.ID)
			return err != nil
		}},
	}
}

func TestMutationsFailBeforeOrAfterTheyAreApplied(t *testing.T) {
	tested := map[Kind]bool{}
	for _, m := range append(mutations(), optionalMutations()...) {
		tested[m.kind] = true
		for _, row := range []struct {
			phase   Phase
			fault   error
			want    objstore.Kind
			applied bool
		}{
			{0, nil, 0, true},
			{Before, objstore.ErrUnavailable, objstore.ErrUnavailable, false},
			{Before, objstore.ErrUnknown, objstore.ErrUnknown, false},
			{After, objstore.ErrUnknown, objstore.ErrUnknown, true},
		} {
			s := newScene(t, When(Match{Kinds: []Kind{m.kind}, Phase: row.phase}, Fail(row.fault)))
			err := m.run(t.Context(), s)
			if objstore.KindOf(err) != row.want || (err == nil) != (row.want == 0) {
				t.Errorf("%v %v: %v", m.kind, row.phase, err)
			}
			var full *objstore.Error
			if err != nil && (!errors.As(err, &full) || full.Op != m.kind.String()) {
				t.Errorf("%v %v: the error does not name the operation: %v", m.kind, row.phase, err)
			}
			if m.applied(s) != row.applied {
				t.Errorf("%v %v: applied %v", m.kind, row.phase, !row.applied)
			}
		}
	}
	for _, kind := range Kinds() {
		if kind.Mutates() != tested[kind] {
			t.Errorf("%v mutates: %v, tested: %v", kind, kind.Mutates(), tested[kind])
		}
	}
}

// TestLostReplyIsResolvedByTheWriteID: the repetition of a put whose reply was lost
// tells the first one's outcome.
func TestLostReplyIsResolvedByTheWriteID(t *testing.T) {
	ctx := t.Context()
	s := newScene(t, When(Match{Kinds: []Kind{OpPut}, Phase: After}, Nth(1, LostReply())))
	put := func() (objstore.Info, error) {
		return s.b.Put(ctx, "f", strings.NewReader("put"), objstore.IfVersion(s.file.Version), objstore.PutOptions{WriteID: "w"})
	}
	if _, err := put(); !errors.Is(err, objstore.ErrUnknown) {
		t.Fatal(err)
	}
	info, err := put()
	s.ok(err)
	now, err := s.inner.Head(ctx, "f")
	s.ok(err)
	if info.Version != now.Version || s.content() != "put" {
		t.Errorf("%v instead of %v", info, now)
	}
}

func TestLostReplyOfAFailureHidesIt(t *testing.T) {
	var hidden error
	s := newScene(t, Any(
		Call("look", func(_ context.Context, op Op) error {
			if op.Phase == After {
				hidden = op.Err
			}
			return nil
		}),
		When(Match{Phase: After}, LostReply()),
	))
	_, err := s.b.Put(t.Context(), "f", strings.NewReader("x"), objstore.IfAbsent(), objstore.PutOptions{})
	if !errors.Is(err, objstore.ErrUnknown) || !errors.Is(hidden, objstore.ErrPrecondition) {
		t.Errorf("%v hides %v", err, hidden)
	}
}

// TestTornBodiesOfPutsLeaveNothing: wherever the body tears, the old content stays.
func TestTornBodiesOfPutsLeaveNothing(t *testing.T) {
	cut := errors.New("connection reset")
	body := strings.Repeat("x", 300_000)
	for _, at := range []int64{0, 1, 65_536, 299_999, 300_000} {
		s := newScene(t, When(Match{Kinds: []Kind{OpPut}}, AfterBytes(at, Fail(cut))))
		_, err := s.b.Put(t.Context(), "f", strings.NewReader(body), objstore.Unconditional(), objstore.PutOptions{})
		if !errors.Is(err, cut) || s.content() != "old" {
			t.Errorf("torn at %d: %v, content %.10q", at, err, s.content())
		}
	}
}

func TestTornReadsFail(t *testing.T) {
	ctx := t.Context()
	cut := errors.New("connection reset")
	for _, row := range []struct{ fault, want error }{{cut, cut}, {io.EOF, nil}} {
		s := newScene(t, When(Match{Kinds: []Kind{OpStream}}, AfterBytes(2, Fail(row.fault))))
		r, err := s.b.Get(ctx, "f", objstore.IfPresent())
		s.ok(err)
		defer r.Close()
		body := r.Stream(ctx, 0, -1)
		defer body.Close()
		var two [2]byte
		_, err = io.ReadFull(body, two[:])
		s.ok(err)
		rest, err := io.ReadAll(body)
		if !errors.Is(err, row.want) || string(two[:])+string(rest) != "ol" {
			t.Errorf("torn with %v: %q, %v", row.fault, rest, err)
		}
	}
	s := newScene(t, When(Match{Kinds: []Kind{OpRead}, Phase: Body}, Fail(objstore.ErrCorrupt)))
	r, err := s.b.Open(ctx, s.file.ID, "")
	s.ok(err)
	if n, err := r.ReadAt(ctx, make([]byte, 3), 0); n != 0 || !errors.Is(err, objstore.ErrCorrupt) {
		t.Errorf("%d, %v", n, err)
	}
}

// dropped tells when it is closed.
type dropped struct {
	objstore.Store
	readers, closed int
}

type droppedReader struct {
	objstore.Reader
	d *dropped
}

func (d *dropped) Get(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error) {
	r, err := d.Store.Get(ctx, key, cond)
	if err != nil {
		return nil, err
	}
	d.readers++
	return droppedReader{r, d}, nil
}

func (r droppedReader) Close() error {
	r.d.closed++
	return r.Reader.Close()
}

func TestReadersWhoseReplyIsLostAreClosed(t *testing.T) {
	ctx := t.Context()
	d := &dropped{Store: memstore.NewBucket(memstore.Options{})}
	s := New(d, When(Match{Kinds: []Kind{OpGet}, Phase: After}, Fail(objstore.ErrUnavailable)))
	if _, err := s.Put(ctx, "k", strings.NewReader(""), objstore.IfAbsent(), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []objstore.Key{"k", "absent"} {
		if _, err := s.Get(ctx, key, objstore.IfPresent()); !errors.Is(err, objstore.ErrUnavailable) {
			t.Error(err)
		}
	}
	if d.readers != 1 || d.closed != 1 {
		t.Errorf("%d readers, %d closed", d.readers, d.closed)
	}
}

// TestEveryOperationOfAScriptFailsOnce is the sweep the wrapper is for: let the nth
// operation lose its reply, for every n, and look at what is left.
func TestEveryOperationOfAScriptFailsOnce(t *testing.T) {
	ctx := t.Context()
	script := func(b *Store) (failed int) {
		for _, body := range []string{"1", "2", "3"} {
			if _, err := b.Put(ctx, "k", strings.NewReader(body), objstore.Unconditional(), objstore.PutOptions{}); err != nil {
				failed++
			}
			if _, err := b.Head(ctx, "k"); err != nil {
				failed++
			}
		}
		return failed
	}
	counting := New(memstore.NewBucket(memstore.Options{}), None())
	if script(counting) != 0 || counting.Ops() != 6 {
		t.Fatalf("%d operations", counting.Ops())
	}
	for n := range counting.Ops() {
		inner := memstore.NewBucket(memstore.Options{})
		if failed := script(New(inner, When(Match{Nth: n + 1, Phase: After}, LostReply()))); failed != 1 {
			t.Errorf("operation %d: %d failed", n+1, failed)
		}
		r, err := inner.Get(ctx, "k", objstore.IfPresent())
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(r.Stream(ctx, 0, -1)); err != nil || string(body) != "3" {
			t.Errorf("operation %d: %q, %v", n+1, body, err)
		}
	}
}

// TestHooksMayWait: an operation that waits in its injector is neither begun nor
// in anybody's way.
func TestHooksMayWait(t *testing.T) {
	ctx := t.Context()
	arrived, release := make(chan struct{}), make(chan struct{})
	s := newScene(t, When(Match{Kinds: []Kind{OpPut}, Phase: Before, Key: "f"}, Call("wait", func(ctx context.Context, _ Op) error {
		close(arrived)
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})))
	done := make(chan error)
	go func() {
		_, err := s.b.Put(ctx, "f", strings.NewReader("late"), objstore.Unconditional(), objstore.PutOptions{})
		done <- err
	}()
	<-arrived
	if s.content() != "old" {
		t.Error("the put was applied while it waits")
	}
	_, err := s.b.Put(ctx, "other", strings.NewReader(""), objstore.IfAbsent(), objstore.PutOptions{})
	s.ok(err)
	close(release)
	s.ok(<-done)
	if s.content() != "late" {
		t.Error("the put was lost")
	}
}
