package sessions

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/locks"
	"github.com/etagfs/etagfs/objstore/wire"
)

// late is a namespace that tells of a change when that is awaited.
type late struct {
	objstore.Namespace
	tell func()
}

func (l late) AwaitTold() { l.tell() }

// C5: a change that an answer may show is counted in it, though its watchers were not told yet: the client waits
// until it was told, so that it never answers from something older.
func TestReplyCountsWhatItMayShow(t *testing.T) {
	table := New(Options{Lease: time.Hour, LockLease: time.Hour, Locks: locks.NewBuckets(), Rand: rand.Reader})
	defer table.Close()
	ns := &late{}
	s := newSession(table, "s", Call{Bucket: "b"}, ns)
	defer s.end()
	ns.tell = func() { s.feed.add(objstore.Change{Kind: objstore.ChangeAttr}) }
	var state wire.State
	if err := wire.ReadMessage(bytes.NewReader(s.reply(nil, objstore.ErrNotFound)), &state); err != nil || state.Changes != 1 {
		t.Errorf("%d changes, %v", state.Changes, err)
	}
}

// C7: who remembers names hears of a rename before it is made, and of its end after it was told of what changed.
func TestRenameIsAnnounced(t *testing.T) {
	var order []string
	note := func(what string) { order = append(order, what) }
	table := New(Options{
		Lease: time.Hour, LockLease: time.Hour, Locks: locks.NewBuckets(), Rand: rand.Reader,
		Moving:  func(context.Context, objstore.MoveRequest) func() { note("moving"); return func() { note("moved") } },
		Settled: func(context.Context) { note("settled") },
	})
	defer table.Close()
	s := newSession(table, "s", Call{Bucket: "b"}, mover{note: note})
	defer s.end()
	r := &request{Call: Call{Reply: discarded{}}, head: wire.Head{Method: wire.MethodMove, ID: 1}, rest: wire.Encode(&wire.Move{})}
	if err := s.serve(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if want := []string{"moving", "move", "settled", "moved"}; !slices.Equal(order, want) {
		t.Errorf("%q, want %q", order, want)
	}
}

// mover is a namespace that notes renames.
type mover struct {
	objstore.Namespace
	note func(string)
}

func (m mover) Move(context.Context, objstore.MoveRequest) (objstore.MoveResult, error) {
	m.note("move")
	return objstore.MoveResult{}, nil
}

// discarded is a reply nobody reads.
type discarded struct{}

func (discarded) Write(p []byte) (int, error) { return len(p), nil }
func (discarded) Flush() error                { return nil }
