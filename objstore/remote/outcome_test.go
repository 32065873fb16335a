package remote_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/remote"
)

// change is a mutation and what another does after it.
type change struct {
	name   string
	do     func(ctx context.Context, b *bench) error
	other  func(ctx context.Context, b *bench) error
	lasts  bool // its outcome outlives the server
	result func(b *bench) string
	want   string
}

// rename moves a file of the root without the wire.
func rename(ctx context.Context, b *bench, from, to string) error {
	_, err := b.direct.Move(ctx, objstore.MoveRequest{
		Parent: b.direct.Root(), Name: from, Cond: objstore.Unconditional(), NewParent: b.direct.Root(), NewName: to, NewCond: objstore.Unconditional(),
	})
	return err
}

func overwrite(ctx context.Context, b *bench) error {
	_, err := b.direct.Put(ctx, "f", strings.NewReader("other"), objstore.IfPresent(), objstore.PutOptions{})
	return err
}

func commit(ctx context.Context, b *bench) error {
	info, err := b.store.Lookup(ctx, b.store.Root(), "f")
	if err != nil {
		return err
	}
	stage, err := b.store.NewStage(ctx, objstore.StageSpec{})
	if err != nil {
		return err
	}
	defer stage.Close()
	if _, err := stage.WriteAt(ctx, []byte("mine"), 0); err != nil {
		return err
	}
	b.wire.lose(b.next)
	_, err = stage.Commit(ctx, objstore.CommitRequest{Target: objstore.Target{ID: info.ID}, Cond: objstore.IfVersion(info.Version)})
	return err
}

func changes() []change {
	content := func(name string) func(*bench) string { return func(b *bench) string { return b.content(name) } }
	lost := func(f func(ctx context.Context, b *bench) error) func(ctx context.Context, b *bench) error {
		return func(ctx context.Context, b *bench) error {
			b.wire.lose(b.next)
			return f(ctx, b)
		}
	}
	return []change{
		{"commit", commit, overwrite, true, content("f"), "other"},
		{"put", lost(func(ctx context.Context, b *bench) error {
			_, err := b.store.Put(ctx, "f", strings.NewReader("mine"), objstore.IfVersion(b.file.Version), objstore.PutOptions{})
			return err
		}), overwrite, true, content("f"), "other"},
		{"put of a body that is too large to be sent again", lost(func(ctx context.Context, b *bench) error {
			body := strings.NewReader(strings.Repeat("mine", 1<<19))
			_, err := b.store.Put(ctx, "f", body, objstore.IfVersion(b.file.Version), objstore.PutOptions{})
			return err
		}), overwrite, true, content("f"), "other"},
		{"delete", lost(func(ctx context.Context, b *bench) error {
			return b.store.Delete(ctx, "f", objstore.IfVersion(b.file.Version), objstore.DeleteOptions{})
		}), func(_ context.Context, b *bench) error { b.create("f", "new"); return nil }, true, content("f"), "new"},
		{"rename by key", lost(func(ctx context.Context, b *bench) error {
			_, err := b.store.Rename(ctx, objstore.RenameRequest{Src: "f", SrcCond: objstore.IfPresent(), Dst: "g", DstCond: objstore.IfAbsent()})
			return err
		}), func(ctx context.Context, b *bench) error { return rename(ctx, b, "g", "h") }, true, content("h"), "base"},
		{"mkdir", lost(func(ctx context.Context, b *bench) error {
			_, err := b.store.Make(ctx, objstore.MakeRequest{Parent: b.store.Root(), Name: "d", Type: objstore.TypeDir})
			return err
		}), func(ctx context.Context, b *bench) error { return rename(ctx, b, "d", "e") }, false, content("f"), "base"},
		{"link", lost(func(ctx context.Context, b *bench) error {
			_, err := b.store.Link(ctx, b.file.ID, b.store.Root(), "g", objstore.Visible)
			return err
		}), func(ctx context.Context, b *bench) error { return rename(ctx, b, "g", "h") }, false, content("g"), ""},
		{"unlink", lost(func(ctx context.Context, b *bench) error {
			_, err := b.store.Unlink(ctx, b.store.Root(), "f", objstore.Unconditional(), objstore.Visible)
			return err
		}), func(_ context.Context, b *bench) error { b.create("f", "new"); return nil }, false, content("f"), "new"},
		{"move", lost(func(ctx context.Context, b *bench) error {
			_, err := b.store.Move(ctx, objstore.MoveRequest{
				Parent: b.store.Root(), Name: "f", Cond: objstore.Unconditional(), NewParent: b.store.Root(), NewName: "g", NewCond: objstore.Unconditional(),
			})
			return err
		}), func(_ context.Context, b *bench) error { b.create("f", "new"); return nil }, false, content("g"), "base"},
	}
}

// C9: a reply is lost and another undoes what was done: who asked learns that it was done, and does not do it again.
func TestLostReplyIsTheTrueOutcome(t *testing.T) {
	for _, c := range changes() {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.file = b.create("f", "base")
			b.next = func() {
				if err := c.other(t.Context(), b); err != nil {
					t.Error(err)
				}
			}
			if err := c.do(t.Context(), b); err != nil {
				t.Errorf("was done, and is told as: %v", err)
			}
			if got := c.result(b); got != c.want {
				t.Errorf("the end is %q instead of %q", got, c.want)
			}
		})
	}
}

// C9, C10: the server begins anew before the repetition arrives. What has a write id is answered all the same; of
// all else the outcome is unknown, and nothing is done twice.
func TestLostReplyOfAServerThatBeganAnew(t *testing.T) {
	for _, c := range changes() {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.file = b.create("f", "base")
			b.next = func() {
				if err := c.other(t.Context(), b); err != nil {
					t.Error(err)
				}
				b.begin()
			}
			err := c.do(t.Context(), b)
			if c.lasts && err != nil {
				t.Errorf("was done, and is told as: %v", err)
			}
			if !c.lasts && objstore.KindOf(err) != objstore.ErrUnknown {
				t.Errorf("nobody can know what became of it, and it is told as: %v", err)
			}
			if got := c.result(b); got != c.want {
				t.Errorf("the end is %q instead of %q", got, c.want)
			}
		})
	}
}

// A body that cannot be sent again is not sent as something else: the put was not made, and is told so.
func TestLargePutToAServerThatBeganAnewBeforeItsEnd(t *testing.T) {
	b := newBench(t)
	b.file = b.create("f", "base")
	body := &restarts{Reader: strings.NewReader(strings.Repeat("mine", 1<<20)), at: 2 << 20, restart: func() {
		b.begin()
		b.http.CloseClientConnections()
	}}
	_, err := b.store.Put(t.Context(), "f", body, objstore.Unconditional(), objstore.PutOptions{})
	if objstore.KindOf(err) != objstore.ErrUnavailable {
		t.Errorf("%v", err)
	}
	if got := b.content("f"); got != "base" {
		t.Errorf("the content is %.20q", got)
	}
}

// restarts is a body in the middle of which something happens.
type restarts struct {
	*strings.Reader
	at      int
	restart func()
}

func (r *restarts) Read(p []byte) (int, error) {
	if r.Len() < r.at && r.restart != nil {
		r.restart()
		r.restart = nil
	}
	return r.Reader.Read(p[:min(len(p), 64<<10)])
}

// C2: a reader goes on after the server began anew if its version is still there, and ends with an error otherwise;
// it never reads another.
func TestReadersOfAServerThatBeganAnew(t *testing.T) {
	b := newBench(t)
	large := strings.Repeat("content ", 100_000)
	kept, gone := b.create("kept", large), b.create("gone", large)
	one, err := b.store.Open(t.Context(), kept.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	two, err := b.store.Open(t.Context(), gone.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if _, err := b.direct.Put(t.Context(), "gone", strings.NewReader(strings.ToUpper(large)), objstore.IfPresent(), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	b.begin()
	p := make([]byte, 8)
	if _, err := one.ReadAt(t.Context(), p, 8000); err != nil || string(p) != "content " {
		t.Errorf("%q, %v", p, err)
	}
	if _, err := two.ReadAt(t.Context(), p, 8000); objstore.KindOf(err) != objstore.ErrUnavailable {
		t.Errorf("a version that is gone: %v", err)
	}
}

// C4: what a stage holds is here: it is committed, or kept, by a server that never saw it.
func TestStagesOutliveTheServer(t *testing.T) {
	b := newBench(t)
	b.file = b.create("f", strings.Repeat("base ", 100))
	base, err := b.store.Open(t.Context(), b.file.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	stage, err := b.store.NewStage(t.Context(), objstore.StageSpec{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	defer stage.Close()
	base.Close()
	if _, err := stage.WriteAt(t.Context(), []byte("MINE"), 0); err != nil {
		t.Fatal(err)
	}
	b.begin()
	req := objstore.CommitRequest{Target: objstore.Target{ID: b.file.ID}, Cond: objstore.IfVersion("1")}
	if _, err := stage.Commit(t.Context(), req); !objstore.IsLostCondition(err) {
		t.Errorf("commit on another version: %v", err)
	}
	b.begin()
	kept, err := stage.Keep(t.Context(), objstore.Conflict{Reason: objstore.ReasonLost, Path: "f", Object: b.file.ID})
	if err != nil || kept.Bytes != 500 {
		t.Errorf("keep: %+v, %v", kept, err)
	}
	b.begin()
	req.Cond = objstore.IfVersion(b.file.Version)
	if _, err := stage.Commit(t.Context(), req); err != nil {
		t.Error(err)
	}
	if got := b.content("f"); !strings.HasPrefix(got, "MINE base base") || len(got) != 500 {
		t.Errorf("committed %q", got)
	}
	b.begin()
	p := make([]byte, 9)
	if _, err := stage.ReadAt(t.Context(), p, 0); err != nil || string(p) != "MINE base" {
		t.Errorf("read of what was committed: %q, %v", p, err)
	}
}

// C4: a copy is kept once, though the reply is lost and the server begins anew before it is kept again, and keeps its id in
// later states.
func TestCopyIsKeptOnceThoughTheReplyIsLost(t *testing.T) {
	b := newBench(t)
	b.file = b.create("f", "base")
	stage, err := b.store.NewStage(t.Context(), objstore.StageSpec{})
	if err != nil {
		t.Fatal(err)
	}
	defer stage.Close()
	var ids []objstore.ConflictID
	for _, body := range []string{"mine", "MINE"} {
		if _, err := stage.WriteAt(t.Context(), []byte(body), 0); err != nil {
			t.Fatal(err)
		}
		b.wire.lose(b.begin)
		kept, err := stage.Keep(t.Context(), objstore.Conflict{Reason: objstore.ReasonLost, Path: "f", Object: b.file.ID})
		if err != nil {
			t.Fatal(err)
		}
		all, err := b.direct.ListConflicts(t.Context())
		if err != nil || len(all) != 1 || all[0].ID != kept.ID {
			t.Errorf("kept as %s, listed %+v, %v", kept.ID, all, err)
		}
		mine, err := b.direct.OpenConflict(t.Context(), kept.ID, objstore.SideMine)
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 4)
		if _, err := mine.ReadAt(t.Context(), p, 0); err != nil || string(p) != body {
			t.Errorf("kept %q, %v", p, err)
		}
		if err := mine.Close(); err != nil {
			t.Error(err)
		}
		ids = append(ids, kept.ID)
	}
	if ids[0] != ids[1] {
		t.Errorf("kept as %v", ids)
	}
}

// Who may not is told so, and nothing happens.
func TestRightsAreThoseOfTheUser(t *testing.T) {
	b := newBench(t)
	b.create("f", "base")
	mkdir := func(s *remote.Store) error {
		_, err := s.Make(t.Context(), objstore.MakeRequest{Parent: s.Root(), Name: "d", Type: objstore.TypeDir})
		return err
	}
	reader, err := b.open(remote.Credentials{AccessKey: "reads", SecretKey: "secret"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := reader.Lookup(t.Context(), reader.Root(), "f"); err != nil {
		t.Errorf("a reader looks: %v", err)
	}
	if err := mkdir(reader); objstore.KindOf(err) != objstore.ErrPermission {
		t.Errorf("a reader writes: %v", err)
	}
	for what, c := range map[string]remote.Credentials{
		"with a wrong secret":                {AccessKey: "key", SecretKey: "wrong"},
		"without rights to the whole bucket": {AccessKey: "part", SecretKey: "secret"},
		"nobody knows":                       {AccessKey: "nobody", SecretKey: "secret"},
	} {
		if _, err := b.open(c, nil); objstore.KindOf(err) != objstore.ErrPermission {
			t.Errorf("a user %s: %v", what, err)
		}
	}
	if page, err := b.direct.List(t.Context(), objstore.ListOptions{}); err != nil || len(page.Entries) != 1 {
		t.Errorf("something happened: %v, %v", page, err)
	}
}

// A server of another program, or a bucket that is not there, is told from one that does not answer.
func TestServersThatHaveNoNamespace(t *testing.T) {
	b := newBench(t)
	open := func(endpoint, bucket string) error {
		s, err := remote.Open(t.Context(), remote.Options{Endpoint: endpoint, Bucket: bucket}, remote.Parts{Credentials: credentials(), Clock: hasty{}})
		if err == nil {
			s.Close()
		}
		return err
	}
	if err := open(b.http.URL, "none"); objstore.KindOf(err) != objstore.ErrNotFound {
		t.Errorf("no bucket: %v", err)
	}
	for _, status := range []int{200, 400, 403, 405, 501} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		if err := open(other.URL, "box"); objstore.KindOf(err) != objstore.ErrUnsupported {
			t.Errorf("another program that answers %d: %v", status, err)
		}
		other.Close()
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	if err := open(gone.URL, "box"); objstore.KindOf(err) != objstore.ErrUnavailable {
		t.Errorf("nobody: %v", err)
	}
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	for url, want := range map[string]string{
		gone.URL:   "the server does not answer",
		secure.URL: "the server has a certificate this machine does not trust (SSL_CERT_FILE names a file of authorities to trust)",
		strings.Replace(b.http.URL, "http:", "https:", 1): "the server does not speak TLS (write http://)",
	} {
		var told *objstore.Error
		if err := open(url, "box"); objstore.KindOf(err) != objstore.ErrUnavailable || !errors.As(err, &told) || told.Detail != want {
			t.Errorf("%s: %v", url, err)
		}
	}
}
