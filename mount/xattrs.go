package mount

import (
	"context"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/fs"
)

// unserved is why an attribute cannot be had, 0 if it can. That there are no labels of SELinux is said so, rather than that
// a file has none: ls asks once per mount instead of once per file.
func unserved(attr string) fuse.Status {
	switch attr {
	case "system.posix_acl_access", "system.posix_acl_default":
		return fuse.OK
	case "security.selinux":
		return fuse.ENOTSUP
	}
	for _, space := range []string{"user.", "trusted.", "security."} {
		if rest, in := strings.CutPrefix(attr, space); in && rest == "" {
			return fuse.EINVAL
		} else if in {
			return fuse.OK
		}
	}
	return fuse.ENOTSUP
}

// GetXAttr implements [fuse.RawFileSystem].
func (b *bridge) GetXAttr(_ <-chan struct{}, in *fuse.InHeader, attr string, dest []byte) (uint32, fuse.Status) {
	if status := unserved(attr); !status.Ok() && !fs.IsControlXattr(attr) {
		return 0, status
	}
	n := b.table.at(in.NodeId)
	if n == nil {
		return 0, fuse.Status(syscall.ESTALE)
	}
	c := caller(in)
	value, err := b.fs.GetXattr(context.Background(), c, b.table.held(n), attr)
	if err != nil {
		return 0, b.looked("getxattr", n, c, err)
	}
	return fit(dest, value)
}

// ListXAttr implements [fuse.RawFileSystem].
func (b *bridge) ListXAttr(_ <-chan struct{}, in *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	view, ok := b.table.viewOf(in.NodeId)
	if !ok {
		return 0, fuse.Status(syscall.ESTALE)
	}
	names, err := b.fs.ListXattr(context.Background(), caller(in), view)
	if err != nil {
		return 0, b.status("listxattr", err)
	}
	var list []byte
	for _, attr := range names {
		list = append(append(list, attr...), 0)
	}
	return fit(dest, list)
}

// fit copies value if there is room, and says how much it takes.
func fit(dest, value []byte) (uint32, fuse.Status) {
	size := uint32(len(value))
	if len(dest) < len(value) {
		return size, fuse.ERANGE
	}
	copy(dest, value)
	return size, fuse.OK
}

// SetXAttr implements [fuse.RawFileSystem].
func (b *bridge) SetXAttr(_ <-chan struct{}, in *fuse.SetXAttrIn, attr string, value []byte) fuse.Status {
	mode := fs.XattrMode{
		Create: in.Flags&unix.XATTR_CREATE != 0, Replace: in.Flags&unix.XATTR_REPLACE != 0,
		ClearSetGID: in.SetXAttrFlags&fuse.SETXATTR_ACL_KILL_SGID != 0,
	}
	return b.changeXattr("setxattr", &in.InHeader, attr, func(c fs.Caller, v fs.View) error {
		return b.fs.SetXattr(context.Background(), c, v, attr, value, mode)
	})
}

// RemoveXAttr implements [fuse.RawFileSystem].
func (b *bridge) RemoveXAttr(_ <-chan struct{}, in *fuse.InHeader, attr string) fuse.Status {
	return b.changeXattr("removexattr", in, attr, func(c fs.Caller, v fs.View) error {
		return b.fs.RemoveXattr(context.Background(), c, v, attr)
	})
}

// changeXattr changes an attribute. The kernel forgets ctime, and the mode that an ACL changes.
func (b *bridge) changeXattr(op string, in *fuse.InHeader, attr string, do func(fs.Caller, fs.View) error) fuse.Status {
	if status := unserved(attr); !status.Ok() {
		return status
	}
	n := b.table.at(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	c := caller(in)
	if err := do(c, b.table.held(n)); err != nil {
		return b.looked(op, n, c, err)
	}
	b.notifier.drop(in.NodeId, onlyAttributes)
	b.notifier.setBeside(n)
	return fuse.OK
}
