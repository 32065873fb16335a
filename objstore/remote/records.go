package remote

import (
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

// recordsMax bounds how many names, and how many objects, are remembered.
const recordsMax = 1 << 16

// records are what the server has said of names and objects and has not told a change of since. Who may
// answer from them is decided by the lease.
type records struct {
	mu sync.Mutex
	// Guarded by mu.
	on      bool // somebody asks for leases
	names   map[entry]objstore.ID
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

// absent is the object of a name that does not exist.
const absent objstore.ID = 0

// slot is the same for few names of a directory.
func (e entry) slot() uint8 {
	h := uint32(2166136261) ^ uint32(e.parent)
	for i := range len(e.name) {
		h = (h ^ uint32(e.name[i])) * 16777619
	}
	return uint8(h ^ h>>8 ^ h>>16)
}

func (r *records) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = true
	r.clear()
}

// clear forgets everything; mu is held.
func (r *records) clear() {
	r.moment++
	for i := range r.touched {
		r.touched[i].name, r.touched[i].object = r.moment, r.moment
	}
	r.names, r.objects = make(map[entry]objstore.ID), make(map[objstore.ID]objstore.Info)
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

// apply forgets what a change makes stale.
func (r *records) apply(c objstore.Change) {
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
	for _, e := range []entry{{c.Parent, c.Name}, {c.NewParent, c.NewName}} {
		delete(r.names, e)
		r.touched[e.slot()].name = r.moment
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
		put(r.paths, id, path)
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
		put(r.names, e, info.ID)
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
		put(r.objects, info.ID, info)
	}
}

// put makes room by forgetting whatever comes first.
func put[K comparable, V any](m map[K]V, key K, value V) {
	if len(m) >= recordsMax {
		for old := range m {
			delete(m, old)
			break
		}
	}
	m[key] = value
}

// lookup is what is remembered of a name. known without an id means that it does not exist.
func (r *records) lookup(e entry) (info objstore.Info, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id, known := r.names[e]
	if !known || id == absent {
		return objstore.Info{}, known
	}
	info, known = r.objects[id]
	return info, known
}

func (r *records) stat(id objstore.ID) (info objstore.Info, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	info, known = r.objects[id]
	return info, known
}
