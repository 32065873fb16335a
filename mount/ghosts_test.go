package mount

import (
	"context"
	"slices"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// stat is what GETATTR answers to a request that names no open file.
func (k *kernel) stat(node uint64) (fuse.Attr, syscall.Errno) {
	in, out := fuse.GetAttrIn{InHeader: header(node, 3)}, fuse.AttrOut{}
	status := k.bridge.GetAttr(nil, &in, &out)
	return out.Attr, syscall.Errno(status)
}

// What is open with O_PATH alone, which is not told, has its attributes for as long as the kernel has its node.
func TestFileWithoutANameHasItsAttributesWhileTheKernelHasItsNode(t *testing.T) {
	replace := func(k *kernel) { k.put("new", "new"); k.must(k.rename("new", "f")) }
	ways := map[string]struct {
		flags  uint32 // of an open file that loses the name first; 0: none is open
		remove func(k *kernel)
		size   uint64
	}{
		"unlinked":                 {0, func(k *kernel) { k.must(k.unlink("f")) }, 4},
		"replaced":                 {0, replace, 4},
		"unlinked while read":      {syscall.O_NOATIME, func(k *kernel) { k.must(k.unlink("f")) }, 4},
		"unlinked while written":   {syscall.O_RDWR, func(k *kernel) { k.must(k.unlink("f")) }, 6},
		"replaced while written":   {syscall.O_RDWR, replace, 6},
		"unlinked before a commit": {syscall.O_CREAT, func(k *kernel) { k.must(k.unlink("f")) }, 6},
		"replaced before a commit": {syscall.O_CREAT, replace, 6},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			k := newKernel(t)
			var f *opened
			switch way.flags {
			case syscall.O_CREAT:
				f, _ = k.create(1, "f", syscall.O_RDWR)
			case 0:
				k.put("f", "four")
			default:
				k.put("f", "four")
				f = k.mustOpen(1, "f", way.flags)
			}
			held, errno := k.walk(1, "f")
			k.must(errno)
			if way.size == 6 {
				k.must(f.write(0, "sixsix"))
			}
			way.remove(k)
			if f != nil {
				k.must(f.close())
			}
			if a, errno := k.stat(held); errno != 0 || a.Size != way.size || a.Nlink != 0 {
				t.Errorf("%v, %d bytes, %d links", errno, a.Size, a.Nlink)
			}
			k.must(k.chmod(3, held))
			if a, errno := k.stat(held); errno != 0 || a.Mode&0o777 != 0o600 {
				t.Errorf("after chmod: %v, mode %o", errno, a.Mode)
			}
			k.drop(held)
			if _, errno := k.stat(held); errno != syscall.ESTALE || len(k.bridge.table.ghosts) != 0 {
				t.Errorf("forgotten: %v, and of %d files something is left", errno, len(k.bridge.table.ghosts))
			}
		})
	}
}

// A change of what is left of a file that is being closed is not lost: neither its handles nor the ghost are the only ones to know.
func TestChangeOfAFileWithoutANameOutlivesItsLastClose(t *testing.T) {
	k := newKernel(t)
	k.put("f", "four")
	f := k.mustOpen(1, "f", syscall.O_RDWR)
	held, errno := k.walk(1, "f")
	k.must(errno)
	k.must(k.unlink("f"))
	k.must(k.chmod(3, held))
	if a, ok := k.bridge.table.ghost(k.objectOf(held)); !ok || a.Mode&0o777 != 0o600 {
		t.Errorf("before the close the ghost has mode %o: %v", a.Mode, ok)
	}
	before := k.bridge.table.mark()
	k.must(k.chmod(3, held))
	if k.bridge.table.inherit(fs.Attr{Object: k.objectOf(held)}, before) {
		t.Error("what was known before the change is inherited after it")
	}
	k.must(f.close())
	if a, errno := k.stat(held); errno != 0 || a.Mode&0o777 != 0o600 {
		t.Errorf("after the close: %v, mode %o", errno, a.Mode)
	}
	k.drop(held)
}

// objectOf is what a node shows.
func (k *kernel) objectOf(node uint64) objstore.ID { return k.bridge.table.at(node).object }

// untold is a namespace whose changes of attributes nobody is told of.
type untold struct{ objstore.Namespace }

func (u untold) Watch(tell func(objstore.Change)) (stop func()) {
	return u.Namespace.Watch(func(c objstore.Change) {
		if c.Kind != objstore.ChangeAttr {
			tell(c)
		}
	})
}

// Who has a file open is told what somebody else has set by its name before that is answered, and not when the store tells of it.
func TestAttributesSetByNameAreDroppedOfAWritersNode(t *testing.T) {
	k := newKernelOver(t, untold{memstore.NewBucket(memstore.Options{})}, fs.Options{})
	k.put("f", "four")
	f := k.mustOpen(1, "f", syscall.O_RDWR)
	k.waitDropped("f")
	other, errno := k.walk(2, "f")
	k.must(errno)
	if other == f.node {
		t.Fatal("a stranger is shown the writer's node")
	}
	k.must(k.chmod(2, other))
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Contains(k.dropped, f.node) {
		t.Errorf("node %d is open; dropped were %v", f.node, k.dropped)
	}
}

// overtaken is a namespace of which the answer of a look-up is overtaken by something else, once.
type overtaken struct {
	objstore.Namespace
	by func()
}

func (o *overtaken) Lookup(ctx context.Context, parent objstore.ID, name string) (objstore.Info, error) {
	info, err := o.Namespace.Lookup(ctx, parent, name)
	if by := o.by; by != nil {
		o.by = nil
		by()
	}
	return info, err
}

// What is left of a file is not forgotten by the answer of a look-up that found the name before it went.
func TestLookupOvertakenByAnUnlinkForgetsNoGhost(t *testing.T) {
	store := &overtaken{Namespace: memstore.NewBucket(memstore.Options{})}
	k := newKernelOver(t, store, fs.Options{})
	k.put("f", "four")
	held, errno := k.walk(1, "f")
	k.must(errno)
	k.believe(name{fuse.FUSE_ROOT_ID, "f"}, 0)
	store.by = func() { k.must(k.unlink("f")) }
	other, errno := k.walk(2, "f")
	if store.by != nil {
		t.Fatal("nothing was looked up")
	}
	if errno == 0 {
		defer k.drop(other)
	}
	if a, errno := k.stat(held); errno != 0 || a.Size != 4 || a.Nlink != 0 {
		t.Errorf("%v, %d bytes, %d links", errno, a.Size, a.Nlink)
	}
	k.drop(held)
}
