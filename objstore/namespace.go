package objstore

import (
	"context"
)

// DirEntry is one name in a directory.
type DirEntry struct {
	Name string
	Info Info
}

// MakeRequest makes anything but a regular file: exactly one of any number of racers for a name
// succeeds, the others get ErrPrecondition.
type MakeRequest struct {
	Parent     ID
	Name       string
	Type       FileType // not TypeFile: files come into being by Stage.Commit
	Attr       NewAttr
	Target     string // symlinks, 1 to 4,095 bytes
	Rdev       uint32 // devices
	Xattrs     map[string][]byte
	Durability Durability
}

// RenameMode are the flags of renameat2(2).
type RenameMode uint8

// The modes.
const (
	RenameReplace   RenameMode = iota // an existing target is replaced, by rename(2)'s rules
	RenameNoReplace                   // an existing target is ErrPrecondition
	RenameExchange                    // both must exist and swap
)

// MoveRequest renames one entry.
//
// By rename(2): a directory replaces only an empty directory (else ErrNotEmpty,
// ErrNotDir), a file never a directory (ErrIsDir), a directory never moves
// below itself (ErrInvalid), two names of one file are left as they are.
type MoveRequest struct {
	Parent     ID
	Name       string
	Cond       Cond // on the object at Name
	NewParent  ID
	NewName    string
	NewCond    Cond // on the object at NewName
	Mode       RenameMode
	Durability Durability
}

// MoveResult tells what a rename did.
type MoveResult struct {
	Moved    Info // the object now at NewName
	Replaced Info // the one that lost the name; with exchange, the one now at Name. Zero ID: none
	Gone     bool // Replaced has no name left
}

// RemoveResult tells what an unlink did.
type RemoveResult struct {
	Removed Info
	Gone    bool // Removed has no name left
}

// Namespace is a bucket seen as a tree of objects with permanent ids. It is
// what a filesystem needs beyond [Store]; an implementation serves both from
// the same objects. All methods may be called concurrently.
//
// Names are single path components as POSIX has them, 1 to [NameBytesMax]
// bytes, no "/" and no NUL; "." and ".." are ErrInvalid, longer ones ErrTooLarge. Objects whose
// keys make no such names appear escaped (see [EscapeName]).
//
// A missing id or name is ErrNotFound, a parent that is no directory
// ErrNotDir. An entry lost through damage is ErrCorrupt, never ErrNotFound.
type Namespace interface {
	Root() ID
	// NewID reserves an id for a file to be committed later. It is never
	// given out twice, not even after a crash.
	NewID(ctx context.Context) (ID, error)

	Lookup(ctx context.Context, parent ID, name string) (Info, error)
	Stat(ctx context.Context, id ID) (Info, error)
	// Parent is the directory that holds directory id; the root is its own.
	Parent(ctx context.Context, id ID) (ID, error)
	// Path is one path of id from the root, without a leading slash, for messages; best effort.
	Path(ctx context.Context, id ID) (string, error)
	// ReadDir lists names in a fixed order that does not depend on changes: entries after the
	// name given ("" from the start), at most max. An entry that exists
	// throughout a walk is returned exactly once.
	ReadDir(ctx context.Context, dir ID, after string, max int) (entries []DirEntry, more bool, err error)
	Readlink(ctx context.Context, id ID) (string, error)
	// Open pins the current content of id, which must be want unless want is
	// empty (ErrPrecondition otherwise).
	Open(ctx context.Context, id ID, want Version) (Reader, error)

	Make(ctx context.Context, req MakeRequest) (Info, error)
	// Link gives a file another name; ErrPrecondition if the name exists.
	Link(ctx context.Context, id ID, parent ID, name string, d Durability) (Info, error)
	// Unlink removes a name of anything but a directory (ErrIsDir).
	Unlink(ctx context.Context, parent ID, name string, cond Cond, d Durability) (RemoveResult, error)
	// Rmdir removes an empty directory; ErrNotEmpty, ErrNotDir.
	Rmdir(ctx context.Context, parent ID, name string, d Durability) (RemoveResult, error)
	Move(ctx context.Context, req MoveRequest) (MoveResult, error)
	// SetAttr is never conditional and keeps the version. With change.AtimeWas, which takes Capabilities.AccessTimes, it notes when a
	// file was read: ctime stays too, and nothing is changed if atime is not AtimeWas any more, as who sets it knows better.
	SetAttr(ctx context.Context, id ID, change AttrChange, d Durability) (Info, error)

	// NewStage starts a writer's private copy.
	NewStage(ctx context.Context, spec StageSpec) (Stage, error)

	// Watch calls f for every change, in the order of their commits, after the
	// change is visible and before it is acknowledged to who made it. f must
	// not block and must not call the store. stop returns once f is not running.
	Watch(f func(Change)) (stop func())

	Conflicts

	Usage(ctx context.Context) (Usage, error)
	Capabilities() Capabilities
	// Sync returns once every mutation acknowledged before the call is durable.
	Sync(ctx context.Context) error
}

// Usage is what statfs(2) tells, and whether the store can be written to at all.
type Usage struct {
	BytesTotal int64
	BytesFree  int64 // that a writer may still use: the reserve is taken off
	Objects    int64 // files and directories
	ObjectsMax int64
	Refusing   string // why the store takes no more writes until it is opened again; empty: it takes them
}

// ChangeKind says what happened to an object or a name.
type ChangeKind uint8

// The changes. A rename is one ChangeMoved; an exchange is two.
const (
	ChangeContent ChangeKind = iota + 1 // new version: Object, Old, New, Appended
	ChangeAttr                          // attributes, xattrs or link count: Object
	ChangeCreated                       // a name came: Parent, Name, Object
	ChangeRemoved                       // a name went: Parent, Name, Object
	ChangeMoved                         // a name moved: Parent, Name -> NewParent, NewName, Object; Replaced lost the target name
)

// Change is one change of a namespace.
type Change struct {
	Kind      ChangeKind
	Object    ID
	Parent    ID // for ChangeContent: the directory of one of its names, as for Name
	Name      string
	NewParent ID
	NewName   string
	Replaced  ID
	Old, New  Version
	Size      int64
	Appended  bool // New is Old's bytes followed by more
	Accessed  bool // for ChangeAttr: all that changed is atime, as AttrChange.AtimeWas has it
}

// StageSpec says what a stage starts from and whose it is. Whose is written
// down with the bytes, so that a stage found after a crash can become a
// conflict that says where it belongs.
type StageSpec struct {
	Base  Reader // nil: empty. The stage keeps its own pin; the caller may close Base
	Empty bool   // start empty although Base is what a commit would replace (O_TRUNC)
	// Source, if it is set, is the version, of any object, whose bytes the stage starts with instead: a commit shares them and moves
	// none. That counts as a change. The stage keeps its own pin. ErrUnsupported where contents cannot be shared: then they are to be written.
	Source Reader
	Owner  Owner
}

// Owner is who writes what.
type Owner struct {
	Path   string
	Object ID
	UID    uint32
	GID    uint32
	Mode   uint32
	PID    uint32
	Host   string  // where the process runs; empty: not noted
	Base   Version // empty: the file did not exist
}

// Target is what a commit replaces or makes.
type Target struct {
	ID ID
	// Parent and Name are where a new file appears; with Parent 0 the commit goes to the existing
	// object ID, wherever its name is now.
	Parent ID
	Name   string
	Attr   NewAttr // of a new file
}

// CommitRequest commits a stage.
//
// With Target.Parent 0, Cond is evaluated on the object ID; an object with
// no name left is ErrNotFound. Otherwise it is evaluated on what is at the name: a
// directory there is ErrIsDir; IfAbsent makes a new file with Target.ID; a
// condition that accepts an existing object replaces the name by the new file.
type CommitRequest struct {
	Target     Target
	Cond       Cond
	Change     AttrChange // attributes this writer set; all others are those current at the commit
	Durability Durability
	Move       *MoveRequest // renamed in the same atomic step, after the content; nil: none
	LinkParent ID           // linked there in the same step; 0: not
	LinkName   string
	WriteID    string
}

// CommitResult tells what a commit did.
type CommitResult struct {
	Info     Info
	Appended bool       // the new content is the base's followed by more
	Moved    MoveResult // if Move was asked
}

// AllocateMode is what fallocate(2) asks.
type AllocateMode uint8

// The modes.
const (
	AllocateGrow     AllocateMode = iota // the range exists and reads as it did, zeros beyond the end
	AllocateKeepSize                     // space only
	PunchHole                            // the range reads as zeros, the size stays
	ZeroRange                            // the range reads as zeros, the size grows to its end
)

// Stage holds the bytes of one writer: those of its base, changed by its own
// writes. Nobody else sees them until they are committed. Methods may be
// called concurrently; a read sees every write that returned before it.
type Stage interface {
	// ReadAt and WriteAt are io.ReaderAt and io.WriterAt with a context. Writing
	// beyond the end leaves a hole of zeros. A write that cannot be
	// stored is ErrNoSpace or ErrTooLarge and changes nothing. The slice is not kept.
	ReadAt(ctx context.Context, p []byte, off int64) (int, error)
	WriteAt(ctx context.Context, p []byte, off int64) (int, error)
	Truncate(ctx context.Context, size int64) error
	Allocate(ctx context.Context, off, length int64, mode AllocateMode) error
	// NextData and NextHole are SEEK_DATA and SEEK_HOLE: the first offset >= off that is data
	// (ErrRange if there is none), or a hole (the size at the latest).
	NextData(ctx context.Context, off int64) (int64, error)
	NextHole(ctx context.Context, off int64) (int64, error)
	Size() int64
	// Changed reports whether anything was written, truncated or allocated
	// since the base or the last successful commit.
	Changed() bool
	// Commit makes the bytes the content of the target in one atomic step if
	// the condition holds, after the writes in flight. On success the stage goes
	// on with the committed version as its base; on failure it is as before. A
	// commit of what has not changed is a commit all the same.
	Commit(ctx context.Context, req CommitRequest) (CommitResult, error)
	// Keep makes the bytes durable as a conflict, in place of an earlier one of this stage.
	// The stage stays usable. With an ID it is that of the conflict, unless another has it, and an earlier conflict
	// that c replaces makes room: who repeats a Keep whose outcome is unknown, perhaps from another stage, has one copy.
	Keep(ctx context.Context, c Conflict) (Conflict, error)
	// Close drops what was not committed or kept.
	Close() error
}
