package sessions

import (
	"bytes"
	"crypto/rand"
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
