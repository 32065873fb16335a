package wire

import (
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// None is a message without fields.
type None struct{}

// Hello is the reply to MethodHello.
type Hello struct {
	Session      string
	Root         objstore.ID
	Capabilities objstore.Capabilities
	Lease        time.Duration // without a request, after which the session ends
	LockLease    time.Duration // without a request, after which it has no locks
	Boot         string        // another one: the server began anew
}

// Resolve asks what became of request ID, which is refused if it should arrive later.
type Resolve struct{ ID uint64 }

// Resolved answers it.
type Resolved struct {
	Known bool
	Reply []byte // State and result
}

// Release gives handles back.
type Release struct{ Handles []uint64 }

// Watch asks for changes after the first of that many.
type Watch struct{ After uint64 }

// Event is a change, the Number-th of the session, or with no Kind a sign of life: if Number is not that of the change before, those up to it
// are not known any more, and the client had no lease when it was sent.
type Event struct {
	Number uint64
	Change objstore.Change
	// Infos are of the object and the directories of the change as they are after it, or after later ones: of those that there are,
	// and only for a client that has a lease. That of an object is left out if a name that the change gave it is another's again.
	Infos []objstore.Info
	// Awaited is the change up to which somebody waits for the client to say that it was told.
	Awaited uint64
}

// Lease says that of the changes of the session the first Told are known wherever the client caches, and asks for a
// lease, or for more of it.
type Lease struct {
	Told   uint64
	Extend bool
}

// Leased answers it: for so long after the request was sent, no change beyond those told is acknowledged to who made it before
// the client has said that it knows it. 0: there is no lease.
type Leased struct{ Remaining time.Duration }

// Read asks for bytes behind a handle; a Length of -1 means to the end.
type Read struct {
	Handle uint64
	Offset int64
	Length int64
}

// Seek asks for the next data or hole behind a handle.
type Seek struct {
	Handle uint64
	Offset int64
	Hole   bool
}

// Offset answers it.
type Offset struct{ Offset int64 }

// Count asks for a number of ids.
type Count struct{ Count int }

// Object names an object by its id.
type Object struct{ ID objstore.ID }

// Text answers with one.
type Text struct{ Text string }

// Name names an entry of a directory, and what is asked of it.
type Name struct {
	Parent     objstore.ID
	Name       string
	Cond       objstore.Cond
	Durability objstore.Durability
}

// ReadDir asks for entries.
type ReadDir struct {
	Dir   objstore.ID
	After string
	Max   int
}

// Entries answers it.
type Entries struct {
	Entries []objstore.DirEntry
	More    bool
}

// Open asks for a reader, and for the content itself if it has at most Prefetch bytes.
type Open struct {
	ID       objstore.ID
	Want     objstore.Version
	Prefetch int64
}

// Opened answers requests for readers.
type Opened struct {
	Handle uint64
	Info   objstore.Info
	Data   []byte // the whole content, or nil
}

// Make asks for an object that is no file.
type Make struct{ Request objstore.MakeRequest }

// Link asks for another name.
type Link struct {
	ID         objstore.ID
	Parent     objstore.ID
	Name       string
	Durability objstore.Durability
}

// Info answers with one.
type Info struct{ Info objstore.Info }

// Removed answers MethodUnlink and MethodRmdir.
type Removed struct{ Result objstore.RemoveResult }

// Move asks for a rename.
type Move struct{ Request objstore.MoveRequest }

// Moved answers it.
type Moved struct{ Result objstore.MoveResult }

// SetAttr asks for a change of attributes.
type SetAttr struct {
	ID         objstore.ID
	Change     objstore.AttrChange
	Durability objstore.Durability
}

// Range is some bytes of a stage.
type Range struct{ Offset, Length int64 }

// BufferBytes is how large a buffer is that ranges go through: a file changed in many places has small ones, and who sends many such
// files at once, or takes them, shall not need memory for large ones.
func BufferBytes(all []Range) int {
	most := int64(1)
	for _, r := range all {
		most = max(most, min(r.Length, PartBytes))
	}
	return int(most)
}

// Push brings what a client has staged and says what to do with it. The body is the bytes of Data, one range after
// the other. What it brings is always all that differs from the base, so that it may be repeated.
type Push struct {
	Stage uint64 // 0: a new one,
	Base  uint64 // a handle, from that; 0: from nothing
	Empty bool
	Owner objstore.Owner
	Fence uint64 // under which the object is locked; 0: it is not. See Locked

	Bytes  bool // what follows counts
	Cut    int64
	Zeros  []Range
	Data   []Range
	Size   int64
	Commit *objstore.CommitRequest
	Keep   *objstore.Conflict
}

// Pushed answers it.
type Pushed struct {
	Stage   uint64
	Failure Failure // of the commit or of the keeping; the bytes have arrived
	Result  objstore.CommitResult
	Kept    objstore.Conflict
}

// Usage answers MethodUsage.
type Usage struct{ Usage objstore.Usage }

// Conflict names or describes a conflict.
type Conflict struct {
	Conflict objstore.Conflict
	Side     objstore.ConflictSide
}

// Conflicts answers MethodListConflicts.
type Conflicts struct{ Conflicts []objstore.Conflict }

// Key names an object by its key, and what is asked of it.
type Key struct {
	Key        objstore.Key
	Cond       objstore.Cond
	Durability objstore.Durability
	WriteID    string
	Prefetch   int64
}

// Put begins a put. The body follows, ended by BodyEnd.
type Put struct {
	Key     objstore.Key
	Cond    objstore.Cond
	Options objstore.PutOptions
}

// BodyEnd says how a body ended.
type BodyEnd struct {
	Failure Failure
	Digests objstore.Digests
}

// Copy asks for a copy.
type Copy struct{ Request objstore.CopyRequest }

// Rename asks for a rename by key.
type Rename struct{ Request objstore.RenameRequest }

// List asks for a page of keys.
type List struct{ Options objstore.ListOptions }

// Page answers it.
type Page struct{ Page objstore.ListPage }

// Answer answers MethodAnswer.
type Answer struct {
	Failure Failure
	Info    objstore.Info
}

// LockVerb is what is asked of locks.
type LockVerb uint8

// The verbs. Their numbers stay.
const (
	LockQuery  LockVerb = iota + 1 // what stands in the way?
	LockTry                        // take it, or not
	LockWait                       // take it, or begin to wait
	LockUnlock                     // release what is in the range
	LockCancel                     // do not wait any more
)

// Lock asks for a lock, or about it.
type Lock struct {
	Verb       LockVerb
	Object     objstore.ID
	Owner      uint64
	Flock      bool
	Start, End uint64
	Exclusive  bool
	Process    uint32
	Wait       uint64 // for LockCancel
}

// AwaitLock asks how a wait goes, and answers when it is over or after a while.
type AwaitLock struct{ Wait uint64 }

// LockState is how a request for a lock stands.
type LockState uint8

// The states. Their numbers stay.
const (
	LockGranted  LockState = iota + 1 // or, as it was asked for, released, or nothing is in the way
	LockHeld                          // another has it
	LockWaiting                       // see Wait
	LockDeadlock                      // it would wait for itself
	LockEnded                         // the wait was given up
)

// Locked answers both.
type Locked struct {
	State LockState
	Wait  uint64
	Fence uint64 // of the locks of the session: they are held as long as it is the same
	Other Lock   // for LockQuery
}

// Reclaim names what a session had that is gone with its server. It is for the one in its place.
type Reclaim struct {
	Readers []Pinned
	Locks   []Lock
}

// Pinned is a version of an object that is being read.
type Pinned struct {
	ID      objstore.ID
	Version objstore.Version
}

// Reclaimed answers it.
type Reclaimed struct {
	Handles []uint64 // of the readers, in their order; 0: it is gone
	Held    []bool   // of the locks: those that are held again
	Fence   uint64   // as in Locked
}
