package mount

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// forgetful is a namespace that is made to forget, and can be kept from answering a lookup.
type forgetful struct {
	objstore.Namespace
	most    int
	ask     func()
	answer  chan struct{} // nil: lookups are answered at once
	settled bool          // since the last Forget began
	used    map[objstore.ID]bool
}

func (f *forgetful) OnCrowd(most int, ask func()) { f.most, f.ask = most, ask }

func (f *forgetful) Forget(settle func(), used func(objstore.ID) bool) {
	f.settled = false
	settle()
	f.settled = true
	for id := range f.used {
		f.used[id] = used(id)
	}
}

func (f *forgetful) Lookup(ctx context.Context, parent objstore.ID, name string) (objstore.Info, error) {
	info, err := f.Namespace.Lookup(ctx, parent, name)
	if f.answer != nil {
		<-f.answer
	}
	return info, err
}

func newForgetful(t *testing.T) (*kernel, *forgetful) {
	ns := &forgetful{Namespace: memstore.NewBucket(memstore.Options{}), used: make(map[objstore.ID]bool)}
	k := newKernelOver(t, ns, fs.Options{})
	k.bridge.pruner.connect(k)
	t.Cleanup(func() { k.bridge.pruner.connect(nil) })
	return k, ns
}

// What the kernel knows is in use, and what it has forgotten is not.
func TestNamespaceForgetsWhatTheKernelForgot(t *testing.T) {
	k, ns := newForgetful(t)
	var nodes []uint64
	for i := range 4 {
		k.put(strconv.Itoa(i), "")
		entry, errno := k.lookup(1, strconv.Itoa(i))
		k.must(errno)
		nodes = append(nodes, entry.NodeId)
		ns.used[k.bridge.table.at(entry.NodeId).object] = false
	}
	count := func(used bool) (n int) {
		ns.ask()
		k.bridge.pruner.wait()
		for _, is := range ns.used {
			if is == used {
				n++
			}
		}
		return n
	}
	if n := count(true); n != 4 {
		t.Errorf("%d of 4 that the kernel knows are in use", n)
	}
	for _, node := range slices.Backward(nodes) {
		k.drop(node)
		k.bridge.Forget(node, 1<<32)
	}
	if n := count(false); n != 4 {
		t.Errorf("%d of 4 that it has forgotten are not in use", n)
	}
	if ns.most != k.bridge.table.crowd.most {
		t.Errorf("%d names are not too many, but %d nodes", ns.most, k.bridge.table.crowd.most)
	}
}

// Of what a request that is being answered was told the kernel will know in a moment: it is waited for before anybody says that it does
// not.
func TestWhatARequestWasToldOfIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, ns := newForgetful(t)
		k.put("f", "")
		info, err := ns.Lookup(t.Context(), ns.Root(), "f")
		if err != nil {
			t.Fatal(err)
		}
		ns.used[info.ID] = false
		ns.answer = make(chan struct{})
		looked := make(chan struct{})
		go func() {
			defer close(looked)
			_, errno := k.lookup(1, "f")
			k.must(errno)
		}()
		synctest.Wait()
		ns.ask()
		synctest.Wait()
		if ns.settled {
			t.Error("a lookup that is being answered was not waited for")
		}
		close(ns.answer)
		<-looked
		k.bridge.pruner.wait()
		if !ns.settled || !ns.used[info.ID] {
			t.Errorf("the file is not in use (settled: %t)", ns.settled)
		}
	})
}

// Each call waits for those that had begun, and for no others: not even if there is always one.
func TestSettlingWaitsForWhatHadBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newNamings()
		running := g.begin()
		for range 5 {
			done := false
			go func() {
				g.settle()
				done = true
			}()
			synctest.Wait()
			next := g.begin()
			if done {
				t.Error("one that had begun was not waited for")
			}
			g.end(running)
			synctest.Wait()
			if !done {
				t.Error("one that began later was waited for")
			}
			running = next
		}
		g.end(running)
	})
}
