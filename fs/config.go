package fs

import (
	"log/slog"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// Config is what an [FS] is made of. Namespace is required; what else is nil or
// zero has a default.
type Config struct {
	Namespace objstore.Namespace
	Options   Options
	Processes Processes // nil: nothing is known of any process
	Kernel    Kernel    // nil: nobody caches
	Clock     func() time.Time
	// Tick delivers a time every d until stop is called. nil: time.NewTicker.
	Tick   func(d time.Duration) (ticks <-chan time.Time, stop func())
	Logger *slog.Logger
	Host   string // for info.json of conflicts
	// ControlFiles are shown in the control directory; at most 29, with names of their own.
	ControlFiles []ControlFile
	// Kept is told of each conflict once its bytes are kept, before the caller is told. It must not block. nil: nobody is told.
	Kept func(objstore.Conflict)
}

// Options are the choices of who mounts. They are comparable, and the zero value
// is the default of each.
type Options struct {
	Isolation        IsolationMode
	Guard            GuardMode // GuardProcess takes IsolateHandles
	Append           AppendMode
	Follow           FollowMode
	Durability       DurabilityMode
	Control          string // name of the control directory; empty: ".etagfs"
	ReadOnly         bool
	Relatime         bool          // opening a file to read it moves its atime
	UID, GID         Override      // shown as owner of everything
	Umask            Override      // bits taken off every shown mode
	Autocommit       time.Duration // of changed O_APPEND handles; 0: 5 s, negative: never
	CommitTimeout    time.Duration // after which a commit is answered with an error; 0: 2 minutes
	ConflictsPerFile int           // kept copies per file; 0: 10
	ConflictsBytes   int64         // kept copies in all; 0: 1 GiB
}

// IsolationMode says which handles share what they write before it is committed.
type IsolationMode uint8

// The isolation modes.
const (
	IsolateHandles IsolationMode = iota // none: two handles are as separate as two machines
	IsolateMount                        // all of a file in this FS, as on a local disk
)

// GuardMode says which version a change of a name is conditional on.
type GuardMode uint8

// The guards.
const (
	GuardOpen    GuardMode = iota // none: only what is written through an open file is conditional, on the version that was opened
	GuardProcess                  // the version of the name that the process last read, if it has
)

// AppendMode says what becomes of a purely appending handle that loses.
type AppendMode uint8

// The append modes.
const (
	AppendRebase AppendMode = iota // its bytes are appended to what won
	AppendStrict                   // it loses like any other
)

// FollowMode says whether read-only handles see a file grow.
type FollowMode uint8

// The follow modes.
const (
	FollowAppend FollowMode = iota // commits that only appended are seen
	FollowNone                     // nothing committed after the open is seen
)

// DurabilityMode says which calls wait for power-loss durability.
type DurabilityMode uint8

// The durability modes.
const (
	DurableFsync DurabilityMode = iota // fsync and O_SYNC writes
	DurableClose                       // close too
)

// Override replaces a value if Set.
type Override struct {
	Set   bool
	Value uint32
}

// Processes answers questions about processes. With thread 0 every answer is "no".
type Processes interface {
	// ThreadGroup is the process the thread belongs to.
	ThreadGroup(thread uint32) (process uint32, known bool)
	// HoldsOther reports whether the process of thread certainly holds, beside the
	// descriptor being closed, another descriptor of an open file on object.
	HoldsOther(thread uint32, object objstore.ID) bool
	// Groups are the supplementary groups of a thread.
	Groups(thread uint32) []uint32
	// Started tells one process of a number from the next: when it was, in no unit; false if it has ended.
	Started(process uint32) (at uint64, running bool)
	// Name is the program's name, for messages; empty if unknown.
	Name(process uint32) string
}

// Kernel is told what cached copies elsewhere have become stale. It is called
// with no lock of this package held, one call at a time, in the order of the
// commits; a call returns once the cached copies are gone. Changes of names
// this FS made itself on a caller's behalf are not told: that caller's kernel knows.
//
// Calls may come from within Flush, Sync, SetAttr with a size, Release and from
// background work, never from within operations on names: those leave theirs to
// the background, but for Lost.
type Kernel interface {
	// Committed tells that new replaced old as the content of an object: entries that
	// show old are stale. With appended, new is old followed by more, handles on
	// old already read new, and old's cached pages stay good up to its size. old has
	// no version if the object is new.
	Committed(old, new View, appended bool, size int64)
	// Rebased tells that the bytes of a writer's view from offset on, and its size, changed
	// under it: other appends came before its own.
	Rebased(writer View, offset int64)
	// AttrChanged tells that attributes, extended attributes or the link count changed.
	AttrChanged(object objstore.ID)
	// Lost tells that an object lost a name through this mount, and what stat(2) says of it since; without links it is gone. It is
	// called from within the operation on names, and must not wait for requests.
	Lost(a Attr)
	// DirTimesChanged tells that the times of a directory changed, because a pending create
	// in it was committed. Its entries are what they were.
	DirTimesChanged(dir objstore.ID)
	// EntryGone tells that dir no longer has name, which stood for object. The attributes
	// of dir are stale too.
	EntryGone(dir objstore.ID, name string, object objstore.ID)
	// EntryCame tells that name in dir now stands for something else than before, or for something
	// at all. The attributes of dir are stale too.
	EntryCame(dir objstore.ID, name string)
	// Forget tells that the bytes and attributes of a view are about to be those of another version. Only with
	// IsolateMount; it comes beside other calls, from within Open and Refresh.
	Forget(v View)
	// Parted tells that v, which has lost, was its object's working copy until now: who has it open stays with it, and the next
	// open of the object is of another. Only with IsolateMount.
	Parted(v View)
	// EntryMoving tells that somebody else is about to move name in dir, or something to it: until moved is called an entry of it,
	// or that there is none, is not to be believed. What is believed already is told of by EntryCame.
	EntryMoving(dir objstore.ID, name string) (moved func())
}

// Where an option is zero.
const (
	defaultControl          = ".etagfs"
	defaultAutocommit       = 5 * time.Second
	defaultCommitTimeout    = 2 * time.Minute
	defaultConflictsPerFile = 10
	defaultConflictsBytes   = 1 << 30
)

func (c Config) withDefaults() Config {
	c.Options = c.Options.withDefaults()
	if c.Processes == nil {
		c.Processes = strangers{}
	}
	if c.Kernel == nil {
		c.Kernel = noKernel{}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Tick == nil {
		c.Tick = func(d time.Duration) (<-chan time.Time, func()) {
			t := time.NewTicker(d)
			return t.C, t.Stop
		}
	}
	if c.Kept == nil {
		c.Kept = func(objstore.Conflict) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (o Options) withDefaults() Options {
	if o.Control == "" {
		o.Control = defaultControl
	}
	if o.Autocommit == 0 {
		o.Autocommit = defaultAutocommit
	}
	if o.CommitTimeout == 0 {
		o.CommitTimeout = defaultCommitTimeout
	}
	if o.ConflictsPerFile == 0 {
		o.ConflictsPerFile = defaultConflictsPerFile
	}
	if o.ConflictsBytes == 0 {
		o.ConflictsBytes = defaultConflictsBytes
	}
	return o
}

// strangers is what is known of processes if nobody answers.
type strangers struct{}

func (strangers) ThreadGroup(uint32) (uint32, bool)   { return 0, false }
func (strangers) HoldsOther(uint32, objstore.ID) bool { return false }
func (strangers) Groups(uint32) []uint32              { return nil }
func (strangers) Started(uint32) (uint64, bool)       { return 0, false }
func (strangers) Name(uint32) string                  { return "" }

// noKernel caches nothing.
type noKernel struct{}

func (noKernel) Committed(View, View, bool, int64)          {}
func (noKernel) Rebased(View, int64)                        {}
func (noKernel) AttrChanged(objstore.ID)                    {}
func (noKernel) Lost(Attr)                                  {}
func (noKernel) DirTimesChanged(objstore.ID)                {}
func (noKernel) EntryGone(objstore.ID, string, objstore.ID) {}
func (noKernel) EntryCame(objstore.ID, string)              {}
func (noKernel) Forget(View)                                {}
func (noKernel) Parted(View)                                {}
func (noKernel) EntryMoving(objstore.ID, string) func()     { return func() {} }
