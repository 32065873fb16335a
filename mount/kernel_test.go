package mount

import (
	"context"
	"log/slog"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/locks"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// kernel drives a bridge as Linux does, without one: it looks names up, opens nodes, tries again
// after ESTALE, counts references and remembers entries it was allowed to.
type kernel struct {
	t      *testing.T
	bridge *bridge
	store  objstore.Namespace

	mu sync.Mutex
	// Guarded by mu.
	inodes   map[uint64]*inode
	entries  map[name]uint64 // believed, each a use of its inode
	refusals int
	dropped  []uint64  // nodes whose pages and attributes it was told to drop, in order
	changed  sync.Cond // entries did
}

// inode is a node the kernel holds: it is forgotten when nothing uses it.
type inode struct {
	lookups uint64
	uses    int
}

func newKernel(t *testing.T) *kernel { return newKernelWith(t, fs.Options{}) }

func newKernelWith(t *testing.T, options fs.Options) *kernel {
	return newKernelOver(t, memstore.NewBucket(memstore.Options{}), options)
}

func newKernelOver(t *testing.T, store objstore.Namespace, options fs.Options) *kernel {
	return newKernelLogged(t, store, options, slog.New(slog.DiscardHandler))
}

func newKernelLogged(t *testing.T, store objstore.Namespace, options fs.Options, log *slog.Logger) *kernel {
	table := newTable(store.Root(), time.Now, beliefs{names: true, attributes: func() time.Duration { return cacheTime }})
	if options.Isolation == fs.IsolateMount {
		table.shareFiles()
	}
	notifier := newNotifier(table, log)
	files, err := fs.New(context.Background(), fs.Config{Namespace: store, Options: options, Kernel: notifier, Processes: threads{}, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	forgetter, _ := store.(objstore.Forgetter)
	k := &kernel{t: t, store: store, bridge: newBridge(table, notifier, files, newPruner(table, forgetter, log), locks.New().Open(), log, time.Now), inodes: make(map[uint64]*inode), entries: make(map[name]uint64)}
	k.changed.L = &k.mu
	notifier.connect(k)
	t.Cleanup(func() {
		if err := files.Close(context.Background()); err != nil {
			t.Error(err)
		}
		notifier.wait()
		table.checkInvariants(t)
	})
	return k
}

// threads are processes of one thread each.
type threads struct{}

func (threads) ThreadGroup(thread uint32) (uint32, bool) { return thread, thread != 0 }
func (threads) Started(uint32) (uint64, bool)            { return 0, true }
func (threads) HoldsOther(uint32, objstore.ID) bool      { return false }
func (threads) Groups(uint32) []uint32                   { return nil }
func (threads) Name(uint32) string                       { return "test" }

// InodeNotify implements notifications.
func (k *kernel) InodeNotify(node uint64, _, _ int64) fuse.Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.inodes[node] == nil {
		return fuse.ENOENT
	}
	k.dropped = append(k.dropped, node)
	return fuse.OK
}

// EntryNotify implements notifications.
func (k *kernel) EntryNotify(parent uint64, base string) fuse.Status {
	k.believe(name{parent, base}, 0)
	return fuse.OK
}

// PruneNotify implements notifications.
func (k *kernel) PruneNotify(nodes []uint64) fuse.Status {
	for _, node := range nodes {
		for _, e := range k.namesOf(node) {
			k.believe(e, 0)
		}
	}
	return fuse.OK
}

// namesOf are the entries that show a node.
func (k *kernel) namesOf(node uint64) (names []name) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for e, n := range k.entries {
		if n == node {
			names = append(names, e)
		}
	}
	return names
}

// believe replaces what an entry shows; 0 is nothing.
func (k *kernel) believe(e name, node uint64) {
	k.mu.Lock()
	old := k.entries[e]
	delete(k.entries, e)
	if node != 0 {
		k.entries[e] = node
		k.inodes[node].uses++
	}
	k.changed.Broadcast()
	k.mu.Unlock()
	if old != 0 {
		k.drop(old)
	}
}

// waitDropped returns once an entry is not believed any more.
func (k *kernel) waitDropped(base string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.entries[name{fuse.FUSE_ROOT_ID, base}] != 0 {
		k.changed.Wait()
	}
}

// got counts a reference given in a reply, and a use.
func (k *kernel) got(node uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.inodes[node] == nil {
		k.inodes[node] = &inode{}
	}
	k.inodes[node].lookups++
	k.inodes[node].uses++
}

// use keeps an inode that is in use already.
func (k *kernel) use(node uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.inodes[node].uses++
}

// drop ends a use. The reply to FORGET is not waited for.
func (k *kernel) drop(node uint64) {
	k.mu.Lock()
	i := k.inodes[node]
	i.uses--
	unused := i.uses == 0
	if unused {
		delete(k.inodes, node)
	}
	k.mu.Unlock()
	if unused {
		k.bridge.Forget(node, i.lookups)
	}
}

func header(node uint64, thread uint32) fuse.InHeader {
	return fuse.InHeader{NodeId: node, Caller: fuse.Caller{Pid: thread}}
}

// lookup asks for a name in the root. The node is in use until it is dropped.
func (k *kernel) lookup(thread uint32, base string) (*fuse.EntryOut, syscall.Errno) {
	h, out := header(fuse.FUSE_ROOT_ID, thread), &fuse.EntryOut{}
	if status := k.bridge.Lookup(nil, &h, base, out); !status.Ok() {
		return nil, syscall.Errno(status)
	}
	if out.NodeId == 0 {
		return nil, syscall.ENOENT
	}
	k.got(out.NodeId)
	shown := uint64(0)
	if out.EntryTimeout() > 0 {
		shown = out.NodeId
	}
	k.believe(name{fuse.FUSE_ROOT_ID, base}, shown)
	return out, 0
}

// walk finds the node of a name, which is in use until it is dropped.
func (k *kernel) walk(thread uint32, base string) (uint64, syscall.Errno) {
	k.mu.Lock()
	node, ok := k.entries[name{fuse.FUSE_ROOT_ID, base}]
	if ok {
		k.inodes[node].uses++
	}
	k.mu.Unlock()
	if ok {
		return node, 0
	}
	out, errno := k.lookup(thread, base)
	if errno != 0 {
		return 0, errno
	}
	return out.NodeId, 0
}

// opened is an open file.
type opened struct {
	k        *kernel
	node, fh uint64
	flags    uint32
	thread   uint32
}

// call is a system call on a name in the root, with the second attempt: on its node, or at the name
// if there is nothing and absent is given.
func (k *kernel) call(thread uint32, base string, on func(node uint64) syscall.Errno, absent func() syscall.Errno) syscall.Errno {
	node, errno := k.walk(thread, base)
	switch {
	case errno == 0:
		errno = on(node)
		k.drop(node)
	case errno == syscall.ENOENT && absent != nil:
		errno = absent()
	}
	if errno != syscall.ESTALE {
		return errno
	}
	k.mu.Lock()
	k.refusals++
	k.mu.Unlock()
	return k.again(thread, base, on, absent)
}

// again is the second attempt.
func (k *kernel) again(thread uint32, base string, on func(node uint64) syscall.Errno, absent func() syscall.Errno) syscall.Errno {
	// The entry is looked up to see whether it still holds, and, as it does not, again.
	if first, errno := k.lookup(thread, base); errno == 0 {
		k.drop(first.NodeId)
	}
	second, errno := k.lookup(thread, base)
	if errno == syscall.ENOENT && absent != nil {
		return absent()
	}
	if errno != 0 {
		return errno
	}
	defer k.drop(second.NodeId)
	if second.AttrTimeout() == 0 { // the mode is checked
		if errno := k.getattr(thread, second.NodeId); errno != 0 {
			return errno
		}
	}
	return on(second.NodeId)
}

// open is open(2) of a name in the root that exists.
func (k *kernel) open(thread uint32, base string, flags uint32) (f *opened, errno syscall.Errno) {
	errno = k.call(thread, base, func(node uint64) (errno syscall.Errno) {
		f, errno = k.openNode(thread, node, flags)
		return errno
	}, nil)
	return f, errno
}

// openOrCreate is open(2) with O_CREAT.
func (k *kernel) openOrCreate(thread uint32, base string, flags uint32) (f *opened, errno syscall.Errno) {
	errno = k.call(thread, base, func(node uint64) (errno syscall.Errno) {
		f, errno = k.openNode(thread, node, flags)
		return errno
	}, func() (errno syscall.Errno) {
		f, errno = k.create(thread, base, flags)
		return errno
	})
	return f, errno
}

func (k *kernel) getattr(thread uint32, node uint64) syscall.Errno {
	in, out := fuse.GetAttrIn{InHeader: header(node, thread)}, fuse.AttrOut{}
	return syscall.Errno(k.bridge.GetAttr(nil, &in, &out))
}

func (k *kernel) truncate(thread uint32, node uint64, size uint64) syscall.Errno {
	in, out := fuse.SetAttrIn{}, fuse.AttrOut{}
	in.InHeader, in.Valid, in.Size = header(node, thread), fuse.FATTR_SIZE, size
	return syscall.Errno(k.bridge.SetAttr(nil, &in, &out))
}

func (k *kernel) chmod(thread uint32, node uint64) syscall.Errno {
	in, out := fuse.SetAttrIn{}, fuse.AttrOut{}
	in.InHeader, in.Valid, in.Mode = header(node, thread), fuse.FATTR_MODE, 0o600
	return syscall.Errno(k.bridge.SetAttr(nil, &in, &out))
}

// getxattr asks for the ETag, which what was never committed has not.
func (k *kernel) getxattr(thread uint32, node uint64) syscall.Errno {
	h := header(node, thread)
	_, status := k.bridge.GetXAttr(nil, &h, "user.etagfs.etag", make([]byte, 100))
	if status == fuse.Status(syscall.ENODATA) {
		return 0
	}
	return syscall.Errno(status)
}

func (k *kernel) readlink(thread uint32, node uint64) (string, syscall.Errno) {
	h := header(node, thread)
	target, status := k.bridge.Readlink(nil, &h)
	return string(target), syscall.Errno(status)
}

// symlink makes a symlink in the root, which nothing uses.
func (k *kernel) symlink(target, base string) {
	k.t.Helper()
	h, out := header(fuse.FUSE_ROOT_ID, 1), fuse.EntryOut{}
	if status := k.bridge.Symlink(nil, &h, target, base, &out); !status.Ok() {
		k.t.Fatal(status)
	}
	k.got(out.NodeId)
	k.drop(out.NodeId)
}

// unlink removes a name in the root.
func (k *kernel) unlink(base string) syscall.Errno {
	h := header(fuse.FUSE_ROOT_ID, 1)
	status := k.bridge.Unlink(nil, &h, base)
	if status.Ok() {
		k.believe(name{fuse.FUSE_ROOT_ID, base}, 0)
	}
	return syscall.Errno(status)
}

// rename moves a name over another in the root.
// lose removes a file of the root as somebody else does.
func (k *kernel) lose(base string) {
	k.t.Helper()
	if _, err := k.store.Unlink(context.Background(), k.store.Root(), base, objstore.Unconditional(), objstore.Visible); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kernel) rename(from, to string) syscall.Errno {
	in := fuse.RenameIn{InHeader: header(fuse.FUSE_ROOT_ID, 1), Newdir: fuse.FUSE_ROOT_ID}
	status := k.bridge.Rename(nil, &in, from, to)
	if status.Ok() {
		k.mu.Lock()
		moved := k.entries[name{fuse.FUSE_ROOT_ID, from}]
		k.mu.Unlock()
		k.believe(name{fuse.FUSE_ROOT_ID, to}, moved)
		k.believe(name{fuse.FUSE_ROOT_ID, from}, 0)
	}
	return syscall.Errno(status)
}

func (k *kernel) openNode(thread uint32, node uint64, flags uint32) (*opened, syscall.Errno) {
	in, out := fuse.OpenIn{InHeader: header(node, thread), Flags: flags}, fuse.OpenOut{}
	if status := k.bridge.Open(nil, &in, &out); !status.Ok() {
		return nil, syscall.Errno(status)
	}
	k.use(node)
	return &opened{k: k, node: node, fh: out.Fh, flags: out.OpenFlags, thread: thread}, 0
}

// create is open(2) with O_CREAT of a name that does not exist.
func (k *kernel) create(thread uint32, base string, flags uint32) (*opened, syscall.Errno) {
	in := fuse.CreateIn{InHeader: header(fuse.FUSE_ROOT_ID, thread), Flags: flags, Mode: 0o644}
	out := fuse.CreateOut{}
	if status := k.bridge.Create(nil, &in, base, &out); !status.Ok() {
		return nil, syscall.Errno(status)
	}
	k.got(out.NodeId)
	return &opened{k: k, node: out.NodeId, fh: out.Fh, flags: out.OpenFlags, thread: thread}, 0
}

func (f *opened) write(off int64, text string) syscall.Errno {
	in := fuse.WriteIn{InHeader: header(f.node, f.thread), Fh: f.fh, Offset: uint64(off), Size: uint32(len(text))}
	_, status := f.k.bridge.Write(nil, &in, []byte(text))
	return syscall.Errno(status)
}

func (f *opened) read() (string, syscall.Errno) {
	in := fuse.ReadIn{InHeader: header(f.node, f.thread), Fh: f.fh, Size: 1 << 16}
	result, status := f.k.bridge.Read(nil, &in, make([]byte, 1<<16))
	if !status.Ok() {
		return "", syscall.Errno(status)
	}
	text, _ := result.Bytes(nil)
	return string(text), 0
}

// close is close(2) of the only descriptor.
func (f *opened) close() syscall.Errno {
	errno := f.flush()
	f.k.bridge.Release(nil, &fuse.ReleaseIn{InHeader: header(f.node, 0), Fh: f.fh})
	f.k.drop(f.node)
	return errno
}

func (f *opened) flush() syscall.Errno {
	if f.flags&fuse.FOPEN_NOFLUSH != 0 {
		return 0
	}
	in := fuse.FlushIn{InHeader: header(f.node, f.thread), Fh: f.fh}
	return syscall.Errno(f.k.bridge.Flush(nil, &in))
}

// put makes a file with a content.
func (k *kernel) put(base, text string) {
	k.t.Helper()
	f, errno := k.create(1, base, syscall.O_WRONLY)
	if errno != 0 {
		k.t.Fatal(errno)
	}
	if errno := f.write(0, text); errno != 0 {
		k.t.Fatal(errno)
	}
	if errno := f.close(); errno != 0 {
		k.t.Fatal(errno)
	}
}

// mustOpen is open that works.
func (k *kernel) mustOpen(thread uint32, base string, flags uint32) *opened {
	k.t.Helper()
	f, errno := k.open(thread, base, flags)
	if errno != 0 {
		k.t.Fatal(errno)
	}
	return f
}

// check compares what a file shows.
func (f *opened) check(want string) {
	f.k.t.Helper()
	if got, errno := f.read(); errno != 0 || got != want {
		f.k.t.Errorf("read %q (%v), want %q", got, errno, want)
	}
}
