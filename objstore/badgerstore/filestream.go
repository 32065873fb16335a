package badgerstore

import (
	"context"
	"errors"
	"io"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
)

// fileStreamBytesMin is the least worth a file of its own to send from.
const fileStreamBytesMin = 256 << 10

// fileStream is a stream of bytes that lie in one file as they are, and that were verified within
// [Options.ScrubAge]: just now, if they are not more than [blob.LookBytesMax]. It is a [syscall.Conn], so that the kernel can send them. Read still verifies.
type fileStream struct {
	*stream
	file  disk.File
	start int64 // of the content in the file
}

// checkedFile is the file that all of s can be sent from, and where the content begins in it.
func (r *reader) checkedFile(ctx context.Context, s *stream) (file disk.File, start int64, ok bool) {
	if s.err != nil || s.end-s.off < fileStreamBytesMin {
		return nil, 0, false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.content == nil {
		return nil, 0, false
	}
	run, ok := r.content.content.Run()
	if !ok || run.Kind != extent.Bare {
		return nil, 0, false
	}
	file, ok = r.content.e.blobs.OpenChecked(ctx, blobOf(extent.RefKind(run.Kind), run.ID), run.Off+s.off, s.end-s.off)
	return file, run.Off, ok
}

// Close implements [io.Closer].
func (s *fileStream) Close() error { return errors.Join(s.stream.Close(), s.file.Close()) }

// SyscallConn implements [syscall.Conn].
func (s *fileStream) SyscallConn() (syscall.RawConn, error) {
	if s.err != nil {
		return nil, s.err
	}
	return rawStream{s}, nil
}

// rawStream is the descriptor of a fileStream. What is read from it moves the stream on.
type rawStream struct{ s *fileStream }

// Read implements [syscall.RawConn].
func (r rawStream) Read(do func(fd uintptr) bool) error {
	fd := r.s.file.Fd()
	if _, err := unix.Seek(fd, r.s.start+r.s.off, io.SeekStart); err != nil {
		return disk.Error("read blob", err)
	}
	do(uintptr(fd)) // a file is always ready
	at, err := unix.Seek(fd, 0, io.SeekCurrent)
	if err != nil {
		return disk.Error("read blob", err)
	}
	r.s.off = at - r.s.start
	return nil
}

// Control implements [syscall.RawConn].
func (r rawStream) Control(do func(fd uintptr)) error {
	do(uintptr(r.s.file.Fd()))
	return nil
}

// Write implements [syscall.RawConn].
func (r rawStream) Write(func(fd uintptr) bool) error { return errors.ErrUnsupported }
