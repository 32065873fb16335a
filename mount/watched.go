package mount

import "github.com/hanwen/go-fuse/v2/fuse"

// requestKind is what the kernel asks for.
type requestKind uint32

const (
	asksLookup requestKind = iota
	asksGetAttr
	asksSetAttr
	asksMknod
	asksMkdir
	asksUnlink
	asksRmdir
	asksRename
	asksLink
	asksSymlink
	asksReadlink
	asksGetXAttr
	asksListXAttr
	asksSetXAttr
	asksRemoveXAttr
	asksCreate
	asksTmpfile
	asksOpen
	asksRead
	asksWrite
	asksLseek
	asksGetLk
	asksSetLk
	asksSetLkw
	asksFlush
	asksRelease
	asksFsync
	asksFallocate
	asksCopyFileRange
	asksOpenDir
	asksReadDir
	asksReadDirPlus
	asksReleaseDir
	asksFsyncDir
	asksStatFs
	requestKinds
)

// String is the name of the operation, in small letters.
func (k requestKind) String() string {
	names := [requestKinds]string{
		asksLookup:        "lookup",
		asksGetAttr:       "getattr",
		asksSetAttr:       "setattr",
		asksMknod:         "mknod",
		asksMkdir:         "mkdir",
		asksUnlink:        "unlink",
		asksRmdir:         "rmdir",
		asksRename:        "rename",
		asksLink:          "link",
		asksSymlink:       "symlink",
		asksReadlink:      "readlink",
		asksGetXAttr:      "getxattr",
		asksListXAttr:     "listxattr",
		asksSetXAttr:      "setxattr",
		asksRemoveXAttr:   "removexattr",
		asksCreate:        "create",
		asksTmpfile:       "tmpfile",
		asksOpen:          "open",
		asksRead:          "read",
		asksWrite:         "write",
		asksLseek:         "lseek",
		asksGetLk:         "getlk",
		asksSetLk:         "setlk",
		asksSetLkw:        "setlkw",
		asksFlush:         "flush",
		asksRelease:       "release",
		asksFsync:         "fsync",
		asksFallocate:     "fallocate",
		asksCopyFileRange: "copyfilerange",
		asksOpenDir:       "opendir",
		asksReadDir:       "readdir",
		asksReadDirPlus:   "readdirplus",
		asksReleaseDir:    "releasedir",
		asksFsyncDir:      "fsyncdir",
		asksStatFs:        "statfs",
	}
	if k >= requestKinds {
		return "unknown"
	}
	return names[k]
}

// watched is a bridge whose requests are counted.
type watched struct {
	*bridge
	activity *activity
}

// Lookup implements [fuse.RawFileSystem].
func (w *watched) Lookup(cancel <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	q := w.activity.begin(asksLookup, in, name)
	status := w.bridge.Lookup(cancel, in, name, out)
	q.end(status, 0)
	return status
}

// GetAttr implements [fuse.RawFileSystem].
func (w *watched) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	q := w.activity.begin(asksGetAttr, &in.InHeader, "")
	status := w.bridge.GetAttr(cancel, in, out)
	q.end(status, 0)
	return status
}

// SetAttr implements [fuse.RawFileSystem].
func (w *watched) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	q := w.activity.begin(asksSetAttr, &in.InHeader, "")
	status := w.bridge.SetAttr(cancel, in, out)
	q.end(status, 0)
	return status
}

// Mknod implements [fuse.RawFileSystem].
func (w *watched) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	q := w.activity.begin(asksMknod, &in.InHeader, name)
	status := w.bridge.Mknod(cancel, in, name, out)
	q.end(status, 0)
	return status
}

// Mkdir implements [fuse.RawFileSystem].
func (w *watched) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	q := w.activity.begin(asksMkdir, &in.InHeader, name)
	status := w.bridge.Mkdir(cancel, in, name, out)
	q.end(status, 0)
	return status
}

// Unlink implements [fuse.RawFileSystem].
func (w *watched) Unlink(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	q := w.activity.begin(asksUnlink, in, name)
	status := w.bridge.Unlink(cancel, in, name)
	q.end(status, 0)
	return status
}

// Rmdir implements [fuse.RawFileSystem].
func (w *watched) Rmdir(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	q := w.activity.begin(asksRmdir, in, name)
	status := w.bridge.Rmdir(cancel, in, name)
	q.end(status, 0)
	return status
}

// Rename implements [fuse.RawFileSystem].
func (w *watched) Rename(cancel <-chan struct{}, in *fuse.RenameIn, name, to string) fuse.Status {
	q := w.activity.begin(asksRename, &in.InHeader, name)
	status := w.bridge.Rename(cancel, in, name, to)
	q.end(status, 0)
	return status
}

// Link implements [fuse.RawFileSystem].
func (w *watched) Link(cancel <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	q := w.activity.begin(asksLink, &in.InHeader, name)
	status := w.bridge.Link(cancel, in, name, out)
	q.end(status, 0)
	return status
}

// Symlink implements [fuse.RawFileSystem].
func (w *watched) Symlink(cancel <-chan struct{}, in *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	q := w.activity.begin(asksSymlink, in, name)
	status := w.bridge.Symlink(cancel, in, target, name, out)
	q.end(status, 0)
	return status
}

// Readlink implements [fuse.RawFileSystem].
func (w *watched) Readlink(cancel <-chan struct{}, in *fuse.InHeader) (target []byte, status fuse.Status) {
	q := w.activity.begin(asksReadlink, in, "")
	target, status = w.bridge.Readlink(cancel, in)
	q.end(status, 0)
	return target, status
}

// GetXAttr implements [fuse.RawFileSystem].
func (w *watched) GetXAttr(cancel <-chan struct{}, in *fuse.InHeader, attr string, dest []byte) (n uint32, status fuse.Status) {
	q := w.activity.begin(asksGetXAttr, in, "")
	n, status = w.bridge.GetXAttr(cancel, in, attr, dest)
	q.end(status, 0)
	return n, status
}

// ListXAttr implements [fuse.RawFileSystem].
func (w *watched) ListXAttr(cancel <-chan struct{}, in *fuse.InHeader, dest []byte) (n uint32, status fuse.Status) {
	q := w.activity.begin(asksListXAttr, in, "")
	n, status = w.bridge.ListXAttr(cancel, in, dest)
	q.end(status, 0)
	return n, status
}

// SetXAttr implements [fuse.RawFileSystem].
func (w *watched) SetXAttr(cancel <-chan struct{}, in *fuse.SetXAttrIn, attr string, data []byte) fuse.Status {
	q := w.activity.begin(asksSetXAttr, &in.InHeader, "")
	status := w.bridge.SetXAttr(cancel, in, attr, data)
	q.end(status, 0)
	return status
}

// RemoveXAttr implements [fuse.RawFileSystem].
func (w *watched) RemoveXAttr(cancel <-chan struct{}, in *fuse.InHeader, attr string) fuse.Status {
	q := w.activity.begin(asksRemoveXAttr, in, "")
	status := w.bridge.RemoveXAttr(cancel, in, attr)
	q.end(status, 0)
	return status
}

// Create implements [fuse.RawFileSystem].
func (w *watched) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	q := w.activity.begin(asksCreate, &in.InHeader, name)
	status := w.bridge.Create(cancel, in, name, out)
	q.end(status, 0)
	return status
}

// Tmpfile implements [fuse.RawFileSystem].
func (w *watched) Tmpfile(cancel <-chan struct{}, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	q := w.activity.begin(asksTmpfile, &in.InHeader, "")
	status := w.bridge.Tmpfile(cancel, in, out)
	q.end(status, 0)
	return status
}

// Open implements [fuse.RawFileSystem].
func (w *watched) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	q := w.activity.begin(asksOpen, &in.InHeader, "")
	status := w.bridge.Open(cancel, in, out)
	q.end(status, 0)
	return status
}

// Read implements [fuse.RawFileSystem].
func (w *watched) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (result fuse.ReadResult, status fuse.Status) {
	q, n := w.activity.begin(asksRead, &in.InHeader, ""), 0
	if result, status = w.bridge.Read(cancel, in, buf); status.Ok() {
		n = result.Size()
		w.activity.read.Add(uint64(n))
	}
	q.end(status, n)
	return result, status
}

// Write implements [fuse.RawFileSystem].
func (w *watched) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (n uint32, status fuse.Status) {
	q := w.activity.begin(asksWrite, &in.InHeader, "")
	n, status = w.bridge.Write(cancel, in, data)
	w.activity.written.Add(uint64(n))
	q.end(status, int(n))
	return n, status
}

// Lseek implements [fuse.RawFileSystem].
func (w *watched) Lseek(cancel <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	q := w.activity.begin(asksLseek, &in.InHeader, "")
	status := w.bridge.Lseek(cancel, in, out)
	q.end(status, 0)
	return status
}

// GetLk implements [fuse.RawFileSystem].
func (w *watched) GetLk(cancel <-chan struct{}, in *fuse.LkIn, out *fuse.LkOut) fuse.Status {
	q := w.activity.begin(asksGetLk, &in.InHeader, "")
	status := w.bridge.GetLk(cancel, in, out)
	q.end(status, 0)
	return status
}

// SetLk implements [fuse.RawFileSystem].
func (w *watched) SetLk(cancel <-chan struct{}, in *fuse.LkIn) fuse.Status {
	q := w.activity.begin(asksSetLk, &in.InHeader, "")
	status := w.bridge.SetLk(cancel, in)
	q.end(status, 0)
	return status
}

// SetLkw implements [fuse.RawFileSystem].
func (w *watched) SetLkw(cancel <-chan struct{}, in *fuse.LkIn) fuse.Status {
	q := w.activity.begin(asksSetLkw, &in.InHeader, "")
	status := w.bridge.SetLkw(cancel, in)
	q.end(status, 0)
	return status
}

// Flush implements [fuse.RawFileSystem].
func (w *watched) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	q := w.activity.begin(asksFlush, &in.InHeader, "")
	status := w.bridge.Flush(cancel, in)
	q.end(status, 0)
	return status
}

// Release implements [fuse.RawFileSystem].
func (w *watched) Release(cancel <-chan struct{}, in *fuse.ReleaseIn) {
	q := w.activity.begin(asksRelease, &in.InHeader, "")
	w.bridge.Release(cancel, in)
	q.end(fuse.OK, 0)
}

// Fsync implements [fuse.RawFileSystem].
func (w *watched) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	q := w.activity.begin(asksFsync, &in.InHeader, "")
	status := w.bridge.Fsync(cancel, in)
	q.end(status, 0)
	return status
}

// CopyFileRange implements [fuse.RawFileSystem].
func (w *watched) CopyFileRange(cancel <-chan struct{}, in *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	q := w.activity.begin(asksCopyFileRange, &in.InHeader, "")
	n, status := w.bridge.CopyFileRange(cancel, in)
	q.end(status, int(n))
	return n, status
}

// Fallocate implements [fuse.RawFileSystem].
func (w *watched) Fallocate(cancel <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	q := w.activity.begin(asksFallocate, &in.InHeader, "")
	status := w.bridge.Fallocate(cancel, in)
	q.end(status, 0)
	return status
}

// OpenDir implements [fuse.RawFileSystem].
func (w *watched) OpenDir(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	q := w.activity.begin(asksOpenDir, &in.InHeader, "")
	status := w.bridge.OpenDir(cancel, in, out)
	q.end(status, 0)
	return status
}

// ReadDir implements [fuse.RawFileSystem].
func (w *watched) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	q := w.activity.begin(asksReadDir, &in.InHeader, "")
	status := w.bridge.ReadDir(cancel, in, out)
	q.end(status, 0)
	return status
}

// ReadDirPlus implements [fuse.RawFileSystem].
func (w *watched) ReadDirPlus(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	q := w.activity.begin(asksReadDirPlus, &in.InHeader, "")
	status := w.bridge.ReadDirPlus(cancel, in, out)
	q.end(status, 0)
	return status
}

// ReleaseDir implements [fuse.RawFileSystem].
func (w *watched) ReleaseDir(in *fuse.ReleaseIn) {
	q := w.activity.begin(asksReleaseDir, &in.InHeader, "")
	w.bridge.ReleaseDir(in)
	q.end(fuse.OK, 0)
}

// FsyncDir implements [fuse.RawFileSystem].
func (w *watched) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	q := w.activity.begin(asksFsyncDir, &in.InHeader, "")
	status := w.bridge.FsyncDir(cancel, in)
	q.end(status, 0)
	return status
}

// StatFs implements [fuse.RawFileSystem].
func (w *watched) StatFs(cancel <-chan struct{}, in *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	q := w.activity.begin(asksStatFs, in, "")
	status := w.bridge.StatFs(cancel, in, out)
	q.end(status, 0)
	return status
}
