package mount

import (
	"sync"
	"time"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore/locks"
)

// file is an open file as the kernel knows it.
type file struct {
	// Constant once open.
	id          uint64
	node        *node
	description *description
	// guest: the node shows something else. A guest uses direct I/O, so that the kernel
	// takes none of its bytes for the node's.
	guest bool
	// through is the way of the node that this file is one of the users of; nil: the kernel asks us.
	through *through

	// Guarded by table.mu: the other files open on the node, and whether the kernel has released this one.
	next, before *file
	leaving      bool

	lockers map[locks.Owner]struct{} // who locked through it; guarded by handles.mu
}

// description is a handle of package fs, which several files share if a
// writer was opened again through /proc/self/fd.
type description struct {
	// Constant.
	handle *fs.Handle
	mode   fs.OpenMode
	direct bool // direct I/O: the kernel's page cache is not used

	refreshing sync.Mutex // held while a lock refreshes the handle, over calls of package fs and the kernel

	accessed bool // constant once it is open: that has moved atime

	clearing sync.Once // the kernel is told that the mode may have lost set-user-id

	// expiry ends, if the handle owns its node for long, the belief of entries from before
	// the node was claimed. Guarded by table.mu.
	expiry *time.Timer

	mu    sync.Mutex
	files int // guarded by mu; 0: released
}

func newDescription(h *fs.Handle, mode fs.OpenMode, direct bool) *description {
	return &description{handle: h, mode: mode, direct: direct, accessed: h.Accessed(), files: 1}
}

// join adds a file, unless the last one has left.
func (d *description) join() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files == 0 {
		return false
	}
	d.files++
	return true
}

// leave reports whether it was the last.
func (d *description) leave() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files--
	return d.files == 0
}

// directory is an open directory.
type directory struct {
	// Constant.
	opened *fs.Dir
	node   uint64
	opener fs.Caller
	keeps  bool // the kernel lists what it has kept, and keeps what it is told

	mu    sync.Mutex
	again *fs.Dir // guarded by mu; what is listed since it was listed anew, nil: what was opened
}

// handles are the open files and directories by the numbers the kernel knows
// them by. Numbers are never reused.
type handles struct {
	mu sync.RWMutex
	// Guarded by mu.
	files       map[uint64]*file
	directories map[uint64]*directory
	last        uint64
}

func newHandles() *handles {
	return &handles{files: make(map[uint64]*file), directories: make(map[uint64]*directory)}
}

func (h *handles) add(f *file) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	f.id = h.last
	h.files[f.id] = f
}

// file is nil for a number the kernel does not hold.
func (h *handles) file(id uint64) *file {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.files[id]
}

func (h *handles) remove(id uint64) *file {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.files[id]
	delete(h.files, id)
	return f
}

func (h *handles) addDirectory(d *directory) (id uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	h.directories[h.last] = d
	return h.last
}

func (h *handles) directory(id uint64) *directory {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.directories[id]
}

// removeDirectory returns nil for a number the kernel does not hold.
func (h *handles) removeDirectory(id uint64) *directory {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.directories[id]
	delete(h.directories, id)
	return d
}
