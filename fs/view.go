package fs

import (
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// Caller is who asks.
type Caller struct {
	UID, GID uint32
	// Thread is the calling thread's id as the kernel gives it; 0 if it is
	// not known (a caller in another pid namespace). With 0 every question "is
	// this the same process?" is answered no.
	Thread uint32
	// Umask is taken off the mode of what is made, but where a directory's default ACL says what it begins with.
	Umask uint32
}

// HandleID names an open writing handle for as long as it lives. 0 is none.
type HandleID uint64

// View says which bytes of an object are meant. It is comparable, so that a
// kernel bridge can key its nodes by it.
//
//   - Writer == 0: the committed content Version of Object. Directories and
//     special files have an empty Version: they have only one view.
//   - Writer == 0, a file, Version empty: nothing is committed yet. Only a
//     pending create has this view, see [FS.LookupCommitted].
//   - Writer != 0: the working copy of that handle. Version is empty.
type View struct {
	Object  objstore.ID
	Version objstore.Version
	Writer  HandleID
}

// Committed reports whether v is a committed version or an object without versions.
func (v View) Committed() bool { return v.Writer == 0 }

// Attr is what stat(2) tells about a view.
type Attr struct {
	Object    objstore.ID
	Type      objstore.FileType
	Size      int64
	Allocated int64
	Mode      uint32 // 07777
	UID, GID  uint32
	Nlink     uint32
	Rdev      uint32
	Atime     time.Time
	Mtime     time.Time
	Ctime     time.Time
}

// Entry is a name that was found or made: what it stands for and its attributes.
type Entry struct {
	View View
	Attr Attr
}

// DirEntry is a name in a listing.
type DirEntry struct {
	Name string
	Entry
}

// Change is what setattr may ask; nil fields stay.
type Change struct {
	Mode, UID, GID *uint32
	Size           *int64
	Atime, Mtime   *time.Time
	ClearSetID     bool // with Size: clear set-user-id and set-group-id as a write does
	Touch          bool // nothing but ctime, and what chown(2) takes off the mode
}

// OpenMode is how a file is opened: the access and the flags of open(2) that
// have a meaning here, and three the kernel bridge decides.
type OpenMode struct {
	Read, Write bool
	Append      bool // O_APPEND
	Truncate    bool // O_TRUNC
	Exclusive   bool // O_EXCL, with Create only
	Exec        bool // opened by execve(2)
	Sync        bool // O_SYNC or O_DSYNC: every write is a durable commit
	// Pinned accepts a view that is not current, or is a writer's, as long as some open handle
	// has it: a re-open through /proc/self/fd. A writer starts from the version
	// the view is, or for a writer's view from the version that writer started from.
	Pinned bool
	// Current opens what is committed now in place of v's version, without regard to the caller's own
	// writers: for a node that nobody has cached anything of. The entry says what was opened.
	Current    bool
	ClearSetID bool // with Truncate: clear set-user-id and set-group-id as a write does
	Fixed      bool // a reader that does not follow what is appended
	NoAtime    bool // O_NOATIME, or an open that nobody asked for: atime stays
}

// XattrMode qualifies the setting of an extended attribute.
type XattrMode struct {
	Create, Replace bool // it must not, or must, exist
	ClearSetGID     bool // with an access ACL: the caller is not in the file's group
}

// WriteMode qualifies a write.
type WriteMode struct {
	Append     bool // at the end, whatever the offset
	ClearSetID bool // the writer is not privileged to keep set-user-id and set-group-id
}
