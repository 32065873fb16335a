package s3store_test

import (
	"net/http"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// slip is where notes are kept.
type slip struct{ text []byte }

func (s *slip) Read() ([]byte, error)   { return s.text, nil }
func (s *slip) Write(text []byte) error { s.text = text; return nil }
func (s *slip) Remove() error           { s.text = nil; return nil }

// noting opens one store again and again.
type noting struct {
	t        *testing.T
	endpoint string
	notes    slip
	wire     *wire
	now      time.Time
	called   string // the name of the server in its replies; empty: its own
	requests atomic.Int64
}

func newNoting(t *testing.T, foreign bool) *noting {
	server, err := serve(t.Context(), memstore.New(memstore.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return &noting{t: t, endpoint: server.URL, wire: &wire{foreign: foreign}, now: time.Unix(1e9, 0)}
}

// RoundTrip implements [http.RoundTripper].
func (n *noting) RoundTrip(r *http.Request) (*http.Response, error) {
	n.requests.Add(1)
	response, err := n.wire.RoundTrip(r)
	if err == nil && n.called != "" {
		response.Header.Set("Server", n.called)
	}
	return response, err
}

// open tells how many requests it took, too.
func (n *noting) open() (*s3store.Store, int64) {
	n.t.Helper()
	before := n.requests.Load()
	store, err := s3store.Open(n.t.Context(), s3store.Options{Bucket: "box", Endpoint: n.endpoint, Region: "us-east-1"}, s3store.Parts{
		HTTP: &http.Client{Transport: n}, Clock: noWait{}, Credentials: aws.AnonymousCredentials{},
		Notes: &n.notes, Now: func() time.Time { return n.now },
	})
	if err != nil {
		n.t.Fatal(err)
	}
	page, err := store.List(n.t.Context(), objstore.ListOptions{})
	if err != nil || len(page.Entries) > 0 {
		n.t.Errorf("opening it left %v (%v)", page.Entries, err)
	}
	return store, n.requests.Load() - before - 1
}

// confirming is the most requests it takes to confirm notes; a probe takes many times that.
const confirming = 8

// A store that was probed is not probed again but confirmed, and does what it did.
func TestNotesSpareAProbe(t *testing.T) {
	for name, foreign := range map[string]bool{"our server": false, "a foreign one": true} {
		n := newNoting(t, foreign)
		first, probed := n.open()
		if probed < 3*confirming {
			t.Errorf("%s: the probe took %d requests", name, probed)
		}
		for range 3 {
			again, took := n.open()
			if took > confirming {
				t.Errorf("%s: %d requests", name, took)
			}
			if again.Capabilities() != first.Capabilities() || !reflect.DeepEqual(again.Findings(), first.Findings()) {
				t.Errorf("%s: %+v, then %+v", name, first.Capabilities(), again.Capabilities())
			}
		}
	}
}

// A store that is not, or may not be, what was probed is probed again, and writes are refused if they have to be.
func TestNotesAreNotTrusted(t *testing.T) {
	for _, row := range []struct {
		name     string
		change   func(n *noting)
		writable bool
	}{
		{"it ignores If-Match", func(n *noting) { n.wire.ignored = []string{"If-Match"} }, false},
		{"it ignores If-None-Match", func(n *noting) { n.wire.ignored = []string{"If-None-Match"} }, false},
		{"it is of another make", func(n *noting) { n.called = "other" }, true},
		{"a day has passed", func(n *noting) { n.now = n.now.Add(s3store.NotesAge) }, true},
		{"time went back", func(n *noting) { n.now = n.now.Add(-time.Second) }, true},
		{"they are damaged", func(n *noting) { n.notes.text = n.notes.text[1:] }, true},
	} {
		n := newNoting(t, true)
		n.open()
		row.change(n)
		store, took := n.open()
		if took < 3*confirming {
			t.Errorf("%s: %d requests are no probe", row.name, took)
		}
		if err := store.Writable(); (err == nil) != row.writable {
			t.Errorf("%s: writable: %v", row.name, err)
		}
		if noted := n.notes.text != nil; noted != row.writable {
			t.Errorf("%s: it is noted: %v", row.name, noted)
		}
	}
}
