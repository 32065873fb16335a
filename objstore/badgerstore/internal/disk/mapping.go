package disk

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mapping is memory of this process that shows a file to whoever mapped it to write. The zero value shows nothing.
//
// A write to a page of a mapping asks the file system for leave, once after the page was written to the disk. One that is
// full or has failed refuses, which is a SIGBUS for who writes, and the end of the process unless its goroutine
// has asked for a panic instead; goroutines of a library have not. [Mapping.Touch] asks before them.
type Mapping struct {
	name   string
	begin  uintptr // no pointer: the memory is not Go's, and may be gone
	length int64
}

// MappingOf finds where all of a file is mapped to be written, and shared. It is the zero value if that is so nowhere or more than once.
func MappingOf(f File) (Mapping, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.Fd(), &st); err != nil {
		return Mapping{}, &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return Mapping{}, err
	}
	suffix := []byte("/" + filepath.Base(f.Name()) + "\n")
	var found Mapping
	for line := range bytes.Lines(maps) {
		if !bytes.HasSuffix(line, suffix) {
			continue
		}
		var begin, end uintptr
		var offset, inode uint64
		var rights, device string
		// proc_pid_maps(5); of a file system with devices of its own, as btrfs, the device is another than stat's.
		if _, err := fmt.Sscanf(string(line), "%x-%x %s %x %s %d", &begin, &end, &rights, &offset, &device, &inode); err != nil {
			return Mapping{}, fmt.Errorf("/proc/self/maps: %q: %w", line, err)
		}
		if inode != st.Ino || rights != "rw-s" || offset != 0 {
			continue
		}
		if found.length > 0 {
			return Mapping{}, nil
		}
		found = Mapping{name: f.Name(), begin: begin, length: int64(end - begin)}
	}
	return found, nil
}

// IsZero reports whether m shows nothing.
func (m Mapping) IsZero() bool { return m.length == 0 }

// Touch writes to every page of a range, as far as it is in the mapping, without changing a byte of it: who
// writes there next is not refused, unless the pages are written to the disk before and the disk fails meanwhile. Nobody
// may write there at the same time. An error is EIO: the file system refuses.
func (m Mapping) Touch(off, length int64) (err error) {
	defer func(onFault bool) {
		debug.SetPanicOnFault(onFault)
		if cause := recover(); cause != nil {
			err = &fs.PathError{Op: "write page", Path: m.name, Err: fmt.Errorf("%w (%v)", unix.EIO, cause)}
		}
	}(debug.SetPanicOnFault(true))
	page := int64(unix.Getpagesize())
	for at := off &^ (page - 1); at < min(off+length, m.length); at += page {
		address := m.begin + uintptr(at)
		atomic.OrUint32((*uint32)(*(*unsafe.Pointer)(unsafe.Pointer(&address))), 0)
	}
	return nil
}
