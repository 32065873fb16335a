package cas_test

import (
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/cas"
	"github.com/etagfs/etagfs/objstore/faultstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

func text(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

func TestAnUploadHappensOnceWhateverAnswersGetLost(t *testing.T) {
	for _, remembers := range []bool{true, false} {
		inner := memstore.NewBucket(memstore.Options{})
		var applied atomic.Int64
		puts := faultstore.Match{Kinds: []faultstore.Kind{faultstore.OpPut}, Phase: faultstore.After}
		var store cas.Store = faultstore.New(inner, faultstore.When(puts, faultstore.LostReply()))
		if !remembers {
			store = forgetful{store}
		}
		stop := inner.WatchObjects(func(objstore.Event) { applied.Add(1) })
		for range 3 {
			info, err := cas.Once(t.Context(), store, "k", "job 7", text("x"), objstore.PutOptions{UserMeta: map[string]string{"by": "ana"}})
			if err != nil || info.Size != 1 || info.UserMeta["by"] != "ana" {
				t.Errorf("%+v, %v", info, err)
			}
		}
		stop()
		if applied.Load() != 1 {
			t.Errorf("put %d times", applied.Load())
		}
	}
}

func TestOfUploadsOfOneKeyOneIsTaken(t *testing.T) {
	store := memstore.NewBucket(memstore.Options{})
	var made, taken atomic.Int64
	var group sync.WaitGroup
	for _, id := range []string{"a", "b", "c", "d"} {
		group.Go(func() {
			_, err := cas.Once(t.Context(), store, "k", id, text(id), objstore.PutOptions{})
			switch {
			case err == nil:
				made.Add(1)
			case errors.Is(err, cas.Taken):
				taken.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if made.Load() != 1 || taken.Load() != 3 {
		t.Errorf("%d made it, %d came too late", made.Load(), taken.Load())
	}
}
