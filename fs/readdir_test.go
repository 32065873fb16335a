package fs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// ample is room for more than tests list.
var ample = Room{Bytes: 1 << 20, Entry: 28}

// countedListings counts what a store lists.
type countedListings struct {
	objstore.Namespace
	calls, entries int
}

func (c *countedListings) ReadDir(ctx context.Context, dir objstore.ID, after string, most int) ([]objstore.DirEntry, bool, error) {
	entries, more, err := c.Namespace.ReadDir(ctx, dir, after, most)
	c.calls++
	c.entries += len(entries)
	return entries, more, err
}

func mountCounted(t *testing.T) (*mounted, *countedListings) {
	w := newWorld(t)
	store := &countedListings{Namespace: w.store}
	w.store = store
	return w.mount(Options{}), store
}

// reply is what a kernel asks for at a time.
type reply struct {
	room    Room
	left    int
	entries int
	next    uint64
}

func (r *reply) add(e DirEntry, next uint64) bool {
	const header = 24
	if r.left -= r.room.Entry - ample.Entry + header + (len(e.Name)+7)&^7; r.left < 0 {
		return false
	}
	r.entries, r.next = r.entries+1, next
	return true
}

// Whether a directory is walked through or looked at here and there: a reply is filled with one call of the store, and hardly
// more is asked of the store than the reply holds.
func TestListingAsksForWhatTheReplyHolds(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	m, store := mountCounted(t)
	const names = 2000
	for i := range names {
		m.put(fmt.Sprintf("%04d-%s", i, strings.Repeat("n", random.IntN(60))), "")
	}
	for _, room := range []Room{{Bytes: 4 << 10, Entry: 28}, {Bytes: 4 << 10, Entry: 156}, {Bytes: 8 << 10, Entry: 28}, {Bytes: 32 << 10, Entry: 156}} {
		d, err := m.OpenDir(m.ctx, m.Root())
		if err != nil {
			t.Fatal(err)
		}
		ask := func(cookie uint64) *reply {
			r := &reply{room: room, left: room.Bytes}
			if err := d.Read(m.ctx, alice, cookie, room, r.add); err != nil {
				t.Fatal(err)
			}
			return r
		}
		check := func(what string, replies, entries int) {
			t.Helper()
			if store.calls > replies+replies/8+2 || store.entries > entries*5/4 {
				t.Errorf("%v, %s: the store was asked %d times for %d entries, of which %d replies hold %d", room, what, store.calls, store.entries, replies, entries)
			}
			store.calls, store.entries = 0, 0
		}
		replies, entries := 0, 0
		store.calls, store.entries = 0, 0
		for r := ask(0); r.entries > 0; r = ask(r.next) {
			replies, entries = replies+1, entries+r.entries
		}
		check("a walk", replies, entries)
		replies, entries = 200, 0
		for range replies {
			entries += ask(firstCookie + random.Uint64N(names*9/10)).entries
		}
		check("a look here and there", replies, entries)
	}
}

// A program that seeks in a directory before it has read it to its end, of which no kernel keeps a listing: what was listed once is not asked
// of the store again until a name changes, and then it is.
func TestWhatWasListedIsNotAskedForAgainUntilANameChanges(t *testing.T) {
	m, store := mountCounted(t)
	const names = 500
	for i := range names {
		m.put(fmt.Sprint("name-", i), "")
	}
	if _, err := m.Mkdir(m.ctx, alice, m.Root(), "name-dir", 0o755); err != nil {
		t.Fatal(err)
	}
	d, _, err := m.OpenKept(m.ctx, m.Root())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	type listed struct {
		name   string
		object objstore.ID
		typ    objstore.FileType
		next   uint64
	}
	list := func(cookie uint64, most int) (all []listed) {
		room := Room{Bytes: ample.Bytes, Entry: ample.Entry, Plain: true}
		err := d.Read(m.ctx, alice, cookie, room, func(e DirEntry, next uint64) bool {
			all = append(all, listed{e.Name, e.View.Object, e.Attr.Type, next})
			return len(all) < most
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	first := list(0, names/2)
	store.calls = 0
	for i := range len(first) - 1 {
		cookie := uint64(0)
		if i > 0 {
			cookie = first[i-1].next
		}
		if again := list(cookie, 2); !slices.Equal(again, first[i:i+2]) {
			t.Fatalf("%v are listed, %v were", again, first[i:i+2])
		}
	}
	if store.calls > 0 {
		t.Errorf("the store was asked %d times", store.calls)
	}
	gone := first[10]
	if err := m.Unlink(m.ctx, alice, m.Root(), gone.name); err != nil {
		t.Fatal(err)
	}
	if got := list(first[9].next, 1); len(got) != 1 || got[0] != first[11] {
		t.Errorf("after %s was removed, %v is listed behind %s", gone.name, got, first[9].name)
	}
	rest := list(first[len(first)-1].next, 2*names)
	if got, want := len(rest), names+3-len(first); got != want {
		t.Errorf("the rest are %d, want %d", got, want)
	}
}
