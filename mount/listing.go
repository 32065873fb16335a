package mount

import (
	"context"
	"math"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// The kernel keeps the listing of a directory that was read to its end, as pages of the directory, and lists it again without a
// request. It looks at them if the open said FOPEN_CACHE_DIR, adds to them what such an open is told, and drops them at an open
// without FOPEN_KEEP_CACHE. So nothing stale is listed if
//
//   - an open drops them unless no name has changed since the last that did;
//   - until each open that began before a change is released, no other uses them: what it was told may be added late;
//   - an open from before a change that comes to the end drops them before it is told so. They are whole then and useless, and the
//     kernel begins anew; were they dropped before, it would wait for the rest for ever, and keep no listing any more;
//   - such an open that begins again drops them if they are whole.

// OpenDir implements [fuse.RawFileSystem].
func (b *bridge) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	view, ok := b.table.viewOf(in.NodeId)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	dir, keeping, err := b.openDir(in.NodeId, view.Object)
	if err != nil {
		return b.status("opendir", err)
	}
	d := &directory{opened: dir, node: in.NodeId, opener: caller(&in.InHeader), keeps: keeping != fs.KeepsNothing}
	out.OpenFlags = listingFlags(keeping, b.table.believes.names)
	out.Fh = b.handles.addDirectory(d)
	return fuse.OK
}

// openDir opens a directory as one whose listing is kept, if that is what a listing is good for: of files that the kernel has forgotten it
// would ask one by one, and is told together when it lists them.
func (b *bridge) openDir(node uint64, object objstore.ID) (dir *fs.Dir, keeping fs.Keeping, err error) {
	ctx := context.Background()
	if b.table.believes.names {
		dir, keeping, err = b.fs.OpenKept(ctx, object)
	} else {
		dir, err = b.fs.OpenDir(ctx, object)
	}
	if keeping == fs.Keeps && b.table.relists(node, dir.Names()) {
		dir.Close()
		dir, err = b.fs.OpenDir(ctx, object)
		keeping = fs.KeepsNothing
	}
	if _, gone := b.table.ghost(object); gone && objectGone(err) {
		return b.fs.OpenGone(object), fs.KeepsNothing, nil
	}
	return dir, keeping, err
}

// relists reports whether so many of a directory's names are of files that the kernel has forgotten that it is to list them anew. They
// count as listed then.
func (t *table) relists(dir uint64, names int) bool {
	const tolerated, share = 8, 8 // so many are asked one by one, and one in so many
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes.get(dir)
	if n == nil || int(n.forgotten) <= min(max(tolerated, names/share), math.MaxUint16-1) {
		return false
	}
	n.forgotten = 0
	return true
}

// listingFlags are the flags of the reply to an open of a directory. One that keeps nothing leaves alone what others are told to keep.
func listingFlags(k fs.Keeping, any bool) uint32 {
	switch {
	case k == fs.Keeps:
		return fuse.FOPEN_CACHE_DIR | fuse.FOPEN_KEEP_CACHE
	case k == fs.KeepsAnew:
		return fuse.FOPEN_CACHE_DIR
	case any:
		return fuse.FOPEN_KEEP_CACHE
	default:
		return 0
	}
}

// ReadDir implements [fuse.RawFileSystem].
func (b *bridge) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	d := b.handles.directory(in.Fh)
	if d == nil {
		return fuse.EBADF
	}
	return b.status("readdir", b.list(d, in.Offset, fs.Room{Bytes: int(in.Size), Entry: listedBytes, Plain: true}, func(e fs.DirEntry, next uint64) bool {
		return out.AddDirEntry(listed(e, next))
	}))
}

// ReadDirPlus implements [fuse.RawFileSystem]. An entry without a node makes the kernel ask
// about it when somebody wants to know.
func (b *bridge) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	defer b.namings.end(b.namings.begin())
	d := b.handles.directory(in.Fh)
	if d == nil {
		return fuse.EBADF
	}
	since := b.table.mark()
	room := fs.Room{Bytes: int(in.Size), Entry: listedBytes + enteredBytes}
	return b.status("readdir", b.list(d, in.Offset, room, func(e fs.DirEntry, next uint64) bool {
		entry := out.AddDirLookupEntry(listed(e, next))
		if entry == nil {
			return false
		}
		if e.Name == "." || e.Name == ".." {
			return true
		}
		if n, believed := b.table.enterListed(name{d.node, e.Name}, &e.Entry, since); n != nil {
			fillEntry(entry, n, &e.Attr, believed)
		}
		return true
	}))
}

// What an entry takes in a reply beside its name: what comes before that and, in the middle, what fills it up to eights; and what tells
// of the node.
const (
	listedBytes  = 24 + 4
	enteredBytes = 128
)

// list calls yield for the entries from offset on.
func (b *bridge) list(d *directory, offset uint64, room fs.Room, yield func(fs.DirEntry, uint64) bool) error {
	ctx, end := context.Background(), true
	dir, anew := d.from(offset)
	if anew && b.table.unlist(d.node) {
		b.notifier.drop(d.node, 0)
	}
	err := dir.Read(ctx, d.opener, offset, room, func(e fs.DirEntry, next uint64) bool {
		end = false
		return yield(e, next)
	})
	if err != nil || !end || !d.keeps {
		return err
	}
	b.table.list(d.node) // first: a change from now on drops it
	if d.opened.Stale() {
		b.notifier.drop(d.node, 0)
	}
	return nil
}

// from is what an open lists from offset on. From the start that is what there is now; anew is that it is not what was opened any more,
// and has cookies of its own.
func (d *directory) from(offset uint64) (dir *fs.Dir, anew bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case offset != 0 && d.opened.Gave(offset):
		return d.opened, false
	case d.again == nil && d.opened.Stale():
		d.again = d.opened.Again()
		return d.again, true
	case d.again == nil:
		return d.opened, false
	default:
		return d.again, false
	}
}

func listed(e fs.DirEntry, next uint64) fuse.DirEntry {
	return fuse.DirEntry{Name: e.Name, Mode: typeBits(e.Attr.Type), Ino: uint64(e.View.Object), Off: next}
}

// ReleaseDir implements [fuse.RawFileSystem].
func (b *bridge) ReleaseDir(in *fuse.ReleaseIn) {
	if d := b.handles.removeDirectory(in.Fh); d != nil {
		d.opened.Close()
	}
}

// FsyncDir implements [fuse.RawFileSystem].
func (b *bridge) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	d := b.handles.directory(in.Fh)
	if d == nil {
		return fuse.EBADF
	}
	return b.status("fsyncdir", d.opened.Sync(context.Background()))
}

// list notes that the kernel may keep a whole listing of a directory.
func (t *table) list(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.nodes.get(id); n != nil {
		n.listed = true
	}
}

// unlist notes that a listing that the kernel may keep is to be dropped, and reports whether there is one.
func (t *table) unlist(id uint64) (was bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.nodes.get(id); n != nil {
		was, n.listed = n.listed, false
	}
	return was
}
