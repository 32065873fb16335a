package cas_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/cas"
	"github.com/etagfs/etagfs/objstore/faultstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// eager is for those who meet in memory.
func eager() cas.Options { return cas.Options{Tries: cas.Tries{Most: 10_000, First: 1, Longest: 1000}} }

// addOne is the change of a counter.
func addOne(_ context.Context, now cas.Current) ([]byte, error) {
	n := 0
	if now.Exists {
		var err error
		if n, err = strconv.Atoi(string(now.Content)); err != nil {
			return nil, err
		}
	}
	return strconv.AppendInt(nil, int64(n+1), 10), nil
}

func content(t *testing.T, s cas.Store, key objstore.Key) string {
	t.Helper()
	reader, err := s.Get(t.Context(), key, objstore.Unconditional())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	body := reader.Stream(t.Context(), 0, -1)
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestNoIncrementIsLostOrCountsTwice(t *testing.T) {
	store := memstore.NewBucket(memstore.Options{})
	const writers, increments = 8, 50
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range increments {
				if _, err := cas.Update(t.Context(), store, "n", addOne, eager()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if got := content(t, store, "n"); got != strconv.Itoa(writers*increments) {
		t.Errorf("counted to %s, want %d", got, writers*increments)
	}
}

// C9: a put whose answer is lost is asked for again by its id, and counts once.
func TestLostRepliesNeverApplyTwice(t *testing.T) {
	for _, nth := range []int64{1, 2, 3, 4, 5} {
		inner := memstore.NewBucket(memstore.Options{})
		puts := faultstore.Match{Kinds: []faultstore.Kind{faultstore.OpPut}, Phase: faultstore.After}
		store := faultstore.New(inner, faultstore.When(puts, faultstore.Nth(nth, faultstore.LostReply())))
		for range 5 {
			if _, err := cas.Update(t.Context(), store, "n", addOne, cas.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		if got := content(t, inner, "n"); got != "5" {
			t.Errorf("put %d unheard: counted to %s, want 5", nth, got)
		}
	}
}

// forgetful is a store that does not remember write ids.
type forgetful struct{ cas.Store }

func (f forgetful) Capabilities() objstore.Capabilities {
	caps := f.Store.Capabilities()
	caps.Answers = false
	return caps
}

func (f forgetful) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	opt.WriteID = ""
	return f.Store.Put(ctx, key, body, cond, opt)
}

func TestWhatCannotBeFoundOutIsNotTriedAgain(t *testing.T) {
	inner := memstore.NewBucket(memstore.Options{})
	puts := faultstore.Match{Kinds: []faultstore.Kind{faultstore.OpPut}, Phase: faultstore.After}
	store := forgetful{faultstore.New(inner, faultstore.When(puts, faultstore.LostReply()))}
	calls := 0
	_, err := cas.Update(t.Context(), store, "n", func(ctx context.Context, now cas.Current) ([]byte, error) {
		calls++
		return addOne(ctx, now)
	}, cas.Options{})
	if objstore.KindOf(err) != objstore.ErrUnknown || calls != 1 {
		t.Errorf("%d calls, then %v; want 1 and an unknown outcome", calls, err)
	}
	if got := content(t, inner, "n"); got != "1" {
		t.Errorf("counted to %s, want 1", got)
	}
}

func TestUpdateGivesUpAndSaysHowOftenItTried(t *testing.T) {
	store := memstore.NewBucket(memstore.Options{})
	_, err := cas.Update(t.Context(), store, "n", func(ctx context.Context, now cas.Current) ([]byte, error) {
		next, err := addOne(ctx, now)
		if err != nil {
			return nil, err
		}
		_, err = store.Put(ctx, "n", strings.NewReader(string(next)), objstore.Unconditional(), objstore.PutOptions{})
		return append(next, '0'), err
	}, cas.Options{Tries: cas.Tries{Most: 3, First: 1, Longest: 1}})
	if objstore.KindOf(err) != objstore.ErrPrecondition || !strings.Contains(err.Error(), "gave up after 3 attempts") {
		t.Error(err)
	}
	if got := content(t, store, "n"); got != "3" {
		t.Errorf("content is %s: something was put that was not computed from what was there", got)
	}
}

func TestChangesThatFailOrChangeNothingPutNothing(t *testing.T) {
	store := memstore.NewBucket(memstore.Options{})
	first, err := store.Put(t.Context(), "k", strings.NewReader("as it was"), objstore.IfAbsent(), objstore.PutOptions{ContentType: "text/plain", UserMeta: map[string]string{"by": "ana"}})
	if err != nil {
		t.Fatal(err)
	}
	failure := errors.New("no")
	_, err = cas.Update(t.Context(), store, "k", func(context.Context, cas.Current) ([]byte, error) { return nil, failure }, cas.Options{})
	if !errors.Is(err, failure) {
		t.Error(err)
	}
	same, err := cas.Update(t.Context(), store, "k", func(_ context.Context, now cas.Current) ([]byte, error) { return now.Content, nil }, cas.Options{})
	if err != nil || same.Version != first.Version {
		t.Errorf("version %s, %v; want the first, %s", same.Version, err, first.Version)
	}
	next, err := cas.Update(t.Context(), store, "k", func(context.Context, cas.Current) ([]byte, error) { return nil, nil }, cas.Options{})
	if err != nil || next.Size != 0 || next.ContentType != "text/plain" || next.UserMeta["by"] != "ana" {
		t.Errorf("%+v, %v", next, err)
	}
}

func TestLaterTokensFenceEarlierOnesOff(t *testing.T) {
	store := memstore.NewBucket(memstore.Options{})
	for _, step := range []struct {
		fence  uint64
		refuse bool
	}{{5, false}, {4, true}, {5, false}, {0, false}, {4, true}, {6, false}, {5, true}} {
		_, err := cas.Update(t.Context(), store, "n", addOne, cas.Options{Fence: step.fence})
		if step.refuse != errors.Is(err, cas.Stale) || !step.refuse && err != nil {
			t.Errorf("token %d: %v", step.fence, err)
		}
	}
}

func TestUpdateFileLeavesNothingBehind(t *testing.T) {
	store, dir := memstore.NewBucket(memstore.Options{}), t.TempDir()
	calls := 0
	_, err := cas.UpdateFile(t.Context(), store, "k", dir, func(ctx context.Context, name string, _ objstore.Info) error {
		if calls++; calls == 1 { // somebody is faster
			if _, err := store.Put(ctx, "k", strings.NewReader("theirs,"), objstore.IfAbsent(), objstore.PutOptions{}); err != nil {
				return err
			}
		}
		if _, err := os.Lstat(name + "-journal"); err == nil {
			t.Error("the journal of the attempt before is there")
		}
		if err := os.WriteFile(name+"-journal", nil, 0o600); err != nil {
			return err
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString("mine")
		return errors.Join(err, f.Close())
	}, cas.Options{})
	if got := content(t, store, "k"); err != nil || got != "theirs,mine" || calls != 2 {
		t.Errorf("%q after %d calls, %v", got, calls, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestUpdateFileOfAFileThatIsRemovedPutsNothing(t *testing.T) {
	store := memstore.NewBucket(memstore.Options{})
	_, err := cas.UpdateFile(t.Context(), store, "k", t.TempDir(), func(_ context.Context, name string, _ objstore.Info) error {
		return os.Remove(name)
	}, cas.Options{})
	if _, there := store.Head(t.Context(), "k"); err != nil || objstore.KindOf(there) != objstore.ErrNotFound {
		t.Errorf("%v, %v", err, there)
	}
}
