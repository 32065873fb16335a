package mount

import (
	"context"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// foreign reports whether an attribute belongs to a namespace that is not
// served. Saying so, rather than that the attribute is missing, lets ls ask once
// per mount instead of once per file.
func foreign(attr string) bool {
	return strings.HasPrefix(attr, "security.") || strings.HasPrefix(attr, "system.") ||
		strings.HasPrefix(attr, "trusted.")
}

// GetXAttr implements [fuse.RawFileSystem].
func (b *bridge) GetXAttr(_ <-chan struct{}, in *fuse.InHeader, attr string, dest []byte) (uint32, fuse.Status) {
	if foreign(attr) {
		return 0, fuse.ENOTSUP
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
	if foreign(attr) {
		return fuse.ENOTSUP
	}
	view, ok := b.table.viewOf(in.NodeId)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	return b.status("setxattr", b.fs.SetXattr(context.Background(), caller(&in.InHeader), view, attr, value))
}

// RemoveXAttr implements [fuse.RawFileSystem].
func (b *bridge) RemoveXAttr(_ <-chan struct{}, in *fuse.InHeader, attr string) fuse.Status {
	if foreign(attr) {
		return fuse.ENOTSUP
	}
	view, ok := b.table.viewOf(in.NodeId)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	return b.status("removexattr", b.fs.RemoveXattr(context.Background(), caller(in), view, attr))
}
