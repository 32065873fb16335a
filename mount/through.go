package mount

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/fs"
)

// throughBytesMin is the least size of a file that the kernel reads by itself: smaller ones are as fast
// out of its page cache, and cost nothing to open.
const throughBytesMin = 4 << 20

// through is the kernel's way to the bytes of one node, past us: passthrough. The first OPEN of a node
// decides for all that come before the last is closed, as the kernel allows no mixture. It takes a committed version that
// lies in one file of the store, byte for byte, and was verified lately. Such a file is never written again, but the kernel
// would write to it if it was given to a writer: only readers get it.
//
// At an OPEN of this kind the kernel drops the node's pages, which takes as long as to read them, and whoever opens waits for that: so they
// are dropped before, when the last is closed for which it has asked us. The page cache has the same bytes in the file of the store.
//
// What is read this way does not grow: see DEVIATIONS.md.
type through struct {
	deciding sync.Once // over calls of package fs and the kernel

	// Guarded by table.mu.
	users int   // OPENs under way and open files
	id    int32 // by which the kernel knows the file; 0: it asks us
}

// backings are what a FUSE server can be asked to read by itself.
type backings interface {
	RegisterBackingFd(*fuse.BackingMap) (int32, syscall.Errno)
	UnregisterBackingFd(id int32) syscall.Errno
}

// passer tells the kernel of files that it may read by itself.
type passer struct {
	log *slog.Logger // constant

	mu     sync.Mutex
	kernel backings // GUARDED_BY(mu); nil: it cannot, or not any more
}

func (p *passer) connect(kernel backings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kernel = kernel
}

func (p *passer) connected() backings {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kernel
}

// register is 0 if the kernel does not take the file. Then it takes no other.
func (p *passer) register(fd int) int32 {
	kernel := p.connected()
	if kernel == nil {
		return 0
	}
	id, errno := kernel.RegisterBackingFd(&fuse.BackingMap{Fd: int32(fd)})
	if errno != 0 || id <= 0 {
		p.log.Info("the kernel reads no file of the store by itself", slog.Any("error", errno))
		p.connect(nil)
		return 0
	}
	return id
}

func (p *passer) unregister(id int32) {
	kernel := p.connected()
	if kernel == nil {
		return
	}
	if errno := kernel.UnregisterBackingFd(id); errno != 0 {
		p.log.Warn("the kernel keeps a file of the store", slog.Any("error", errno))
	}
}

// share is the way that an OPEN of n with plan p uses, or may find; nil: it asks us. mu is held.
func (t *table) share(n *node, p plan) *through {
	w := t.through[n]
	if w == nil {
		small := n.size >= 0 && n.size < throughBytesMin
		if !t.passes || p != planRead || small || !n.regular || n.isOpen() || volatile(n.object) || t.isLocked(n.object) {
			return nil
		}
		w = &through{}
		t.through[n] = w
	}
	w.users++
	return w
}

// unshare ends a use of n's way. mu is held.
func (t *table) unshare(n *node) {
	w := t.through[n]
	if w.users--; w.users > 0 {
		return
	}
	t.pins.retire(w.id)
	delete(t.through, n)
}

// passed is the id of a way that has been decided; 0: the kernel asks us.
func (t *table) passed(w *through) int32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return w.id
}

// decide makes id n's way, if n still shows what was registered.
func (t *table) decide(n *node, shown fs.View, id int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !n.shows(shown) {
		t.pins.retire(id)
		return
	}
	t.through[n].id = id
}

// isPassed reports whether the kernel reads n by itself. mu is held.
func (t *table) isPassed(n *node) bool {
	w := t.through[n]
	return w != nil && w.id != 0
}

// openThrough opens what the kernel reads by itself, if it can be had that way. A handle for that
// follows no appends, so that it never shows more than the kernel does.
func (b *bridge) openThrough(ctx context.Context, o *opening, c fs.Caller, mode fs.OpenMode) (*file, fs.View, error) {
	fixed := mode
	fixed.Fixed = true
	h, e, err := b.fs.Open(ctx, c, o.view, fixed)
	if err != nil {
		return nil, fs.View{}, err
	}
	o.size = e.Attr.Size
	o.through.deciding.Do(func() { b.table.decide(o.node, e.View, b.registerFile(ctx, h, e.Attr.Size)) })
	accessed := h.Accessed()
	if b.table.passed(o.through) == 0 {
		h.Release(ctx)
		if h, e, err = b.fs.Open(ctx, c, o.view, mode); err != nil {
			return nil, fs.View{}, err
		}
	}
	f := &file{description: newDescription(h, mode, false)}
	f.description.accessed = accessed
	return f, e.View, nil
}

// pass answers an OPEN with what the kernel may read by itself. O_DIRECT asks us all the same: the file of the store may
// want its reads aligned.
func (b *bridge) pass(f *file, flags uint32, out *fuse.OpenOut) {
	id := b.table.passed(f.through)
	if id == 0 {
		return
	}
	out.BackingID, out.OpenFlags = id, fuse.FOPEN_PASSTHROUGH|out.OpenFlags&fuse.FOPEN_NOFLUSH
	if flags&syscall.O_DIRECT != 0 {
		out.OpenFlags |= fuse.FOPEN_DIRECT_IO
	}
}

// passesLater reports whether f, about to be closed, is the last that was opened before its node could be read past us, as
// it can be now.
func (b *bridge) passesLater(ctx context.Context, f *file) (yes bool) {
	if f.through == nil {
		return false
	}
	size, last := b.table.asksLast(f)
	if last && size >= throughBytesMin && b.passer.connected() != nil {
		b.withFile(ctx, f.description.handle, size, func(int) { yes = true })
	}
	return yes
}

// asksLast is the size of f's node, and whether f is the last file for which the kernel asks us.
func (t *table) asksLast(f *file) (size int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return f.node.size, f.through.id == 0 && f.through.users == 1 && f.node.use().files == f && f.next == nil
}

// registerFile is the kernel's id for the file that has all h shows, and nothing else; 0: there is none.
func (b *bridge) registerFile(ctx context.Context, h *fs.Handle, size int64) (id int32) {
	if size < throughBytesMin || b.passer.connected() == nil {
		return 0
	}
	b.withFile(ctx, h, size, func(fd int) { id = b.passer.register(fd) })
	return id
}

// withFile calls use with the file that has all h shows, and nothing else, if there is one.
func (b *bridge) withFile(ctx context.Context, h *fs.Handle, size int64, use func(fd int)) {
	stream := h.Stream(ctx)
	if stream == nil {
		return
	}
	defer stream.Close()
	conn, ok := stream.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	err = raw.Read(func(fd uintptr) bool {
		if isWhole(int(fd), size) {
			use(int(fd))
		}
		return true
	})
	if err != nil {
		b.passer.log.Warn("a file of the store cannot be read", slog.Any("error", err))
	}
}

// isWhole reports whether the file is at its start and has size bytes: the kernel reads to the end of it.
func isWhole(fd int, size int64) bool {
	var st unix.Stat_t
	at, err := unix.Seek(fd, 0, io.SeekCurrent)
	return err == nil && at == 0 && unix.Fstat(fd, &st) == nil && st.Size == size
}
