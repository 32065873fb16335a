package mount

import (
	"strconv"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// However many files are looked up, the kernel is made to forget them, but for what is open and directories.
func TestTableOfManyFilesStaysSmall(t *testing.T) {
	const most = 64
	k := newKernel(t)
	table := k.bridge.table
	table.crowd.most = most
	k.bridge.pruner.connect(k)
	k.put("open", "text")
	open := k.mustOpen(1, "open", syscall.O_RDONLY)
	for i := range 20 * most {
		base := strconv.Itoa(i)
		k.put(base, "")
		entry, errno := k.lookup(1, base)
		k.must(errno)
		k.drop(entry.NodeId)
		k.bridge.pruner.wait()
		table.mu.Lock()
		nodes := table.nodes.count
		table.mu.Unlock()
		if nodes > most+most/4 {
			t.Fatalf("after %d files there are %d nodes", i, nodes)
		}
	}
	if k.namesOf(open.node) == nil {
		t.Error("the kernel was made to forget what is open")
	}
	k.must(open.close())
}

// unable is a kernel that cannot be asked to forget.
type unable struct {
	notifications
	asked int
}

func (u *unable) PruneNotify([]uint64) fuse.Status {
	u.asked++
	return fuse.ENOSYS
}

// A kernel that does not know the request is asked once.
func TestKernelThatCannotForgetIsAskedOnce(t *testing.T) {
	k, u := newKernel(t), &unable{}
	k.bridge.table.crowd.most = 8
	k.bridge.pruner.connect(u)
	for i := range 50 {
		k.put(strconv.Itoa(i), "")
		entry, errno := k.lookup(1, strconv.Itoa(i))
		k.must(errno)
		k.drop(entry.NodeId)
		k.bridge.pruner.wait()
	}
	if u.asked != 1 {
		t.Errorf("it was asked %d times", u.asked)
	}
}

// How many files the kernel may know follows from the memory there is: they are not to take more than an eighth.
func TestCrowdFollowsFromTheMemory(t *testing.T) {
	for _, row := range []struct {
		bytes int64
		want  int
	}{
		{0, crowdNodes}, {1 << 40, crowdNodes}, {64 << 20, 26214},
	} {
		if got := crowdWithin(row.bytes); got != row.want {
			t.Errorf("with %d bytes it is %d nodes, want %d", row.bytes, got, row.want)
		}
	}
}
