package fs

import (
	"fmt"
	"slices"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// untold is a store that tells of no changes, as a bucket.
type untold struct{ *countedListings }

func (u untold) Capabilities() objstore.Capabilities {
	caps := u.countedListings.Capabilities()
	caps.Watch = false
	return caps
}

func mountUntold(t *testing.T) (*mounted, *countedListings) {
	w := newWorld(t)
	store := &countedListings{Namespace: w.store}
	w.store = untold{store}
	return w.mount(Options{}), store
}

// Where every listing is a request, a walk for names asks for a thousand at a time, however little a reply holds. A walk that begins,
// or begins again, shows what there is then; and what is wanted with its attributes is never listed ahead.
func TestNamesAreListedAheadWithinAWalk(t *testing.T) {
	m, store := mountUntold(t)
	var names []string
	for i := range 2500 {
		names = append(names, fmt.Sprintf("f%04d", i))
		m.put(names[i], "")
	}
	d, err := m.OpenDir(m.ctx, m.Root())
	if err != nil {
		t.Fatal(err)
	}
	walk := func(d *Dir, plain bool) (all []string) {
		store.calls = 0
		for cookie, more := uint64(0), true; more; {
			more = false
			room := Room{Bytes: 4 << 10, Entry: ample.Entry, Plain: plain}
			r := &reply{room: room, left: room.Bytes}
			err := d.Read(m.ctx, alice, cookie, room, func(e DirEntry, next uint64) bool {
				if !r.add(e, next) {
					return false
				}
				more, cookie = true, next
				all = append(all, e.Name)
				return true
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return all[2:]
	}
	if got := walk(d, true); !slices.Equal(got, names) || store.calls != 3 {
		t.Errorf("%d names were listed with %d requests", len(got), store.calls)
	}
	begin := func(d *Dir) (first string) {
		room := Room{Bytes: 4 << 10, Entry: ample.Entry, Plain: true}
		err := d.Read(m.ctx, alice, 0, room, func(e DirEntry, _ uint64) bool {
			first = e.Name
			return first == "." || first == ".."
		})
		if err != nil {
			t.Fatal(err)
		}
		return first
	}
	if first := begin(d); first != names[0] {
		t.Errorf("%s comes first", first)
	}
	if err := m.Unlink(m.ctx, alice, m.Root(), names[24]); err != nil {
		t.Fatal(err)
	}
	m.put("f0024-new", "")
	want := slices.Clone(names)
	want[24] = "f0024-new"
	if got := walk(d, true); !slices.Equal(got, want) {
		t.Error("a walk that begins again does not show what has changed meanwhile")
	}
	other, err := m.OpenDir(m.ctx, m.Root())
	if err != nil {
		t.Fatal(err)
	}
	if got := walk(other, true); !slices.Equal(got, want) {
		t.Error("another walk does not show what has changed")
	}
	if walk(d, false); store.calls < 10 {
		t.Errorf("attributes of %d names were listed ahead, with %d requests", len(names), store.calls)
	}
}
