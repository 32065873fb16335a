package differential

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// actor is a process that makes the calls it is told, and says what came of them.
type actor struct {
	fds  [descriptors]int
	maps [mappings][]byte
	// writable says of each mapping whether it may be stored to.
	writable [mappings]bool
}

// answer is what came of a call.
type answer struct {
	Said   string   // compared with the other side's
	Writes []uint64 // the inodes of what the process has open for writing: for the statistics
}

// act is the role of an actor: an op per line of its input, an answer per line of its output.
func act([]string) error {
	debug.SetPanicOnFault(true)
	a := &actor{}
	for i := range a.fds {
		a.fds[i] = -1
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o op
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := out.Encode(a.do(o)); err != nil {
			return err
		}
	}
}

func (a *actor) do(o op) answer {
	var said string
	switch o.Do {
	case "begin":
		said = a.begin(o.Name)
	case "open", "dup":
		said = a.more(o)
	case "map", "store", "load", "msync", "unmap", "forget":
		said = a.mapped(o)
	case "stat", "unlink", "rename", "link", "truncate", "chmod", "list", "cat":
		said = named(o)
	default:
		fd := a.used(o.Slot)
		if said = a.through(fd, o); o.Do == "close" && fd >= 0 {
			a.fds[slices.Index(a.fds[:], fd)] = -1
		}
	}
	return answer{said, a.writes()}
}

// used is a descriptor that is open: the one of a number, or else the next. It is negative if there is none.
func (a *actor) used(slot int) int {
	for i := range a.fds {
		if fd := a.fds[(slot+i)%len(a.fds)]; fd >= 0 {
			return fd
		}
	}
	return -1
}

// writes are the inodes of what is open for writing.
func (a *actor) writes() (inodes []uint64) {
	for _, fd := range a.fds {
		var st unix.Stat_t
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_ACCMODE == unix.O_RDONLY {
			continue
		}
		if unix.Fstat(fd, &st) == nil {
			inodes = append(inodes, st.Ino)
		}
	}
	return inodes
}

// begin gives up everything and goes to a directory.
func (a *actor) begin(dir string) string {
	for i, fd := range a.fds {
		if fd >= 0 {
			unix.Close(fd)
		}
		a.fds[i] = -1
	}
	for i, p := range a.maps {
		if p != nil {
			unix.Munmap(p)
		}
		a.maps[i] = nil
	}
	return result(os.Chdir(dir))
}

// result is an error by its number.
func result(err error, more ...any) string {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return unix.ErrnoName(errno)
	}
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace("ok " + fmt.Sprintln(more...))
}

// more makes another descriptor, if there is room.
func (a *actor) more(o op) string {
	free := slices.Index(a.fds[:], -1)
	if free < 0 {
		return "in use"
	}
	var fd int
	var err error
	if o.Do == "open" {
		fd, err = unix.Open(o.Name, o.Flags|unix.O_CLOEXEC, 0o644)
	} else {
		fd, err = unix.FcntlInt(uintptr(a.used(o.Other)), unix.F_DUPFD_CLOEXEC, 0)
	}
	if err != nil {
		return result(err)
	}
	a.fds[free] = fd
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return result(err, st.Size)
}

// through makes a call on a descriptor.
func (a *actor) through(fd int, o op) string {
	p := bytes.Repeat([]byte{o.Fill}, int(o.Len))
	switch o.Do {
	case "close":
		return result(unix.Close(fd))
	case "append":
		_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, o.Flags)
		return result(err)
	case "flock":
		return result(unix.Flock(fd, o.Flags|unix.LOCK_NB))
	case "lock":
		lock := unix.Flock_t{Type: int16(o.Flags), Start: o.Off, Len: o.Len}
		return result(unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &lock))
	case "evict":
		return result(unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED))
	case "pwrite":
		n, err := unix.Pwrite(fd, p, o.Off)
		return result(err, n)
	case "write":
		n, err := unix.Write(fd, p)
		return result(err, n)
	case "pread":
		n, err := unix.Pread(fd, p, o.Off)
		return result(err, n, sum(p[:max(n, 0)]))
	case "read":
		n, err := unix.Read(fd, p)
		return result(err, n, sum(p[:max(n, 0)]))
	case "seek":
		at, err := unix.Seek(fd, o.Off%2000, o.Flags)
		return result(err, at)
	case "ftruncate":
		return result(unix.Ftruncate(fd, o.Len))
	case "allocate":
		return result(unix.Fallocate(fd, uint32(o.Flags), o.Off, o.Len))
	case "fsync":
		return result(unix.Fsync(fd))
	case "fchmod":
		return result(unix.Fchmod(fd, uint32(o.Len)))
	case "fstat":
		var st unix.Stat_t
		err := unix.Fstat(fd, &st)
		return result(err, attributes(&st)...)
	case "hole", "data":
		return sparse(fd, o)
	case "inherit":
		return inherit(fd, o)
	default:
		return "unknown"
	}
}

func sum(p []byte) string {
	h := fnv.New32a()
	h.Write(p)
	return fmt.Sprintf("%08x", h.Sum32())
}

func attributes(st *unix.Stat_t) []any {
	return []any{st.Size, fmt.Sprintf("%o", st.Mode), st.Nlink, st.Uid, st.Gid}
}

// sparse asks where data or a hole begins, and judges the answer by the bytes: where holes are kept is up to the filesystem.
func sparse(fd int, o op) string {
	whence := unix.SEEK_HOLE
	if o.Do == "data" {
		whence = unix.SEEK_DATA
	}
	if fd < 0 {
		return "EBADF"
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return result(err)
	}
	where, err := unix.Seek(fd, 0, unix.SEEK_CUR)
	if err != nil {
		return result(err)
	}
	defer unix.Seek(fd, where, unix.SEEK_SET)
	at, err := unix.Seek(fd, o.Off, whence)
	switch {
	case o.Off >= st.Size:
		return result(err)
	case errors.Is(err, unix.ENXIO) && o.Do == "data":
		at = st.Size
	case err != nil:
		return result(err)
	}
	p := make([]byte, st.Size)
	if n, err := unix.Pread(fd, p, 0); errors.Is(err, unix.EBADF) {
		return "it cannot be read"
	} else if err != nil || int64(n) != st.Size {
		return fmt.Sprint("read ", n, " of ", st.Size, " bytes: ", err)
	}
	switch {
	case at < o.Off || at > st.Size:
		return fmt.Sprint("it begins at ", at)
	case o.Do == "data" && len(bytes.Trim(p[o.Off:at], "\x00")) > 0:
		return fmt.Sprint("it begins at ", at, ", and there is some before")
	case o.Do == "hole" && at < st.Size && p[at] != 0:
		return fmt.Sprint("it begins at ", at, ", and there is a byte")
	}
	return "a true answer"
}

// inherit has a child write to a descriptor.
func inherit(fd int, o op) string {
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return result(err)
	}
	f := os.NewFile(uintptr(copied), "inherited")
	defer f.Close()
	cmd := exec.Command("sh", "-c", fmt.Sprintf("printf %08d >&3", o.Off))
	cmd.ExtraFiles = []*os.File{f}
	if err := cmd.Run(); err != nil {
		return "the child failed"
	}
	return "ok"
}

// named makes a call on a name.
func named(o op) string {
	switch o.Do {
	case "stat":
		var st unix.Stat_t
		err := unix.Lstat(o.Name, &st)
		return result(err, attributes(&st)...)
	case "unlink":
		return result(unix.Unlink(o.Name))
	case "rename":
		return result(unix.Rename(o.Name, o.To))
	case "link":
		return result(unix.Link(o.Name, o.To))
	case "truncate":
		return result(unix.Truncate(o.Name, o.Len))
	case "chmod":
		return result(unix.Chmod(o.Name, uint32(o.Len)))
	case "cat":
		p, err := os.ReadFile(o.Name)
		return result(err, len(p), sum(p))
	default:
		var all []string
		for _, dir := range []string{".", "d"} {
			entries, err := os.ReadDir(dir)
			if err != nil {
				return result(err)
			}
			for _, e := range entries {
				all = append(all, dir+"/"+e.Name()+" "+e.Type().String())
			}
		}
		sort.Strings(all)
		return strings.Join(all, ", ")
	}
}

// mapped makes a call on a mapping.
func (a *actor) mapped(o op) string {
	if o.Do == "map" {
		return a.mapIt(o)
	}
	slot := o.Slot
	if a.maps[slot] == nil {
		slot = (slot + 1) % mappings
	}
	p := a.maps[slot]
	if p == nil {
		return "no mapping"
	}
	switch o.Do {
	case "unmap":
		a.maps[slot] = nil
		return result(unix.Munmap(p))
	case "msync":
		return result(unix.Msync(p, unix.MS_SYNC))
	case "forget":
		return result(unix.Madvise(p, unix.MADV_DONTNEED))
	}
	// Bytes beyond the end of the file are not the file's, and pages beyond it are no memory.
	end := min(o.Off+o.Len, int64(len(p)), a.size(p))
	if o.Off >= end {
		return "beyond"
	}
	if o.Do == "store" && !a.writable[slot] {
		return "read-only"
	}
	return touch(p[o.Off:end], o)
}

// touch reads or fills a part of a mapping, which another process may cut off meanwhile.
func touch(part []byte, o op) (said string) {
	defer func() {
		if recover() != nil {
			said = "fault"
		}
	}()
	if o.Do == "load" {
		return "ok " + sum(part)
	}
	for i := range part {
		part[i] = o.Fill
	}
	return "ok"
}

func (a *actor) mapIt(o op) string {
	protection, kind := unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED
	switch o.Flags {
	case 1:
		protection = unix.PROT_READ
	case 2:
		kind = unix.MAP_PRIVATE
	}
	free := slices.IndexFunc(a.maps[:], func(p []byte) bool { return p == nil })
	if free < 0 {
		return "in use"
	}
	p, err := unix.Mmap(a.used(o.Other), 0, int(o.Len), protection, kind)
	if err == nil {
		a.maps[free], a.writable[free] = p, o.Flags != 1
	}
	return result(err)
}

// size is that of the file behind a mapping, whoever still has a descriptor of it. A user may not look there, and takes that of a
// descriptor or name of the file, 0 if it has none here.
func (a *actor) size(p []byte) int64 {
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(p)))
	page := uintptr(os.Getpagesize())
	end := (begin + uintptr(len(p)) + page - 1) &^ (page - 1)
	var st unix.Stat_t
	err := unix.Stat(fmt.Sprintf("/proc/self/map_files/%x-%x", begin, end), &st)
	if errors.Is(err, unix.EPERM) {
		return a.sizeOf(mappedInode(begin))
	}
	if err != nil {
		return 0
	}
	return st.Size
}

// sizeOf is the size of an inode that has a descriptor or a name here, or else 0.
func (a *actor) sizeOf(inode uint64) int64 {
	var st unix.Stat_t
	for _, fd := range a.fds {
		if unix.Fstat(fd, &st) == nil && st.Ino == inode {
			return st.Size
		}
	}
	for _, pattern := range []string{"*", "d/*"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			if unix.Lstat(name, &st) == nil && st.Ino == inode {
				return st.Size
			}
		}
	}
	return 0
}

// mappedInode is the inode of the mapping that begins at an address, 0 if there is none.
func mappedInode(begin uintptr) uint64 {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		const inodeField = 4
		if strings.HasPrefix(line, fmt.Sprintf("%x-", begin)) || strings.HasPrefix(line, fmt.Sprintf("%08x-", begin)) {
			inode, _ := strconv.ParseUint(fields[inodeField], 10, 64)
			return inode
		}
	}
	return 0
}
