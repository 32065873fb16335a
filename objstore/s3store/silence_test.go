package s3store_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// mutation is one that is not answered. All are about the key "k", which has the content "base" unless it is to be made.
type mutation struct {
	name   string
	method string
	query  string // of the request that decides
	fresh  bool   // the key is absent
	apply  func(ctx context.Context, s *s3store.Store, base objstore.Info) (objstore.Info, error)
	after  string // content of k once it is applied; empty: none
	// second is another writer, before and after the mutation was applied; it makes "second" of k.
	second func(t *testing.T, b *bench, applied bool)
}

const large = 20 << 10

func putIf(text string, cond func(objstore.Info) objstore.Cond) func(context.Context, *s3store.Store, objstore.Info) (objstore.Info, error) {
	return func(ctx context.Context, s *s3store.Store, base objstore.Info) (objstore.Info, error) {
		return s.Put(ctx, "k", strings.NewReader(text), cond(base), objstore.PutOptions{})
	}
}

func ifBase(base objstore.Info) objstore.Cond   { return objstore.IfVersion(base.Version) }
func ifAbsent(objstore.Info) objstore.Cond      { return objstore.IfAbsent() }
func unconditional(objstore.Info) objstore.Cond { return objstore.Unconditional() }

// replace is a second writer that keeps to the rules: it replaces what it saw, or makes what is absent.
func replace(t *testing.T, b *bench, _ bool) {
	t.Helper()
	cond := objstore.IfAbsent()
	if info, err := b.other.Head(t.Context(), "k"); err == nil {
		cond = objstore.IfVersion(info.Version)
	}
	put(t, b.other, "k", "second", cond)
}

func mutations() []mutation {
	return []mutation{
		{"create", http.MethodPut, "", true, putIf("first", ifAbsent), "first", replace},
		{"update", http.MethodPut, "", false, putIf("first", ifBase), "first", replace},
		{"overwrite", http.MethodPut, "", false, putIf("first", unconditional), "first", replace},
		{"large update", http.MethodPost, "uploadId", false, putIf(strings.Repeat("L", large), ifBase), strings.Repeat("L", large), replace},
		{"large create", http.MethodPost, "uploadId", true, putIf(strings.Repeat("L", large), ifAbsent), strings.Repeat("L", large), replace},
		{"append", http.MethodPut, "", false, func(ctx context.Context, s *s3store.Store, base objstore.Info) (objstore.Info, error) {
			return s.Append(ctx, "k", base.Size, strings.NewReader("+"), objstore.Unconditional(), objstore.PutOptions{})
		}, "base+", replace},
		{"delete", http.MethodDelete, "", false, func(ctx context.Context, s *s3store.Store, base objstore.Info) (objstore.Info, error) {
			return objstore.Info{}, s.Delete(ctx, "k", objstore.IfVersion(base.Version), objstore.DeleteOptions{})
		}, "", replace},
		{"copy", http.MethodPut, "", false, func(ctx context.Context, s *s3store.Store, base objstore.Info) (objstore.Info, error) {
			return s.Copy(ctx, objstore.CopyRequest{Src: "src", SrcCond: objstore.Unconditional(), Dst: "k", DstCond: objstore.IfVersion(base.Version)})
		}, "source", replace},
		{"rename", http.MethodPut, "renameObject", false, func(ctx context.Context, s *s3store.Store, base objstore.Info) (objstore.Info, error) {
			return s.Rename(ctx, objstore.RenameRequest{
				Src: "src", SrcCond: objstore.Unconditional(), Dst: "k", DstCond: objstore.IfVersion(base.Version),
			})
		}, "source", replace},
	}
}

// What becomes of a mutation that was not answered: of one that was applied, alone and with a second writer, and of one
// that never arrived, alone and with a second writer. 0 is success. Whatever the answer, nothing is applied twice, and the
// second writer's content stays unless the mutation came after it and asked for no version.
func TestSilentMutationsAreResolved(t *testing.T) {
	const (
		yes     = objstore.Kind(0)
		lost    = objstore.ErrPrecondition
		unknown = objstore.ErrUnknown
		moved   = objstore.ErrRange
	)
	want := map[string]map[kind][4]objstore.Kind{
		"create": {
			ours: {yes, yes, yes, lost}, oursMD5: {yes, yes, yes, lost},
			foreign: {yes, yes, unknown, unknown}, foreignMD5: {yes, yes, unknown, unknown},
		},
		"update": {
			ours: {yes, yes, yes, lost}, oursMD5: {yes, yes, yes, lost},
			foreign: {yes, yes, yes, lost}, foreignMD5: {yes, yes, yes, unknown},
		},
		"overwrite": {
			ours: {yes, yes, yes, yes}, oursMD5: {yes, yes, yes, yes},
			foreign: {yes, yes, unknown, unknown}, foreignMD5: {yes, yes, unknown, unknown},
		},
		"large update": {
			ours: {yes, yes, yes, lost}, oursMD5: {yes, yes, yes, lost},
			foreign: {yes, yes, yes, lost}, foreignMD5: {yes, yes, yes, unknown},
		},
		"large create": {
			ours: {yes, yes, yes, lost}, oursMD5: {yes, yes, yes, lost},
			foreign: {yes, yes, yes, unknown}, foreignMD5: {yes, yes, yes, unknown},
		},
		"append": {
			ours: {yes, yes, yes, moved}, oursMD5: {yes, yes, yes, moved},
			foreign: {unknown, unknown, unknown, unknown}, foreignMD5: {unknown, unknown, unknown, unknown},
		},
		"delete": {
			ours: {yes, yes, yes, lost}, oursMD5: {yes, yes, yes, lost},
			foreign: {unknown, unknown, yes, lost}, foreignMD5: {unknown, unknown, unknown, unknown},
		},
		"copy": {
			ours: {yes, yes, yes, lost}, oursMD5: {yes, yes, yes, lost},
			foreign: {yes, yes, yes, lost}, foreignMD5: {yes, yes, yes, unknown},
		},
		"rename": {
			ours: {yes, yes, yes, lost}, oursMD5: {yes, yes, yes, lost},
			foreign: {yes, yes, yes, lost}, foreignMD5: {unknown, unknown, unknown, unknown}, // the probe saw that it knows no tokens
		},
	}
	for _, m := range mutations() {
		for _, k := range []kind{ours, oursMD5, foreign, foreignMD5} {
			for i := range 4 {
				t.Run(fmt.Sprintf("%s/%v/%s", m.name, k, []string{"reply", "reply, second", "request", "request, second"}[i]), func(t *testing.T) {
					silence(t, m, k, i < 2, i%2 == 1, want[m.name][k][i])
				})
			}
		}
	}
}

// silence runs one mutation that is not answered.
func silence(t *testing.T, m mutation, k kind, arrives, second bool, want objstore.Kind) {
	b := newBench(t, k)
	put(t, b.store, "src", "source", objstore.IfAbsent())
	var base objstore.Info
	if !m.fresh {
		base = put(t, b.store, "k", "base", objstore.IfAbsent())
	}
	b.wire.once(m.method, m.query, func(r *http.Request) (*http.Response, error) {
		if arrives {
			if reply, err := b.wire.send(r); err != nil || reply.StatusCode >= 300 {
				t.Errorf("the request failed: %v %v", reply, err)
			} else {
				reply.Body.Close()
			}
		}
		if second {
			m.second(t, b, arrives)
		}
		return nil, errReplyLost
	})
	info, err := m.apply(t.Context(), b.store, base)
	if objstore.KindOf(err) != want {
		t.Fatalf("%v instead of %v", err, want)
	}
	content := "base"
	switch {
	case second && (arrives || want != 0):
		content = "second"
	case arrives || want == 0:
		content = m.after
	case m.fresh:
		content = ""
	}
	b.wantContent(t, content)
	if head, headErr := b.other.Head(t.Context(), "k"); err == nil && !second && info.Version != "" && (headErr != nil || head.Version != info.Version) {
		t.Errorf("the answer is of version %s, there is %s (%v)", info.Version, head.Version, headErr)
	}
}

// wantContent expects k to have a content, or none.
func (b *bench) wantContent(t *testing.T, text string) {
	t.Helper()
	got, err := content(t.Context(), b.other, "k")
	if text == "" && objstore.KindOf(err) == objstore.ErrNotFound {
		return
	}
	if err != nil || got != text {
		t.Errorf("k is %.40q (%v), want %.40q", got, err, text)
	}
}

// An update is applied, its reply is lost, and another program brings back the very bytes it replaced. Nothing is sent
// again where that would undo the other's, and nothing is claimed.
func TestContentBroughtBackHidesAWrite(t *testing.T) {
	for k, want := range map[kind]objstore.Kind{ours: 0, oursMD5: 0, foreign: objstore.ErrUnknown, foreignMD5: objstore.ErrUnknown} {
		t.Run(k.String(), func(t *testing.T) {
			b := newBench(t, k)
			base := put(t, b.store, "k", "base", objstore.IfAbsent())
			b.wire.next(http.MethodPut, b.wire.lost(func() {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, b.url+"/box/k", strings.NewReader("base"))
				if err != nil {
					t.Error(err)
					return
				}
				reply, err := http.DefaultClient.Do(r)
				if err != nil || reply.StatusCode != http.StatusOK {
					t.Errorf("%v %v", reply, err)
					return
				}
				reply.Body.Close()
			}))
			_, err := b.store.Put(t.Context(), "k", strings.NewReader("first"), objstore.IfVersion(base.Version), objstore.PutOptions{})
			if objstore.KindOf(err) != want {
				t.Error(err)
			}
			b.wantContent(t, "base")
		})
	}
}

// A second writer that says nothing of its predecessors hides the first write.
func TestHiddenWriteIsUnknown(t *testing.T) {
	b := newBench(t, foreign)
	put(t, b.store, "k", "base", objstore.IfAbsent())
	b.wire.next(http.MethodPut, b.wire.lost(func() {
		if err := b.other.Delete(t.Context(), "k", objstore.Unconditional(), objstore.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		put(t, b.other, "k", "second", objstore.IfAbsent())
	}))
	_, err := b.store.Put(t.Context(), "k", strings.NewReader("first"), objstore.Unconditional(), objstore.PutOptions{})
	if objstore.KindOf(err) != objstore.ErrUnknown {
		t.Error(err)
	}
	b.wantContent(t, "second")
}

// C9: a store that goes away when it has applied a write, and comes back for longer than one question waits, is asked then: nobody
// loses to himself, and nothing is unknown that can be seen.
func TestSilentWritesAreResolvedWhenTheStoreComesBack(t *testing.T) {
	for _, m := range mutations() {
		if m.name != "create" && m.name != "update" && m.name != "overwrite" {
			continue
		}
		for _, k := range []kind{foreign, foreignMD5} {
			t.Run(fmt.Sprintf("%s/%v", m.name, k), func(t *testing.T) {
				b := newBench(t, k)
				var base objstore.Info
				if !m.fresh {
					base = put(t, b.store, "k", "base", objstore.IfAbsent())
				}
				down := 50
				var away func(*http.Request) (*http.Response, error)
				away = func(*http.Request) (*http.Response, error) {
					if down--; down > 0 {
						b.wire.next(http.MethodHead, away)
					}
					return nil, errReplyLost
				}
				b.wire.next(m.method, b.wire.lost(func() { b.wire.next(http.MethodHead, away) }))
				info, err := m.apply(t.Context(), b.store, base)
				if err != nil {
					t.Fatal(err)
				}
				if head, err := b.other.Head(t.Context(), "k"); err != nil || head.Version != info.Version || down > 0 {
					t.Errorf("it is version %s, there is %s (%v); %d questions were not asked", info.Version, head.Version, err, down)
				}
				b.wantContent(t, m.after)
			})
		}
	}
}
