package mount

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/locks"
)

// Two threads come back to the same file, which is replaced before either has opened it: that the first is done with it
// takes nothing from the second.
func TestSharedNodeWaitsForEveryThreadThatComesBack(t *testing.T) {
	k := newKernelWith(t, fs.Options{Isolation: fs.IsolateMount})
	k.put("f", "first")
	old, errno := k.walk(11, "f")
	k.must(errno)
	k.use(old)
	defer k.drop(old)
	k.put("new", "second")
	k.must(k.rename("new", "f"))
	for thread := range uint32(2) {
		if _, errno := k.openNode(thread+11, old, syscall.O_RDONLY); errno != syscall.ESTALE {
			t.Fatalf("the first attempt of thread %d: %v", thread+11, errno)
		}
	}
	again, errno := k.walk(11, "f")
	k.must(errno)
	k.use(again)
	defer k.drop(again)
	if other, errno := k.walk(12, "f"); errno != 0 || other != again {
		t.Fatalf("the second thread finds node %d (%v), not %d", other, errno, again)
	}
	k.put("new", "third")
	k.must(k.rename("new", "f"))
	for thread := range uint32(2) {
		f, errno := k.openNode(thread+11, again, syscall.O_RDONLY)
		if errno != 0 {
			t.Fatalf("the second attempt of thread %d: %v", thread+11, errno)
		}
		f.check("second")
		k.must(f.close())
	}
	f := k.mustOpen(3, "f", syscall.O_RDONLY)
	f.check("third")
	k.must(f.close())
}

// All open files of a file share a node, with one set of pages: what one writes the others read, an earlier reader too.
func TestSharedFilesAreOnOneNode(t *testing.T) {
	k := newKernelWith(t, fs.Options{Isolation: fs.IsolateMount})
	k.put("f", "0000")
	early := k.mustOpen(1, "f", syscall.O_RDONLY)
	a, b := k.mustOpen(2, "f", syscall.O_RDWR), k.mustOpen(3, "f", syscall.O_WRONLY)
	if early.node != a.node || a.node != b.node {
		t.Fatalf("nodes %d, %d and %d", early.node, a.node, b.node)
	}
	k.must(a.write(0, "A"))
	k.must(b.write(3, "B"))
	early.check("A00B")
	for _, f := range []*opened{a, b, early} {
		k.must(f.close())
	}
}

// slowUnlocks are locks whose release waits.
type slowUnlocks struct {
	locks.Locker
	begun, end chan struct{}
}

func (l slowUnlocks) Unlock(context.Context, objstore.ID, locks.Lock) error {
	close(l.begun)
	<-l.end
	return nil
}

// A working copy ends with its last handle, a moment before its open file leaves the node: who opens the file in between waits
// and is not refused.
func TestSharedFileIsOpenedWhileItsLastUserLeaves(t *testing.T) {
	k := newKernelWith(t, fs.Options{Isolation: fs.IsolateMount})
	k.put("f", "0000")
	last := k.mustOpen(1, "f", syscall.O_RDONLY)
	k.bridge.handles.lockedBy(k.bridge.handles.file(last.fh), locks.Owner{ID: 7}) // which no flush releases
	slow := slowUnlocks{k.bridge.locks, make(chan struct{}), make(chan struct{})}
	k.bridge.locks = slow
	closed, opened := make(chan struct{}), make(chan syscall.Errno, 1)
	go func() {
		defer close(closed)
		last.close()
	}()
	<-slow.begun
	go func() {
		f, errno := k.open(2, "f", syscall.O_RDONLY)
		if errno == 0 {
			f.close()
		}
		opened <- errno
	}()
	select {
	case errno := <-opened:
		t.Errorf("opened, or refused, beside the one that leaves: %v", errno)
		close(slow.end)
	case <-time.After(20 * time.Millisecond): // in which it would have been refused twice
		close(slow.end)
		k.must(<-opened)
	}
	<-closed
}
