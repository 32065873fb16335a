package s3store_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// describedKeys puts what a head tells a lot of, and what is none.
func describedKeys(ctx context.Context, engine objstore.Buckets) error {
	bucket, err := engine.Bucket(ctx, "box")
	if err != nil {
		return err
	}
	everything := objstore.PutOptions{
		ContentType: "text/plain; charset=utf-8",
		UserMeta:    map[string]string{"mode": "41471", "odd": ` <&"+%=; é`, "mtime": "1.000000001"},
		Headers:     objstore.Headers{CacheControl: "no-cache", ContentDisposition: "inline", ContentEncoding: "x", ContentLanguage: "en", Expires: "soon"},
	}
	for key, opt := range map[objstore.Key]objstore.PutOptions{
		"plain": {}, "rich": everything, "dir/": everything, "dir/below": {}, "implied/below": {}, "e é+%": everything, "both": {}, "both/": {},
	} {
		if _, err := bucket.Put(ctx, key, strings.NewReader(string(key[:1])), objstore.Unconditional(), opt); err != nil {
			return err
		}
	}
	return nil
}

// serveDescribed serves an engine with some keys.
func serveDescribed(t *testing.T, engine objstore.Buckets) *httptest.Server {
	t.Helper()
	server, err := serve(t.Context(), engine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	if err := describedKeys(t.Context(), engine); err != nil {
		t.Fatal(err)
	}
	return server
}

// Every entry of a listing of our server that is to describe is what a head tells, a directory's marker too.
func TestListingsOfOurServerDescribeAsHeadsDo(t *testing.T) {
	engine, err := badgerstore.Open(t.Context(), inMemory(t), badgerstore.Options{Create: true}, badgerstore.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	for name, engine := range map[string]objstore.Buckets{"memory": memstore.New(memstore.Options{}), "badger": engine} {
		server := serveDescribed(t, engine)
		store, err := open(t.Context(), server.URL, &http.Transport{DisableKeepAlives: true})
		if err != nil {
			t.Fatal(err)
		}
		page, err := store.List(t.Context(), objstore.ListOptions{Delimiter: "/", Describe: true})
		if err != nil || len(page.Entries) != 7 {
			t.Fatalf("%s: %d entries, %v", name, len(page.Entries), err)
		}
		for _, e := range page.Entries {
			head, err := store.Head(t.Context(), e.Key)
			if err != nil && (objstore.KindOf(err) != objstore.ErrNotFound || e.Key != "implied/") {
				t.Errorf("%s: %s: %v", name, e.Key, err)
			}
			if !e.Described || !reflect.DeepEqual(e.Info, head) {
				t.Errorf("%s: %s is described (%v) as\n%+v, a head tells\n%+v", name, e.Key, e.Described, e.Info, head)
			}
		}
	}
}

// forgetful is a server of ours from before there were descriptions, or one whose answers break off.
type forgetful struct{ change func(body string) string }

// RoundTrip implements [http.RoundTripper].
func (f forgetful) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || r.Header.Get("x-etagfs-describe") == "" {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(strings.NewReader(f.change(string(body))))
	return answer, nil
}

// What a server does not describe, or describes in a way that makes no sense, is listed as by any store; an answer that breaks off is none.
func TestListingsWithoutDescriptionsAreListings(t *testing.T) {
	server := serveDescribed(t, memstore.New(memstore.Options{}))
	for what, r := range map[string]struct {
		change func(string) string
		fails  bool
	}{
		"none":     {func(s string) string { return strings.ReplaceAll(s, "EtagfsDescription", "Other") }, false},
		"odd":      {func(s string) string { return strings.ReplaceAll(s, "<EtagfsDescription>", "<EtagfsDescription>%zz") }, false},
		"no size":  {func(s string) string { return strings.ReplaceAll(s, "Content-Length", "X") }, false},
		"cut off":  {func(s string) string { return s[:len(s)-20] }, true},
		"no words": {func(string) string { return "" }, true},
	} {
		store, err := open(t.Context(), server.URL, forgetful{r.change})
		if err != nil {
			t.Fatal(err)
		}
		page, err := store.List(t.Context(), objstore.ListOptions{Delimiter: "/", Describe: true})
		if r.fails != (err != nil) || !r.fails && len(page.Entries) != 7 {
			t.Errorf("%s: %d entries, %v", what, len(page.Entries), err)
		}
		for _, e := range page.Entries {
			if e.Described && e.Key != "implied/" || !e.Prefix && e.Info.ETag == "" {
				t.Errorf("%s: %+v", what, e)
			}
		}
	}
}
