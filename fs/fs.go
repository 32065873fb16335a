package fs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// FS is a mounted namespace. All methods may be called concurrently.
type FS struct {
	// Constant.
	ns        objstore.Namespace
	caps      objstore.Capabilities
	options   Options // defaults filled in
	processes Processes
	clock     func() time.Time
	log       *slog.Logger
	host      string
	began     time.Time
	texts     []ControlFile
	tellKept  func(objstore.Conflict)
	background
	stopWatch func()

	// With locks of their own.
	counters counters
	history  *history
	notices  *notices
	listings listings
	names    nameLocks
	guard    guard
	kept     *keptArea
	accesses *accesses
	removing sync.RWMutex // held shared around store calls that may take an object's last name
	// attributes is held while attributes are read to decide how they change.
	attributes sync.Mutex

	// Guarded by mu.
	mu         sync.Mutex
	files      map[objstore.ID]*file
	creations  map[entryKey]*file
	writers    map[HandleID]*transaction // until their last reference
	lastHandle HandleID
	closed     bool
}

// background is the goroutines of an FS.
type background struct {
	quit    chan struct{}
	workers sync.WaitGroup
}

// entryKey is a name in a directory.
type entryKey struct {
	dir  objstore.ID
	name string
}

// New starts an FS. It is refused with ErrExists if the root has an entry
// with the control directory's name.
func New(ctx context.Context, config Config) (*FS, error) {
	config = config.withDefaults()
	if len(config.ControlFiles) > controlFilesMax {
		return nil, &objstore.Error{Op: "mount", Kind: objstore.ErrInvalid, Detail: "too many control files"}
	}
	root := config.Namespace.Root()
	switch _, err := config.Namespace.Lookup(ctx, root, config.Options.Control); {
	case err == nil:
		return nil, &Error{Op: "mount", Path: config.Options.Control, Kind: ErrExists}
	case !errors.Is(err, objstore.ErrNotFound):
		return nil, err
	}
	fs := &FS{
		ns:         config.Namespace,
		caps:       config.Namespace.Capabilities(),
		options:    config.Options,
		processes:  config.Processes,
		clock:      config.Clock,
		log:        config.Logger,
		host:       config.Host,
		began:      config.Clock(),
		texts:      config.ControlFiles,
		history:    newHistory(config.Processes, config.Host),
		tellKept:   config.Kept,
		background: background{quit: make(chan struct{})},
		files:      make(map[objstore.ID]*file),
		creations:  make(map[entryKey]*file),
		writers:    make(map[HandleID]*transaction),
	}
	fs.notices = newNotices(config.Kernel, fs.grow)
	fs.kept = newKeptArea()
	fs.accesses = newAccesses()
	fs.stopWatch = fs.ns.Watch(fs.watched)
	fs.start(func() { fs.notices.run(fs.quit) })
	fs.start(fs.pruneLoop)
	if fs.caps.PartialCommit && fs.options.Autocommit > 0 && !fs.options.ReadOnly {
		ticks, stop := config.Tick(fs.options.Autocommit)
		fs.start(func() {
			defer stop()
			fs.autocommitLoop(ticks)
		})
	}
	if fs.keepsAccesses() {
		ticks, stop := config.Tick(accessInterval)
		fs.start(func() {
			defer stop()
			fs.accessLoop(ticks)
		})
	}
	return fs, nil
}

// watched is told of each change of the store, under its locks.
func (fs *FS) watched(c objstore.Change) {
	fs.listings.told(c)
	if !fs.accesses.isOwn(c) {
		fs.notices.push(c)
	}
}

func (fs *FS) start(work func()) {
	fs.workers.Add(1)
	go func() {
		defer fs.workers.Done()
		work()
	}()
}

// Settle returns once the kernel was told of every change the store had told of before the call, or could not be within
// a second. Whoever lets others change the store acknowledges after it.
func (fs *FS) Settle(ctx context.Context) { fs.notices.settled(ctx, settlePatience) }

// Moving has the kernel forget both names of a rename that somebody else is about to make, and believe nothing of them until moved is
// called, after [FS.Settle]. Otherwise it could believe that there is no new name, and find the old one gone.
func (fs *FS) Moving(ctx context.Context, r objstore.MoveRequest) (moved func()) {
	from := fs.notices.kernel.EntryMoving(r.Parent, r.Name)
	to := fs.notices.kernel.EntryMoving(r.NewParent, r.NewName)
	fs.notices.put(notice{Change: objstore.Change{Kind: objstore.ChangeCreated, Parent: r.Parent, Name: r.Name}})
	fs.notices.put(notice{Change: objstore.Change{Kind: objstore.ChangeCreated, Parent: r.NewParent, Name: r.NewName}})
	fs.notices.settled(ctx, settlePatience)
	return func() {
		from()
		to()
	}
}

// Told returns once the kernel was told of every change the store had told of before the call, or with the error of ctx. A
// kernel that believes no entries (see Kernel) is told without regard to what it has locked.
func (fs *FS) Told(ctx context.Context) error { return fs.notices.await(ctx) }

// GiveBack lets go of memory that only work in progress needs. It may be called at any time.
func (fs *FS) GiveBack() { fs.history.gather() }

// Close keeps what open handles have changed and nobody has closed: who was in the middle of writing a file has
// not said that it is whole. What was appended is committed, and what a flush has left for later. It stops
// background work and waits for it. Handles must not be used afterwards. It returns the first
// failure to commit or keep.
func (fs *FS) Close(ctx context.Context) error {
	fs.mu.Lock()
	if fs.closed {
		fs.mu.Unlock()
		return nil
	}
	fs.closed = true
	var open []*Handle
	for _, f := range fs.files {
		open = append(open, f.handles.all...)
	}
	fs.mu.Unlock()

	var first error
	for _, h := range open {
		if h.tx == nil {
			continue
		}
		if h.tx.unsaved() {
			first = orFirst(first, h.tx.abandon(ctx))
		}
		h.tx.end()
	}
	for _, h := range open {
		h.end()
	}
	close(fs.quit)
	fs.workers.Wait()
	fs.storeAccesses(ctx)
	fs.stopWatch()
	return first
}

func orFirst(first, next error) error {
	if first != nil {
		return first
	}
	return next
}

// Root is the root directory.
func (fs *FS) Root() objstore.ID { return fs.ns.Root() }

// Statfs tells how much space there is.
func (fs *FS) Statfs(ctx context.Context) (objstore.Usage, error) { return fs.ns.Usage(ctx) }

// Sync makes everything committed so far durable. Uncommitted handles stay uncommitted.
func (fs *FS) Sync(ctx context.Context) error { return fs.ns.Sync(ctx) }

// writable is the error for a mutation, if there must be none.
func (fs *FS) writable(op string) error {
	if fs.options.ReadOnly {
		return &objstore.Error{Op: op, Kind: objstore.ErrReadOnly}
	}
	return nil
}

// checkName refuses what cannot be an entry.
func checkName(op, name string) error {
	if len(name) > objstore.NameBytesMax {
		return &Error{Op: op, Path: name, Kind: ErrNameTooLong}
	}
	return nil
}

// exists turns a lost condition into ErrExists: for operations that demand absence.
func exists(op, name string, err error) error {
	if errors.Is(err, objstore.ErrPrecondition) {
		return &Error{Op: op, Path: name, Kind: ErrExists, Err: err}
	}
	return err
}

// notMade is exists for operations that some stores do not have: POSIX calls that EPERM.
func notMade(op, name string, err error) error {
	if errors.Is(err, objstore.ErrUnsupported) {
		return &Error{Op: op, Path: name, Kind: ErrNotPermitted, Err: err}
	}
	return exists(op, name, err)
}
