package mount

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// The bridge answers every operation.
var _ fuse.RawFileSystem = (*bridge)(nil)

// absences answers the operations that are not served, on purpose. ENOSYS tells
// the kernel not to ask again.
type absences struct{}

// Access is never asked: the kernel checks permissions by the attributes.
func (absences) Access(<-chan struct{}, *fuse.AccessIn) fuse.Status { return fuse.ENOSYS }

// Writev leaves the data of a WRITE in one piece, to Write.
func (absences) Writev(<-chan struct{}, *fuse.WriteIn, [][]byte) (uint32, fuse.Status) {
	return 0, fuse.ENOSYS
}

// Statx is absent: all it could add to GETATTR is the time of birth.
func (absences) Statx(<-chan struct{}, *fuse.StatxIn, *fuse.StatxOut) fuse.Status {
	return fuse.ENOSYS
}

// Ioctl has no command that means anything here.
func (absences) Ioctl(<-chan struct{}, *fuse.IoctlIn, []byte, *fuse.IoctlOut, []byte) fuse.Status {
	return fuse.Status(syscall.ENOTTY)
}
