package mount

import (
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// flock is flock(2) without waiting; F_UNLCK releases.
func (f *opened) flock(lockType uint32) syscall.Errno {
	in := fuse.LkIn{InHeader: header(f.node, f.thread), Fh: f.fh, Owner: f.fh, LkFlags: fuse.LK_FLOCK}
	in.Lk = fuse.FileLock{End: 1<<63 - 1, Typ: lockType, Pid: f.thread}
	return syscall.Errno(f.k.bridge.SetLk(nil, &in))
}

// fcntl is fcntl(2) with F_SETLK for byte 0, by a process that is known by its thread.
func (f *opened) fcntl(lockType uint32) syscall.Errno {
	in := fuse.LkIn{InHeader: header(f.node, f.thread), Fh: f.fh, Owner: uint64(f.thread)}
	in.Lk = fuse.FileLock{Typ: lockType, Pid: f.thread}
	return syscall.Errno(f.k.bridge.SetLk(nil, &in))
}

// flushBy is the FLUSH of close(2) by a process.
func (f *opened) flushBy(thread uint32) syscall.Errno {
	in := fuse.FlushIn{InHeader: header(f.node, thread), Fh: f.fh, LockOwner: uint64(thread)}
	return syscall.Errno(f.k.bridge.Flush(nil, &in))
}

func (k *kernel) must(errno syscall.Errno) {
	k.t.Helper()
	if errno != 0 {
		k.t.Fatal(errno)
	}
}

// C3
func TestC3HandlesThatLockTakeTurns(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	a, b := k.mustOpen(1, "f", syscall.O_RDWR), k.mustOpen(2, "f", syscall.O_RDWR)
	k.must(a.flock(syscall.F_WRLCK))
	if errno := b.flock(syscall.F_WRLCK); errno != syscall.EAGAIN {
		t.Errorf("two exclusive locks: %v", errno)
	}
	k.must(a.write(0, "two"))
	k.must(a.flock(syscall.F_UNLCK)) // commits
	k.must(b.flock(syscall.F_WRLCK)) // refreshes
	b.check("two")
	k.must(b.write(3, "+"))
	k.must(b.flock(syscall.F_RDLCK)) // commits, too
	k.must(a.flock(syscall.F_RDLCK))
	a.check("two+")
	k.must(a.close())
	k.must(b.close())
}

// C2: what a reader shares a node with others it keeps, until it is closed.
func TestC2ReaderThatSharesItsNodeIsNotRefreshed(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	a, b := k.mustOpen(1, "f", syscall.O_RDONLY), k.mustOpen(2, "f", syscall.O_RDONLY)
	if a.node != b.node {
		t.Fatal("readers of a file that was never locked have two nodes")
	}
	k.must(a.flock(syscall.F_RDLCK))
	k.must(a.flock(syscall.F_UNLCK))
	k.replace("f", "two")
	k.must(a.flock(syscall.F_RDLCK))
	a.check("one")
	b.check("one")
	k.must(a.close())
	k.must(b.close())
}

func TestReadersOfALockedFileDoNotShareNodes(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	a := k.mustOpen(1, "f", syscall.O_RDONLY)
	k.must(a.flock(syscall.F_RDLCK))
	b, c := k.mustOpen(2, "f", syscall.O_RDONLY), k.mustOpen(3, "f", syscall.O_RDONLY)
	if a.node == b.node || b.node == c.node || a.node == c.node {
		t.Errorf("nodes %d, %d and %d", a.node, b.node, c.node)
	}
	if b.flags&fuse.FOPEN_NOFLUSH != 0 {
		t.Error("the kernel does not tell of closes that may end a lock")
	}
	k.replace("f", "two")
	k.must(b.flock(syscall.F_RDLCK))
	b.check("two")
	c.check("one")
	k.mustOpen(4, "f", syscall.O_RDONLY).check("two")
	for _, f := range []*opened{a, b, c} {
		k.must(f.close())
	}
}

// replace replaces the content of a file.
func (k *kernel) replace(base, text string) {
	k.t.Helper()
	f := k.mustOpen(9, base, syscall.O_WRONLY|syscall.O_TRUNC)
	k.must(f.write(0, text))
	k.must(f.close())
}

func TestCloseOfAnyDescriptorEndsTheRecordLocksOfAProcess(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	a, again, b := k.mustOpen(1, "f", syscall.O_RDWR), k.mustOpen(1, "f", syscall.O_RDWR), k.mustOpen(2, "f", syscall.O_RDWR)
	k.must(a.fcntl(syscall.F_WRLCK))
	k.must(a.write(0, "two"))
	if errno := b.fcntl(syscall.F_WRLCK); errno != syscall.EAGAIN {
		t.Fatal(errno)
	}
	k.must(again.flushBy(3)) // another process's descriptor
	if errno := b.fcntl(syscall.F_WRLCK); errno != syscall.EAGAIN {
		t.Fatal(errno)
	}
	k.must(again.flushBy(1))
	k.must(b.fcntl(syscall.F_WRLCK))
	b.check("two") // committed before the lock was released
	for _, f := range []*opened{a, again, b} {
		k.must(f.close())
	}
}

// A process that locks through one descriptor loses the lock with the close of any other, to read as well.
func TestCloseOfADescriptorToReadEndsRecordLocks(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	writer, reader, other := k.mustOpen(1, "f", syscall.O_RDWR), k.mustOpen(1, "f", syscall.O_RDONLY), k.mustOpen(2, "f", syscall.O_RDWR)
	k.must(writer.fcntl(syscall.F_WRLCK))
	if reader.flags&fuse.FOPEN_NOFLUSH != 0 {
		t.Fatal("the kernel does not tell of closes that may end a lock")
	}
	k.must(reader.flushBy(1))
	k.must(other.fcntl(syscall.F_WRLCK))
	for _, f := range []*opened{writer, reader, other} {
		k.must(f.close())
	}
}

// release is the RELEASE of what everybody has closed, which comes some time after.
func (f *opened) release() {
	f.k.bridge.Release(nil, &fuse.ReleaseIn{InHeader: header(f.node, 0), Fh: f.fh})
	f.k.drop(f.node)
}

// C3: the kernel gives up a closed file at its leisure, and by then its process may have locked the same object again.
func TestReleaseOfAClosedFileLeavesTheLocksTakenSince(t *testing.T) {
	for name, flags := range map[string]uint32{"whose closes are told": syscall.O_RDWR, "whose closes are not told": syscall.O_RDONLY} {
		t.Run(name, func(t *testing.T) {
			k := newKernel(t)
			k.put("f", "one")
			a := k.mustOpen(1, "f", flags)
			k.must(a.fcntl(syscall.F_RDLCK))
			if a.flags&fuse.FOPEN_NOFLUSH == 0 {
				k.must(a.flushBy(1))
			}
			again, other := k.mustOpen(1, "f", syscall.O_RDWR), k.mustOpen(2, "f", syscall.O_RDWR)
			k.must(again.fcntl(syscall.F_WRLCK))
			a.release()
			if errno := other.fcntl(syscall.F_WRLCK); errno != syscall.EAGAIN {
				t.Errorf("a lock is gone that was taken after the close: %v", errno)
			}
			k.must(again.flushBy(1))
			k.must(other.fcntl(syscall.F_WRLCK))
			k.must(other.flushBy(2))
			again.release()
			other.release()
		})
	}
}

func TestReleaseEndsTheLockOfAProcessWhoseCloseWasNotTold(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	a := k.mustOpen(1, "f", syscall.O_RDONLY)
	k.must(a.fcntl(syscall.F_RDLCK))
	other := k.mustOpen(2, "f", syscall.O_RDWR)
	if errno := other.fcntl(syscall.F_WRLCK); errno != syscall.EAGAIN {
		t.Fatal(errno)
	}
	k.must(a.close())
	k.must(other.fcntl(syscall.F_WRLCK))
	k.must(other.close())
}

func TestLastCloseEndsAFlock(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	a, b := k.mustOpen(1, "f", syscall.O_RDONLY), k.mustOpen(2, "f", syscall.O_RDWR)
	k.must(a.flock(syscall.F_WRLCK))
	k.must(a.close())
	k.must(b.flock(syscall.F_WRLCK))
	k.must(b.close())
}

func TestGetLkNamesWhoIsInTheWay(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	a, b := k.mustOpen(1, "f", syscall.O_RDWR), k.mustOpen(2, "f", syscall.O_RDWR)
	ask := func() fuse.FileLock {
		in, out := fuse.LkIn{InHeader: header(b.node, 2), Fh: b.fh, Owner: 2}, fuse.LkOut{}
		in.Lk = fuse.FileLock{End: 9, Typ: syscall.F_WRLCK, Pid: 2}
		k.must(syscall.Errno(k.bridge.GetLk(nil, &in, &out)))
		return out.Lk
	}
	if got := ask(); got.Typ != syscall.F_UNLCK {
		t.Errorf("nobody: %+v", got)
	}
	k.must(a.fcntl(syscall.F_RDLCK))
	if got, want := ask(), (fuse.FileLock{Typ: syscall.F_RDLCK, Pid: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	k.must(a.close())
	k.must(b.close())
}

func TestInterruptedWaitForALockEnds(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	a, b := k.mustOpen(1, "f", syscall.O_RDWR), k.mustOpen(2, "f", syscall.O_RDWR)
	k.must(a.fcntl(syscall.F_WRLCK))
	cancel := make(chan struct{})
	close(cancel)
	in := fuse.LkIn{InHeader: header(b.node, 2), Fh: b.fh, Owner: 2, Lk: fuse.FileLock{Typ: syscall.F_WRLCK, Pid: 2}}
	if status := k.bridge.SetLkw(cancel, &in); status != fuse.EINTR {
		t.Errorf("the wait ended with %v", status)
	}
	k.must(a.close())
	k.must(b.close())
}

// wait is fcntl(2) with F_SETLKW for byte 0.
func (f *opened) wait() syscall.Errno {
	in := fuse.LkIn{InHeader: header(f.node, f.thread), Fh: f.fh, Owner: uint64(f.thread)}
	in.Lk = fuse.FileLock{Typ: syscall.F_WRLCK, Pid: f.thread}
	return syscall.Errno(f.k.bridge.SetLkw(nil, &in))
}

// Two processes each have what the other waits for: the second to wait is told, and the first gets it.
func TestCircleOfWaitsIsEDEADLK(t *testing.T) {
	k := newKernel(t)
	k.put("f", "one")
	k.put("g", "one")
	var has, wants [2]*opened
	for i, base := range []string{"f", "g"} {
		has[i] = k.mustOpen(uint32(1+i), base, syscall.O_RDWR)
		wants[1-i] = k.mustOpen(uint32(2-i), base, syscall.O_RDWR)
		k.must(has[i].fcntl(syscall.F_WRLCK))
	}
	type end struct {
		who   int
		errno syscall.Errno
	}
	ends := make(chan end)
	for i := range wants {
		go func() { ends <- end{i, wants[i].wait()} }()
	}
	first := <-ends
	if first.errno != syscall.EDEADLK {
		t.Errorf("the second wait of a circle ended with %v", first.errno)
	}
	k.must(has[first.who].fcntl(syscall.F_UNLCK))
	if second := <-ends; second.errno != 0 || second.who == first.who {
		t.Errorf("the other wait ended with %v", second.errno)
	}
	for _, f := range append(has[:], wants[:]...) {
		k.must(f.flushBy(f.thread))
		k.must(f.close())
	}
}
