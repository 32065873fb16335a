package fs

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
)

// FS is a mounted namespace. All methods may be called concurrently.
type FS struct{}

// New starts an FS. It is refused with ErrExists if the root has an entry
// with the control directory's name.
func New(ctx context.Context, config Config) (*FS, error) { return nil, objstore.ErrUnsupported }

// Close commits or keeps what open handles have changed, stops background work and
// waits for it. Handles must not be used afterwards.
func (fs *FS) Close(ctx context.Context) error { return objstore.ErrUnsupported }

// Root is the root directory.
func (fs *FS) Root() objstore.ID { return 0 }

// Lookup finds what the caller should see at name: its own process's uncommitted view of the file, a
// pending create, the view of a writer whose file has never been more than its own empty O_EXCL
// publication, else what is committed.
func (fs *FS) Lookup(ctx context.Context, c Caller, dir objstore.ID, name string) (Entry, error) {
	return Entry{}, objstore.ErrUnsupported
}

// LookupCommitted is Lookup without writers' views. For a pending create its view has neither
// Version nor Writer: opening it for writing starts another transaction that creates the file.
func (fs *FS) LookupCommitted(ctx context.Context, c Caller, dir objstore.ID, name string) (Entry, error) {
	return Entry{}, objstore.ErrUnsupported
}

// Stat describes a view; ErrStale if it is neither current nor open.
func (fs *FS) Stat(ctx context.Context, c Caller, v View) (Attr, error) {
	return Attr{}, objstore.ErrUnsupported
}

// SetAttr changes attributes. h is the handle it came through, or nil. A size without a handle is
// applied to the writer's view if v is one, else it is a transaction of its own.
func (fs *FS) SetAttr(ctx context.Context, c Caller, v View, h *Handle, change Change) (Attr, error) {
	return Attr{}, objstore.ErrUnsupported
}

// Current is the committed version of a file, and whether there is one.
func (fs *FS) Current(ctx context.Context, object objstore.ID) (objstore.Version, bool) {
	return "", false
}

// CanShare reports whether a read-only open by this caller may use the writer's view v.
func (fs *FS) CanShare(c Caller, v View) bool { return false }

// Readlink is the target of a symlink.
func (fs *FS) Readlink(ctx context.Context, c Caller, object objstore.ID) (string, error) {
	return "", objstore.ErrUnsupported
}

// Mkdir makes a directory; ErrExists for all but one of any number of racers.
func (fs *FS) Mkdir(ctx context.Context, c Caller, dir objstore.ID, name string, perm uint32) (Entry, error) {
	return Entry{}, objstore.ErrUnsupported
}

// Symlink makes a symlink.
func (fs *FS) Symlink(ctx context.Context, c Caller, dir objstore.ID, name, target string) (Entry, error) {
	return Entry{}, objstore.ErrUnsupported
}

// Mknod makes a special file, or with TypeFile an empty file, which is committed at once.
func (fs *FS) Mknod(ctx context.Context, c Caller, dir objstore.ID, name string, t objstore.FileType, perm, rdev uint32) (Entry, error) {
	return Entry{}, objstore.ErrUnsupported
}

// Link gives the file shown by v another name.
func (fs *FS) Link(ctx context.Context, c Caller, v View, dir objstore.ID, name string) (Entry, error) {
	return Entry{}, objstore.ErrUnsupported
}

// Unlink removes a name of anything but a directory.
func (fs *FS) Unlink(ctx context.Context, c Caller, dir objstore.ID, name string) error {
	return objstore.ErrUnsupported
}

// Rmdir removes an empty directory.
func (fs *FS) Rmdir(ctx context.Context, c Caller, dir objstore.ID, name string) error {
	return objstore.ErrUnsupported
}

// Rename is renameat2(2).
func (fs *FS) Rename(ctx context.Context, c Caller, dir objstore.ID, name string, newDir objstore.ID, newName string, mode objstore.RenameMode) error {
	return objstore.ErrUnsupported
}

// GetXattr reads an extended attribute; ErrNoXattr. user.etagfs.{etag,version,base,conflict} are
// answered here.
func (fs *FS) GetXattr(ctx context.Context, c Caller, v View, name string) ([]byte, error) {
	return nil, objstore.ErrUnsupported
}

// ListXattr lists the names; those of user.etagfs are left out.
func (fs *FS) ListXattr(ctx context.Context, c Caller, v View) ([]string, error) {
	return nil, objstore.ErrUnsupported
}

// SetXattr is ErrUnsupported, ErrNotPermitted for user.etagfs.*. On a conflict's directory
// user.etagfs.resolve takes the values "keep-mine" and "keep-theirs".
func (fs *FS) SetXattr(ctx context.Context, c Caller, v View, name string, value []byte) error {
	return objstore.ErrUnsupported
}

// RemoveXattr is ErrUnsupported, ErrNotPermitted for user.etagfs.*.
func (fs *FS) RemoveXattr(ctx context.Context, c Caller, v View, name string) error {
	return objstore.ErrUnsupported
}

// Statfs tells how much space there is.
func (fs *FS) Statfs(ctx context.Context) (objstore.Usage, error) {
	return objstore.Usage{}, objstore.ErrUnsupported
}

// Sync makes everything committed so far durable. Uncommitted handles stay uncommitted.
func (fs *FS) Sync(ctx context.Context) error { return objstore.ErrUnsupported }

// Create makes a file and opens it. The name must not exist in the mount: ErrExists, also without
// mode.Exclusive, whereupon a caller that did not ask for exclusivity looks up and opens. With mode.Exclusive
// the empty file is published at once, else it is pending until the first commit.
func (fs *FS) Create(ctx context.Context, c Caller, dir objstore.ID, name string, mode OpenMode, perm uint32) (*Handle, Entry, error) {
	return nil, Entry{}, objstore.ErrUnsupported
}

// Open opens a file on view v; ErrStale if v is not what this open may use now. The entry's
// view is the one the handle shows: its own working copy for a writer, v or the
// writer's it follows for a reader.
func (fs *FS) Open(ctx context.Context, c Caller, v View, mode OpenMode) (*Handle, Entry, error) {
	return nil, Entry{}, objstore.ErrUnsupported
}

// OpenDir opens a directory for listing.
func (fs *FS) OpenDir(ctx context.Context, c Caller, dir objstore.ID) (*Dir, error) {
	return nil, objstore.ErrUnsupported
}

// Dir is an open directory.
type Dir struct{}

// Read calls yield for each entry after cookie, 0 being the start, "." and ".." first, until it
// returns false or there are no more. next is the cookie that continues after
// the entry; cookies stay valid as long as the Dir. Cookie 0 starts anew.
func (d *Dir) Read(ctx context.Context, cookie uint64, yield func(entry DirEntry, next uint64) bool) error {
	return objstore.ErrUnsupported
}

// Sync is fsync(2) of a directory.
func (d *Dir) Sync(ctx context.Context) error { return objstore.ErrUnsupported }

// Handle is an open file. One that may write is a transaction.
type Handle struct{}

// ID names the handle.
func (h *Handle) ID() HandleID { return 0 }

// Mode is how it was opened.
func (h *Handle) Mode() OpenMode { return OpenMode{} }

// View is the view it shows now. A reader that followed a writer shows a committed view after the
// writer's commit; a reader of a growing file shows the newest version it sees.
func (h *Handle) View() View { return View{} }

// Attr describes what the handle shows.
func (h *Handle) Attr(ctx context.Context) (Attr, error) { return Attr{}, objstore.ErrUnsupported }

// ReadAt fills p from off. It is short only at the end of the file, without an error.
func (h *Handle) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	return 0, objstore.ErrUnsupported
}

// WriteAt writes p at off, or at the end. p is not kept.
func (h *Handle) WriteAt(ctx context.Context, p []byte, off int64, mode WriteMode) (int, error) {
	return 0, objstore.ErrUnsupported
}

// Truncate sets the size.
func (h *Handle) Truncate(ctx context.Context, size int64) error { return objstore.ErrUnsupported }

// Allocate is fallocate(2).
func (h *Handle) Allocate(ctx context.Context, off, length int64, mode objstore.AllocateMode) error {
	return objstore.ErrUnsupported
}

// NextData is SEEK_DATA; objstore.ErrRange if there is none.
func (h *Handle) NextData(ctx context.Context, off int64) (int64, error) {
	return 0, objstore.ErrUnsupported
}

// NextHole is SEEK_HOLE; objstore.ErrRange beyond the end.
func (h *Handle) NextHole(ctx context.Context, off int64) (int64, error) {
	return 0, objstore.ErrUnsupported
}

// Flush is close(2) of a descriptor: it commits what changed. ErrBusy if another commit came
// first; then the bytes are kept. It ignores the cancellation of ctx and returns after the
// kernel's cached copies are gone.
func (h *Handle) Flush(ctx context.Context, c Caller) error { return objstore.ErrUnsupported }

// Sync is fsync(2): like Flush, and durable.
func (h *Handle) Sync(ctx context.Context, c Caller) error { return objstore.ErrUnsupported }

// Release ends the handle after its last descriptor and mapping are gone. What Flush could
// not see is committed or kept; failures are logged. view is the committed
// view the handle's bytes equal, so that a node can live on as that; ok is false if there is none.
func (h *Handle) Release(ctx context.Context) (view View, ok bool) { return View{}, false }

// KeepMine makes a kept copy the content of its file, on condition that the file still is what won (theirs), and
// drops the conflict. ErrBusy if it is not.
func KeepMine(ctx context.Context, ns objstore.Namespace, id objstore.ConflictID) (objstore.Info, error) {
	return objstore.Info{}, objstore.ErrUnsupported
}

// ConflictInfo is info.json of a conflict.
func ConflictInfo(c objstore.Conflict) []byte { return nil }
