package remote

import (
	"slices"
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

// recordsMax bounds how many names, and how many objects, are remembered, also where there is no limit of memory.
const recordsMax = 1 << 16

// A name and its object take recordBytes, about; one in recordsPart bytes of a limit is for them, for the heap may grow to twice as
// much before it is collected.
const (
	recordBytes = 512
	recordsPart = 8
)

// recordsWithin is how many may be remembered by a process that may take so many bytes; 0: any.
func recordsWithin(bytes int64) int {
	if bytes <= 0 {
		return recordsMax
	}
	return int(min(recordsMax, max(1, bytes/recordsPart/recordBytes)))
}

// records are what the server has said of names and objects and has not told a change of since. Who may
// answer from them is decided by the lease.
type records struct {
	mu sync.Mutex
	// Guarded by mu.
	on      bool // somebody asks for leases
	most    int  // of names, of objects and of paths
	names   map[entry]objstore.ID
	whole   map[objstore.ID]struct{} // directories of which all names are remembered
	objects map[objstore.ID]objstore.Info
	paths   map[objstore.ID]string
	moved   uint64                             // the moment of the last change that may be of any path
	moment  uint64                             // moves with every change
	touched [256]struct{ name, object uint64 } // the moments of the last change of anything that shares a slot
}

// entry is a name in a directory.
type entry struct {
	parent objstore.ID
	name   string
}

// What is remembered of a name instead of an object.
const (
	absent    objstore.ID = 0               // it does not exist
	unsettled             = ^objstore.ID(0) // it has to be asked for
)

// slot is the same for few names of a directory.
func (e entry) slot() uint8 {
	h := uint32(2166136261) ^ uint32(e.parent)
	for i := range len(e.name) {
		h = (h ^ uint32(e.name[i])) * 16777619
	}
	return uint8(h ^ h>>8 ^ h>>16)
}

// begin begins to remember, no more than a process can that may take so many bytes; 0: any.
func (r *records) begin(memoryBytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on, r.most = true, recordsWithin(memoryBytes)
	r.clear()
}

// clear forgets everything; mu is held.
func (r *records) clear() {
	r.moment++
	for i := range r.touched {
		r.touched[i].name, r.touched[i].object = r.moment, r.moment
	}
	r.names, r.objects = make(map[entry]objstore.ID), make(map[objstore.ID]objstore.Info)
	r.whole = make(map[objstore.ID]struct{})
	r.clearPaths()
}

// clearPaths requires mu.
func (r *records) clearPaths() {
	r.moved = r.moment
	r.paths = make(map[objstore.ID]string)
}

func (r *records) forgetAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.on {
		r.clear()
	}
}

// now is the moment before a question.
func (r *records) now() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.moment
}

// apply notes a change, and what its objects are after it: what it makes stale is forgotten.
func (r *records) apply(c objstore.Change, after []objstore.Info) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.on {
		return
	}
	r.moment++
	r.applyToPaths(c)
	for _, id := range []objstore.ID{c.Object, c.Parent, c.NewParent, c.Replaced} {
		delete(r.objects, id)
		r.touched[uint8(id)].object = r.moment
	}
	for _, info := range after {
		r.learnObject(r.moment, info)
	}
	r.applyToNames(c, after)
}

// applyToNames requires mu. All that becomes of names is told, but one step may be told in two changes: a name that went may be
// another's at once.
func (r *records) applyToNames(c objstore.Change, after []objstore.Info) {
	from, to := entry{c.Parent, c.Name}, entry{c.NewParent, c.NewName}
	now := unsettled
	i := slices.IndexFunc(after, func(info objstore.Info) bool { return info.ID == c.Object })
	if i >= 0 {
		now = c.Object
	}
	switch c.Kind {
	case objstore.ChangeCreated:
		r.nameIs(from, now)
		if i >= 0 && after[i].Type == objstore.TypeDir {
			r.whole[c.Object] = struct{}{} // it was empty, and what comes into it is told
		}
	case objstore.ChangeRemoved:
		r.nameIs(from, unsettled)
		delete(r.whole, c.Object)
	case objstore.ChangeMoved:
		r.nameIs(from, unsettled)
		r.nameIs(to, now)
		delete(r.whole, c.Replaced)
	}
}

// nameIs notes what a change has made of a name. It requires mu.
func (r *records) nameIs(e entry, id objstore.ID) {
	r.touched[e.slot()].name = r.moment
	r.putName(e, id)
}

// putName requires mu.
func (r *records) putName(e entry, id objstore.ID) {
	if forgotten, full := put(r.names, e, id, r.most); full {
		delete(r.whole, forgotten.parent)
	}
}

// applyToPaths requires mu, and what is known of the object: what is no directory is on no other path.
func (r *records) applyToPaths(c objstore.Change) {
	if c.Kind != objstore.ChangeMoved && c.Kind != objstore.ChangeRemoved {
		return
	}
	if info, known := r.objects[c.Object]; !known || info.Type == objstore.TypeDir {
		r.clearPaths()
		return
	}
	delete(r.paths, c.Object)
	delete(r.paths, c.Replaced)
}

// learnPath notes a path that was asked for at a moment.
func (r *records) learnPath(asked uint64, id objstore.ID, path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.on && r.moved <= asked && r.touched[uint8(id)].object <= asked {
		put(r.paths, id, path, r.most)
	}
}

func (r *records) path(id objstore.ID) (path string, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	path, known = r.paths[id]
	return path, known
}

// learn notes an answer to a question that was asked at a moment, unless a change may have overtaken it.
func (r *records) learn(asked uint64, e entry, info objstore.Info) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.on {
		return
	}
	r.learnObject(asked, info)
	if r.touched[e.slot()].name <= asked {
		r.putName(e, info.ID)
	}
}

// learnWhole notes the entries of a directory, of which there are no others, unless something has changed since they were
// asked for.
func (r *records) learnWhole(asked uint64, dir objstore.ID, all []objstore.DirEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.on || r.moment != asked || len(all) > r.most/2 {
		return
	}
	r.whole[dir] = struct{}{}
	for _, e := range all {
		r.putName(entry{dir, e.Name}, e.Info.ID)
		r.learnObject(asked, e.Info)
	}
}

func (r *records) learnAttributes(asked uint64, info objstore.Info) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.on {
		r.learnObject(asked, info)
	}
}

// learnObject requires mu.
func (r *records) learnObject(asked uint64, info objstore.Info) {
	if info.ID != absent && r.touched[uint8(info.ID)].object <= asked {
		put(r.objects, info.ID, info, r.most)
	}
}

// put makes room by forgetting whatever comes first.
func put[K comparable, V any](m map[K]V, key K, value V, most int) (forgotten K, full bool) {
	if _, there := m[key]; !there && len(m) >= most {
		for old := range m {
			delete(m, old)
			forgotten, full = old, true
			break
		}
	}
	m[key] = value
	return forgotten, full
}

// lookup is what is remembered of a name. known without an id means that it does not exist.
func (r *records) lookup(e entry) (info objstore.Info, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id, known := r.names[e]
	switch {
	case !known:
		return objstore.Info{}, r.isWhole(e)
	case id == absent:
		return objstore.Info{}, true
	}
	info, known = r.objects[id]
	return info, known
}

// isWhole reports whether e does not exist if it is not remembered. Of names that may stand for others only the server knows.
// It requires mu.
func (r *records) isWhole(e entry) bool {
	_, whole := r.whole[e.parent]
	return whole && e.name != "" && len(e.name) <= objstore.NameBytesMax && !objstore.IsEscape(e.name)
}

func (r *records) stat(id objstore.ID) (info objstore.Info, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	info, known = r.objects[id]
	return info, known
}
