package mount

import (
	"time"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// node is what a nodeid stands for: one view of one object. Directories and
// special files have one node, always. A node of a regular file is one of these:
//
//   - A read node shows a committed version. The object's current node is the one
//     LOOKUP hands out; older ones live as long as they are open.
//   - A reserved node was made for the second attempt of a thread whose first was refused. It holds
//     what was looked up; an OPEN binds it to what is current then, or to that if the file is gone.
//   - A busy node is being claimed or bound by an OPEN.
//   - An owned node shows the working copy of its owner.
//   - A spent node had an owner whose bytes nothing shows any more, or shows those of
//     another node's owner to one reader.
//
// A program may make the kernel know very many files, so a node is kept small: what only few
// have at a time is behind a pointer, and so is a version that is no number.
type node struct {
	// Constant.
	id      uint64
	object  objstore.ID
	regular bool

	// Guarded by table.mu.
	current  bool // the node LOOKUP hands out for its object
	believed bool // the kernel believes the entry found; see entries
	// timesKnown: the kernel may believe times of this directory that it
	// would not forget by itself.
	timesKnown bool
	directory  bool
	listed     bool   // the kernel may keep a whole listing of this directory
	forgotten  uint16 // files in this directory that it has forgotten since they were last listed; the most there is means that or more
	lookups    uint64 // references the kernel holds
	version    uint64 // the number of the version that is shown; 0: that is none, or inUse has it
	size       int64  // of the version; negative if not known
	found      name   // where it was last looked up
	next       *node  // in table.objects
	alike      *node  // in entries.found
	inUse      *inUse // nil: the zero value
}

// inUse is what a node has while it is open, being opened, or kept for somebody. table.mu guards it.
type inUse struct {
	busy        bool
	claiming    bool // busy for writing
	spent       bool
	visited     bool  // others read through it while it was owned
	opening     int32 // OPENs under way
	owner       *description
	files       *file // the first that is open on it, the owner's included
	reservation *reservation
	writer      fs.HandleID      // of the view
	version     objstore.Version // of the view, if that is no number
}

// reservation is what a reserved node has beside.
type reservation struct {
	thread uint32 // it is reserved to, until...
	until  time.Time
	pin    *fs.Handle // what the node shows stays openable whatever becomes of the name
	// waiting is, if files are shared, how many threads are to come back to this node.
	waiting int
}

// use is what n has while it is in use; to change that, see used.
func (n *node) use() inUse {
	if n.inUse == nil {
		return inUse{}
	}
	return *n.inUse
}

// used is use, to be changed.
func (n *node) used() *inUse {
	if n.inUse == nil {
		n.inUse = new(inUse)
	}
	return n.inUse
}

// rest gives back what a node has that is not in use any more.
func (n *node) rest() {
	if n.inUse != nil && *n.inUse == (inUse{}) {
		n.inUse = nil
	}
}

// view is what n shows.
func (n *node) view() fs.View {
	v := fs.View{Object: n.object}
	if n.inUse != nil {
		v.Version, v.Writer = n.inUse.version, n.inUse.writer
	}
	if n.version != 0 {
		v.Version = objstore.VersionOf(n.version)
	}
	return v
}

// shows reports whether n's view is v.
func (n *node) shows(v fs.View) bool {
	number, text := split(v.Version)
	if v.Object != n.object || number != n.version {
		return false
	}
	if n.inUse == nil {
		return text == "" && v.Writer == 0
	}
	return n.inUse.version == text && n.inUse.writer == v.Writer
}

// show makes n show another view of its object.
func (n *node) show(v fs.View, size int64) {
	number, text := split(v.Version)
	n.version, n.size = number, size
	if n.inUse != nil || text != "" || v.Writer != 0 {
		n.used().version, n.used().writer = text, v.Writer
	}
}

// split is a version as a number that is not 0, or as text.
func split(v objstore.Version) (number uint64, text objstore.Version) {
	if number, ok := v.Number(); ok && number != 0 {
		return number, ""
	}
	return 0, v
}

// hasVersion reports whether what n shows was committed once.
func (n *node) hasVersion() bool { return n.version != 0 || n.use().version != "" }

// isOpen reports whether n is open or being opened.
func (n *node) isOpen() bool { return n.inUse != nil && (n.inUse.files != nil || n.inUse.opening > 0) }

// settled reports whether n shows one version and is told of whatever changes its attributes.
func (n *node) settled() bool {
	u := n.inUse
	return u == nil || u.owner == nil && u.reservation == nil && !u.busy && !u.spent
}
