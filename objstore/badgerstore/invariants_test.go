package badgerstore

import (
	"fmt"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// audit is a walk over everything in a store.
type audit struct {
	v        *view
	places   map[uint64]place          // of embedded objects, as their ids say
	free     map[uint64]*record.Object // objects that live under their ids
	names    map[uint64]int            // of free files
	entries  map[uint64]int            // entries found, by directory
	subdirs  map[uint64]int            // of those, directories
	roots    map[uint64]bool
	counted  map[extent.Ref]record.Refs // counts that are stored
	refs     map[extent.Ref]uint64      // references found
	stored   map[extent.Ref]bool        // pages and payloads found
	live     map[extent.Ref]bool        // payloads that contents in use have bytes from
	freed    map[uint64]bool            // pages that garbage lists as freed
	objects  int
	unlinked map[uint64]bool // blobs that garbage says are to be removed
	problems []error
}

// checkBlob wants a reason for a blob that is on the disk.
func (a *audit) checkBlob(ref blobRef) error {
	_, counted := a.counted[extent.Ref{Kind: extent.RefKind(kindOf(ref)), ID: ref.ID}]
	f := &a.v.e.inFlight
	f.mu.Lock()
	defer f.mu.Unlock()
	if !counted && !a.unlinked[ref.ID] && !f.ids[ref.ID] {
		a.bad("blob %d is on the disk and nothing refers to it", ref.ID)
	}
	return nil
}

// checkInvariants walks the whole store:
//
//	every entry leads to an object and every object with an id to an entry;
//	directories count their entries right, files their names;
//	every page and payload is referred to as often as is counted, and none is left over.
func (e *Engine) checkInvariants() error {
	e.collector.working.Lock()
	defer e.collector.working.Unlock()
	v := e.view()
	defer v.close()
	a := &audit{
		v: v, places: map[uint64]place{}, free: map[uint64]*record.Object{}, names: map[uint64]int{},
		entries: map[uint64]int{}, subdirs: map[uint64]int{}, roots: map[uint64]bool{},
		counted: map[extent.Ref]record.Refs{}, refs: map[extent.Ref]uint64{}, stored: map[extent.Ref]bool{},
		freed: map[uint64]bool{}, live: map[extent.Ref]bool{}, unlinked: map[uint64]bool{},
	}
	if err := v.scan(nil, a.note); err != nil {
		return err
	}
	a.checkTree()
	a.checkRefs()
	if err := e.blobs.Orphans(0, a.checkBlob); err != nil {
		return err
	}
	if n := e.objects.Load(); e.published.Load() == v.ts && n != int64(a.objects) {
		a.bad("%d objects are counted and %d are there", n, a.objects)
	}
	if len(a.problems) > 0 {
		return fmt.Errorf("%d broken invariants, the first: %w", len(a.problems), a.problems[0])
	}
	return nil
}

func (a *audit) bad(format string, args ...any) {
	a.problems = append(a.problems, fmt.Errorf(format, args...))
}

func (a *audit) note(key []byte, value any) (bool, error) {
	switch v := value.(type) {
	case *record.Object:
		a.objects++
		a.content(v.Content)
		if key[0] == record.TagObject {
			a.free[v.ID] = v
			return true, nil
		}
		a.entry(key, false)
		if p, ok := a.places[v.ID]; ok && p != v.Place {
			a.bad("object %d is at %v and elsewhere", v.ID, v.Place)
		}
		value, err := a.v.read(record.ObjectKey(v.ID))
		if err != nil || value != v.Place {
			a.bad("object %d at %v has the place %v under its id (%v)", v.ID, v.Place, value, err)
		}
	case record.Place:
		a.places[record.Number(key)] = v
	case record.Ref:
		a.entry(key, v.Dir)
		if !v.Dir {
			a.names[v.ID]++
		}
	case record.Bucket:
		a.roots[v.Root] = true
	case record.Refs:
		a.counted[extent.Ref{Kind: extent.RefKind(key[1]), ID: record.Number(key[1:])}] = v
	case *record.Garbage:
		for _, d := range v.Dropped {
			a.refs[extent.Ref{Kind: extent.RefKind(d.Kind), ID: d.ID}]++
		}
		for _, id := range v.Freed {
			a.freed[id] = true
		}
		for _, u := range v.Unlink {
			a.unlinked[u.ID] = true
		}
	case *record.Conflict:
		for _, s := range []*record.Side{&v.Mine, &v.Base, &v.Theirs} {
			if s.Held {
				a.content(s.Content)
			}
		}
	case *extent.Page:
		a.stored[extent.Ref{Kind: extent.RefPage, ID: record.Number(key)}] = true
	case raw:
		if key[0] == record.TagPayload {
			a.stored[extent.Ref{Kind: extent.RefInline, ID: record.Number(key)}] = true
		}
	}
	return true, nil
}

func (a *audit) entry(key []byte, isDir bool) {
	dir := record.Number(key)
	a.entries[dir]++
	if isDir {
		a.subdirs[dir]++
	}
}

func (a *audit) content(c record.Content) {
	x, err := extentsOf(c)
	if err != nil {
		a.bad("content: %w", err)
		return
	}
	for _, r := range x.Refs() {
		a.refs[r]++
	}
	var allocated int64
	err = x.Extents(pages{a.v.tree}, 0, x.Size, func(e extent.Extent) error {
		if e.Source.Kind != extent.Hole {
			allocated += e.Len
			a.live[extent.Ref{Kind: extent.RefKind(e.Source.Kind), ID: e.Source.ID}] = true
		}
		return nil
	})
	if err != nil || allocated != c.Allocated {
		a.bad("a content of %d bytes takes %d bytes, not %d (%v)", c.Size, allocated, c.Allocated, err)
	}
}

func (a *audit) checkTree() {
	for id, p := range a.places {
		value, err := a.v.read(record.EntryKey(p))
		if o, ok := value.(*record.Object); err != nil || !ok || o.ID != id {
			a.bad("object %d should be at %v, where %v is (%v)", id, p, value, err)
		}
	}
	for id, o := range a.free {
		if o.IsDir() {
			a.checkDir(id, o)
			continue
		}
		if int(o.Links) != a.names[id] {
			a.bad("object %d has %d names and counts %d", id, a.names[id], o.Links)
		}
		if n := a.v.countKeys(record.NamePrefix(id)); n != uint64(o.Links) {
			a.bad("object %d has %d reverse names and counts %d", id, n, o.Links)
		}
	}
	for id := range a.names {
		if a.free[id] == nil {
			a.bad("entries name object %d, which is not there", id)
		}
	}
}

func (a *audit) checkDir(id uint64, o *record.Object) {
	if int(o.Children) != a.entries[id] || int(o.Subdirs) != a.subdirs[id] {
		a.bad("directory %d counts %d entries, %d directories; there are %d, %d",
			id, o.Children, o.Subdirs, a.entries[id], a.subdirs[id])
	}
	if a.roots[id] {
		return
	}
	value, err := a.v.read(record.EntryKey(o.Place))
	if err != nil || value != (record.Ref{ID: id, Dir: true}) {
		a.bad("directory %d should be at %v, where %v is (%v)", id, o.Place, value, err)
	}
}

func (a *audit) checkRefs() {
	for r := range a.stored {
		if r.Kind != extent.RefPage || a.freed[r.ID] {
			continue // the references of freed pages have moved
		}
		page, err := pages{a.v.tree}.Page(extent.PageID(r.ID))
		if err != nil {
			a.bad("page %d: %w", r.ID, err)
			continue
		}
		for _, child := range page.Refs() {
			a.refs[child]++
		}
	}
	for r, n := range a.refs {
		counted, err := a.v.refs(r)
		if err != nil || counted.Count != n {
			a.bad("%v is referred to %d times, counted is %+v (%v)", r, n, counted, err)
		}
		if !isBlob(r.Kind) && !a.stored[r] {
			a.bad("%v is referred to and not there", r)
		}
		if isBlob(r.Kind) && a.live[r] { // what garbage refers to may be gone already
			if _, err := a.v.e.blobs.Size(blobOf(r.Kind, r.ID)); err != nil {
				a.bad("%v: %w", r, err)
			}
		}
	}
	for r := range a.stored {
		if a.refs[r] == 0 && !(r.Kind == extent.RefPage && a.freed[r.ID]) {
			a.bad("%v is there and nothing refers to it", r)
		}
	}
	for r, counted := range a.counted {
		if counted.Garbage != 0 && a.freed[r.ID] {
			continue
		}
		if a.refs[r] == 0 {
			a.bad("%v is counted %+v and not referred to", r, counted)
		}
	}
}
