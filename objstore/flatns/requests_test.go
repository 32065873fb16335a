package flatns_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// tally counts requests by what they ask.
type tally struct {
	mu    sync.Mutex
	asked map[string]int // GUARDED_BY(mu)
}

// RoundTrip implements [http.RoundTripper].
func (c *tally) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.asked[r.Method]++
	c.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

// since is the requests since it was asked last.
func (c *tally) since() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.asked
	c.asked = make(map[string]int)
	return asked
}

// servedWorld is a world whose bucket is one of our server, spoken to as any S3 store.
func servedWorld(t *testing.T) (*world, *tally) {
	t.Helper()
	_, engine, err := memory(t.Context())
	must(t, err)
	handler, err := s3server.New(s3server.Options{
		Buckets: engine, Users: s3server.Users{Anonymous: &s3server.User{Admin: []string{"*"}}},
	})
	must(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	requests := &tally{asked: make(map[string]int)}
	store, err := s3store.Open(t.Context(), s3store.Options{Bucket: "box", Endpoint: server.URL, Region: "us-east-1"}, s3store.Parts{
		HTTP: &http.Client{Transport: requests}, Clock: noWait{}, Credentials: aws.AnonymousCredentials{},
	})
	must(t, err)
	engineStore, err := engine.Bucket(t.Context(), "box")
	must(t, err)
	for i := range 1200 {
		must(t, (&world{t, engineStore}).put(t.Context(), objstore.Key(fmt.Sprintf("many/a-%06d.x", i)), "x", map[string]string{"mode": "33188"}))
		must(t, (&world{t, engineStore}).put(t.Context(), objstore.Key(fmt.Sprintf("many/d-%06d/", i)), "", map[string]string{"mode": "16877"}))
		must(t, (&world{t, engineStore}).put(t.Context(), objstore.Key(fmt.Sprintf("many/e-%06d/below", i)), "", nil))
	}
	return &world{t, store}, requests
}

// Of our server, files, directories and what the keys below imply are listed with one request for a thousand of them, and none for each.
func TestListingsOfOurServerTakeARequestForAThousandNames(t *testing.T) {
	w, requests := servedWorld(t)
	m := w.mount()
	dir, err := m.Lookup(t.Context(), m.root, "many")
	must(t, err)
	requests.since()
	var names []string
	for more := true; more; {
		after := ""
		if len(names) > 0 {
			after = names[len(names)-1]
		}
		var entries []objstore.DirEntry
		entries, more, err = m.ReadDir(t.Context(), dir.ID, after, 1000)
		must(t, err)
		for _, e := range entries {
			names = append(names, e.Name)
			if isDir := e.Info.Type == objstore.TypeDir; isDir != (path.Ext(e.Name) == "") || e.Info.Explicit != (e.Name[0] == 'd') {
				t.Fatalf("%s is listed as %+v", e.Name, e.Info)
			}
		}
	}
	if len(names) != 3600 || !slices.IsSorted(names) {
		t.Errorf("%d names, in order: %v", len(names), slices.IsSorted(names))
	}
	// One asks whether the directory is there, a few whether there is a directory "a", which would come before "a-1".
	const pages, more = 4, 8
	asked := requests.since()
	if total := asked["GET"]; total > pages+more || len(asked) != 1 {
		t.Errorf("%d names took %v", len(names), asked)
	}
	t.Log(asked)
}
