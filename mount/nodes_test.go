package mount

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
)

func TestWriterClaimsANodeNobodyHasOpen(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	entry, _ := k.lookup(1, "f")
	w := k.mustOpen(1, "f", syscall.O_WRONLY)
	if w.node != entry.NodeId || k.refusals != 0 {
		t.Errorf("node %d, looked up %d, %d refusals", w.node, entry.NodeId, k.refusals)
	}
	w.close()
	k.drop(entry.NodeId)
}

// C2, C3
func TestReadersAndWritersNeverShareANode(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	r := k.mustOpen(1, "f", syscall.O_RDONLY)
	a := k.mustOpen(2, "f", syscall.O_RDWR)
	b := k.mustOpen(3, "f", syscall.O_RDWR)
	late := k.mustOpen(4, "f", syscall.O_RDONLY)
	nodes := map[uint64]bool{r.node: true, a.node: true, b.node: true}
	if len(nodes) != 3 || late.node == a.node || late.node == b.node {
		t.Errorf("nodes of reader %d, writers %d and %d, late reader %d", r.node, a.node, b.node, late.node)
	}
	a.write(0, "AAA")
	b.write(0, "BBB")
	if errno := a.close(); errno != 0 {
		t.Error(errno)
	}
	if errno := b.close(); errno != syscall.EBUSY {
		t.Errorf("the second close: %v", errno)
	}
	r.check("one")
	late.check("one")
	k.mustOpen(5, "f", syscall.O_RDONLY).check("AAA")
}

func TestReadNodeIsShared(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	a, b := k.mustOpen(1, "f", syscall.O_RDONLY), k.mustOpen(2, "f", syscall.O_RDONLY)
	if a.node != b.node {
		t.Errorf("two readers of one version have nodes %d and %d", a.node, b.node)
	}
	want := uint32(fuse.FOPEN_KEEP_CACHE | fuse.FOPEN_NOFLUSH)
	if a.flags != want {
		t.Errorf("flags %#x, want %#x", a.flags, want)
	}
}

func TestCachedWritersNodeBecomesTheReadNode(t *testing.T) {
	k := newKernel(t)
	f, _ := k.create(1, "f", syscall.O_RDWR)
	k.use(f.node) // as the entry does
	f.write(0, "one")
	f.close()
	r := k.mustOpen(2, "f", syscall.O_RDONLY)
	if r.node != f.node {
		t.Errorf("the reader got node %d, not the writer's %d whose pages are warm", r.node, f.node)
	}
	r.check("one")
	k.drop(f.node)
}

// However many writers came after it, whose nodes are newer.
func TestNodeOfAWriterThatChangedNothingIsFoundAgain(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	first := k.mustOpen(1, "f", syscall.O_RDWR)
	k.use(first.node) // as the entry does
	for thread := range uint32(5) {
		k.mustOpen(2+thread, "f", syscall.O_RDWR)
	}
	first.close()
	k.bridge.table.checkInvariants(t)
	if r := k.mustOpen(10, "f", syscall.O_RDONLY); r.node != first.node {
		t.Errorf("the reader got node %d, not %d whose pages are warm", r.node, first.node)
	}
	k.drop(first.node)
}

func TestLosersNodeIsNeverReused(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	a, b := k.mustOpen(1, "f", syscall.O_RDWR), k.mustOpen(2, "f", syscall.O_RDWR)
	a.write(0, "AAA")
	b.write(0, "BBB")
	lost := b.node
	hold, _ := k.lookup(2, "f")
	a.close()
	b.close()
	r := k.mustOpen(3, "f", syscall.O_RDONLY)
	if r.node == lost {
		t.Error("a reader got the loser's node")
	}
	r.check("AAA")
	k.drop(hold.NodeId)
}

// C5: an entry may be believed for a day, an open is fresh all the same.
func TestOpenOfABelievedEntryIsFresh(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	old, _ := k.lookup(1, "f")
	if old.EntryTimeout() == 0 {
		t.Fatal("the entry of a file nobody writes is not believed")
	}
	w := k.mustOpen(2, "f", syscall.O_WRONLY|syscall.O_TRUNC)
	w.write(0, "two")
	w.close()
	if _, errno := k.openNode(3, old.NodeId, syscall.O_RDONLY); errno != syscall.ESTALE && old.NodeId != w.node {
		t.Errorf("an open of the old version's node: %v", errno)
	}
	k.mustOpen(3, "f", syscall.O_RDONLY).check("two")
	k.drop(old.NodeId)
}

func TestEntriesOfAFileBeingWrittenEndSoon(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	k.lookup(1, "f")
	w := k.mustOpen(2, "f", syscall.O_WRONLY)
	k.waitDropped("f")
	if e, _ := k.lookup(3, "f"); e.EntryTimeout() != 0 || e.NodeId == w.node {
		t.Errorf("another process is given the writer's node, or may believe: %+v", e)
	}
}

// An entry survives a short write: the next open asks nothing but OPEN.
func TestEntryIsRightAgainAfterAShortWrite(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	before, _ := k.lookup(1, "f")
	w := k.mustOpen(2, "f", syscall.O_WRONLY|syscall.O_TRUNC)
	w.write(0, "two")
	w.close()
	r := k.mustOpen(3, "f", syscall.O_RDONLY)
	if r.node != before.NodeId || k.refusals != 0 {
		t.Errorf("node %d, before %d, %d refusals", r.node, before.NodeId, k.refusals)
	}
	r.check("two")
	k.drop(before.NodeId)
}

// C5: the entry of a writer that another overtook shows nothing any more.
func TestEntryOfAnOvertakenWriterIsDropped(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	k.lookup(1, "f")
	slow := k.mustOpen(2, "f", syscall.O_RDWR) // claims what the entry shows
	fast := k.mustOpen(3, "f", syscall.O_RDWR)
	fast.write(0, "fast")
	fast.close()
	if shown := k.entries[name{fuse.FUSE_ROOT_ID, "f"}]; shown == slow.node {
		t.Error("the entry shows the slow writer's copy after the fast one's commit")
	}
	slow.close()
}

func TestReopenThroughProcIsServedFromThePinnedVersion(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	r := k.mustOpen(1, "f", syscall.O_RDONLY)
	w := k.mustOpen(2, "f", syscall.O_WRONLY|syscall.O_TRUNC)
	w.write(0, "two")
	w.close()
	// /proc/self/fd/N cannot be looked up again: the same node is opened twice.
	if _, errno := k.openNode(1, r.node, syscall.O_RDONLY); errno != syscall.ESTALE {
		t.Fatalf("the first attempt: %v", errno)
	}
	again, errno := k.openNode(1, r.node, syscall.O_RDONLY)
	if errno != 0 {
		t.Fatalf("the second attempt: %v", errno)
	}
	again.check("one")
}

// fstat(2) and read(2) are not repeated: that others who have the same version open are closing, and that the name is gone, is
// nothing to them.
func TestFstatBesideAClosingReaderOfAReplacedName(t *testing.T) {
	k := newKernel(t)
	k.put("f", "version")
	stays, closes := k.mustOpen(1, "f", syscall.O_RDONLY), k.mustOpen(2, "f", syscall.O_RDONLY)
	if stays.node != closes.node {
		t.Fatal("the readers do not share a node")
	}
	k.put("new", "other")
	k.rename("new", "f")
	k.bridge.handles.file(closes.fh).description.handle.Release(t.Context()) // the RELEASE has come so far
	if errno := k.getattr(1, stays.node); errno != 0 {
		t.Errorf("fstat: %v", errno)
	}
	stays.check("version")
}

func TestWriterReopenedThroughProcSharesTheTransaction(t *testing.T) {
	k := newKernel(t)
	f, _ := k.create(1, "f", syscall.O_RDWR)
	k.openNode(1, f.node, syscall.O_WRONLY)
	again, errno := k.openNode(1, f.node, syscall.O_WRONLY)
	if errno != 0 {
		t.Fatal(errno)
	}
	again.write(0, "one")
	f.write(3, "two")
	if errno := again.close(); errno != 0 {
		t.Error(errno)
	}
	if errno := f.close(); errno != 0 {
		t.Error(errno)
	}
	k.mustOpen(2, "f", syscall.O_RDONLY).check("onetwo")
}

func TestReservedNodeIsKeptFromOtherThreads(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	r := k.mustOpen(1, "f", syscall.O_RDONLY)
	if _, errno := k.openNode(2, r.node, syscall.O_RDWR); errno != syscall.ESTALE {
		t.Fatal(errno)
	}
	given, _ := k.lookup(2, "f")
	if _, errno := k.openNode(3, given.NodeId, syscall.O_RDONLY); errno != syscall.ESTALE {
		t.Errorf("another thread opened it: %v", errno)
	}
	if _, errno := k.openNode(2, given.NodeId, syscall.O_RDWR); errno != 0 {
		t.Errorf("its own thread: %v", errno)
	}
}

func TestForgottenNodesAreGone(t *testing.T) {
	k := newKernel(t)
	for i := range 50 {
		k.put(fmt.Sprint("f", i), "x")
		e, _ := k.lookup(1, fmt.Sprint("f", i))
		k.drop(e.NodeId)
		k.believe(name{fuse.FUSE_ROOT_ID, fmt.Sprint("f", i)}, 0)
	}
	left := slices.Collect(k.bridge.table.nodes.all())
	if len(left) != 1 || len(k.bridge.table.nodes.pages) != 1 {
		t.Errorf("%d nodes are left, want the root", len(left))
	}
}

// The kernel remembers as many files as it likes, and each has a node here.
func TestNodeIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(node{}); size > 96 {
		t.Errorf("a node takes %d bytes, which the allocator rounds up to more than 96", size)
	}
}

// C7: what others are about to move is answered and not remembered, nor is that there is nothing.
func TestNameThatOthersMoveIsNotBelieved(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	timeouts := func() (present, absent time.Duration) {
		entry, errno := k.lookup(1, "f")
		if errno != 0 {
			t.Fatal(errno)
		}
		h, none := header(fuse.FUSE_ROOT_ID, 1), &fuse.EntryOut{}
		if status := k.bridge.Lookup(nil, &h, "none", none); !status.Ok() && status != fuse.ENOENT {
			t.Fatal(status)
		}
		k.drop(entry.NodeId)
		return entry.EntryTimeout(), none.EntryTimeout()
	}
	root, _ := k.bridge.table.viewOf(fuse.FUSE_ROOT_ID)
	var ends []func()
	for _, base := range []string{"f", "none", "none"} {
		ends = append(ends, k.bridge.notifier.EntryMoving(root.Object, base))
	}
	for _, end := range ends {
		if present, absent := timeouts(); absent != 0 || len(k.bridge.table.moving) == 2 && present != 0 {
			t.Errorf("the name that is there is believed for %v, the other for %v", present, absent)
		}
		end()
	}
	if present, absent := timeouts(); present != cacheTime || absent != cacheTime {
		t.Errorf("afterwards: %v and %v", present, absent)
	}
}

// LOOKUP does not hand out the node of a file that was truncated by path.
func TestTruncatedNodeIsNotCurrent(t *testing.T) {
	k := newKernel(t)
	k.put("f", "four")
	entry, errno := k.lookup(1, "f")
	k.must(errno)
	k.must(k.truncate(1, entry.NodeId, 2))
	k.bridge.table.checkInvariants(t)
	k.drop(entry.NodeId)
}

// A listing tells the kernel of a file only what it does not believe: told again it forgets the ACL, and asks for it.
func TestListingTellsWhatIsNotBelieved(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	dir, _ := k.bridge.table.viewOf(fuse.FUSE_ROOT_ID)
	at := name{fuse.FUSE_ROOT_ID, "f"}
	list := func() *node {
		t.Helper()
		since := k.bridge.table.mark()
		e, err := k.bridge.fs.Lookup(t.Context(), fs.Caller{Thread: 1}, dir.Object, "f")
		if err != nil {
			t.Fatal(err)
		}
		n, believed := k.bridge.table.enterListed(at, &e, since)
		if n == nil {
			return nil
		}
		k.got(n.id)
		t.Cleanup(func() { k.drop(n.id) })
		if believed.entry {
			k.believe(at, n.id)
		}
		return n
	}
	if list() == nil {
		t.Fatal("the first listing says nothing of the file")
	}
	if list() != nil {
		t.Error("the second tells again what is believed")
	}
	k.bridge.notifier.EntryCame(dir.Object, "f")
	if list() == nil {
		t.Error("the next one does not tell what the kernel was made to forget")
	}
}
