package mounts

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// getExtended is FS_IOC_FSGETXATTR and setExtended FS_IOC_FSSETXATTR.
const (
	getExtended = 0x801c581f
	setExtended = 0x401c5820
)

// What lsattr(1), chattr(1) and xfs_io(8) ask for there is not, and they are told so, of what is being written, too. Of a version that is not
// current the kernel is told to look again, which it does not: see DEVIATIONS.md.
func TestFilesHaveNoFlags(t *testing.T) {
	m := start(t)
	path := m.Path("f")
	put(t, path, "text")
	requests := map[string]uint{
		"FS_IOC_GETFLAGS": unix.FS_IOC_GETFLAGS, "FS_IOC_SETFLAGS": unix.FS_IOC_SETFLAGS,
		"FS_IOC_FSGETXATTR": getExtended, "FS_IOC_FSSETXATTR": setExtended,
	}
	asked := func(what string, f *os.File) {
		t.Helper()
		for name, request := range requests {
			wants(t, name+" of "+what, ioctl(f, request), unix.ENOTTY)
		}
	}
	asked("the directory", open(t, m.Dir, os.O_RDONLY))
	reader := open(t, path, os.O_RDONLY)
	asked("a file", reader)
	writer := open(t, path, os.O_RDWR)
	write(t, writer, "TEXT")
	asked("what is being written", writer)
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	asked("a new version", open(t, path, os.O_RDONLY))
	wants(t, "FS_IOC_GETFLAGS of an old version", ioctl(reader, unix.FS_IOC_GETFLAGS), unix.ESTALE)
}

// argumentSize is that of struct fsxattr, the largest any of these requests takes or gives.
const argumentSize = 28

func ioctl(f *os.File, request uint) error {
	var argument [argumentSize]byte
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), uintptr(request), uintptr(unsafe.Pointer(&argument))); errno != 0 {
		return errno
	}
	return nil
}
