package memstore

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// node is an object of any type.
type node struct {
	// Constant.
	id     objstore.ID
	typ    objstore.FileType
	btime  time.Time
	target string // of a symlink
	rdev   uint32

	// Guarded by Engine.mu.
	state
	names map[entry]bool // where it is; at most one for a directory
	dir   directory      // of directories
}

// state is what a tx saves and restores as a value. The maps in it are replaced, never changed.
type state struct {
	content     *content
	version     objstore.Version
	etag        objstore.ETag
	modified    time.Time
	metaVersion uint64
	attr        objstore.Attr
	contentType string
	userMeta    map[string]string
	headers     objstore.Headers
	tags        map[string]string
	checksum    objstore.Checksum
	parts       []objstore.Part // the content was assembled from; never changed
	xattrs      map[string][]byte
	explicit    bool
}

// entry is a place in a directory.
type entry struct {
	dir    *node
	stored string
}

// directory holds entries by stored name.
type directory struct {
	nodes   map[string]*node
	order   []string // the keys of nodes, ascending
	subdirs int
}

func (d *directory) insert(stored string, n *node) {
	if d.nodes == nil {
		d.nodes = map[string]*node{}
	}
	at, _ := slices.BinarySearch(d.order, stored)
	d.order = slices.Insert(d.order, at, stored)
	d.nodes[stored] = n
	if n.typ == objstore.TypeDir {
		d.subdirs++
	}
}

func (d *directory) remove(stored string) {
	if d.nodes[stored].typ == objstore.TypeDir {
		d.subdirs--
	}
	at, _ := slices.BinarySearch(d.order, stored)
	d.order = slices.Delete(d.order, at, at+1)
	delete(d.nodes, stored)
}

func (n *node) isDir() bool   { return n.typ == objstore.TypeDir }
func (n *node) isEmpty() bool { return len(n.dir.order) == 0 }

// isObject reports whether S3 can see n: files, symlinks and explicit directories.
func (n *node) isObject() bool {
	switch n.typ {
	case objstore.TypeFile, objstore.TypeSymlink:
		return true
	case objstore.TypeDir:
		return n.explicit
	default:
		return false
	}
}

// place is the least of the names of n; of a directory, the only one.
func (n *node) place() (entry, bool) {
	var least entry
	found := false
	for e := range n.names {
		if !found || e.before(least) {
			least, found = e, true
		}
	}
	return least, found
}

// places are all the names of n, in a fixed order.
func (n *node) places() []entry {
	all := slices.Collect(maps.Keys(n.names))
	slices.SortFunc(all, func(a, b entry) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	return all
}

// key is what S3 calls an entry.
func (e entry) key() objstore.Key {
	key := e.stored
	for dir := e.dir; ; {
		up, ok := dir.place()
		if !ok {
			return objstore.Key(key)
		}
		key, dir = up.stored+key, up.dir
	}
}

func (e entry) before(other entry) bool {
	if e.dir.id != other.dir.id {
		return e.dir.id < other.dir.id
	}
	return e.stored < other.stored
}

// parent is the directory that holds directory n; the root is its own.
func (n *node) parent() *node {
	if place, ok := n.place(); ok {
		return place.dir
	}
	return n
}

// isWithin reports whether directory n is dir or below it.
func (n *node) isWithin(dir *node) bool {
	for {
		if n == dir {
			return true
		}
		up := n.parent()
		if up == n {
			return false
		}
		n = up
	}
}

func (n *node) nlink() uint32 {
	if n.isDir() {
		return uint32(2 + n.dir.subdirs)
	}
	return uint32(len(n.names))
}

// info is n as the namespace sees it.
func (n *node) info() objstore.Info {
	info := objstore.Info{
		ID: n.id, Type: n.typ, Size: n.content.size, Allocated: n.content.allocated,
		Version: n.version, ETag: n.etag, MetaVersion: n.metaVersion, Modified: n.modified,
		Attr: n.attr, Nlink: n.nlink(), Rdev: n.rdev, ContentType: n.contentType,
		UserMeta: maps.Clone(n.userMeta), Headers: n.headers, Tags: maps.Clone(n.tags),
		Checksum: n.checksum, PartCount: len(n.parts), Xattrs: maps.Clone(n.xattrs), Explicit: n.explicit,
	}
	if n.typ == objstore.TypeSymlink {
		info.Size = int64(len(n.target))
	}
	return info
}

// object is n as the flat store sees it: a symlink is a zero-byte object.
func (n *node) object() objstore.Info {
	info := n.info()
	if n.typ == objstore.TypeSymlink {
		info.Size = 0
		if info.UserMeta == nil {
			info.UserMeta = map[string]string{}
		}
		info.UserMeta[objstore.SymlinkMeta] = n.target
	}
	return info
}

// shown is the name under which an entry appears in the namespace.
func (e entry) shown() string {
	if component, isDir := strings.CutSuffix(e.stored, "/"); isDir {
		return objstore.EscapeName(component, false)
	}
	beside := e.dir.dir.nodes[e.stored+"/"] != nil
	return objstore.EscapeName(e.stored, beside)
}
