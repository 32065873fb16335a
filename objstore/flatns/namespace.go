package flatns

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// Committer is what stages are committed through: a [Namespace].
type Committer interface {
	// CommitContent makes what body reads the content req asks for. A body that has a method Appended() bool says
	// by it whether it is its base's content followed by more.
	CommitContent(ctx context.Context, req objstore.CommitRequest, body objstore.Reader) (objstore.CommitResult, error)
	// OpenVersion opens version v of the object, or of what is at the path if that is unknown; an empty
	// version is whichever is current. ErrNotFound or ErrPrecondition if it is not there any more.
	OpenVersion(ctx context.Context, object objstore.ID, path string, v objstore.Version) (objstore.Reader, error)
}

// Config is what a namespace is made of.
type Config struct {
	Store objstore.Store
	// NewStage starts a stage whose commit ends in to; the store itself has none.
	NewStage  func(ctx context.Context, spec objstore.StageSpec, to Committer) (objstore.Stage, error)
	Conflicts objstore.Conflicts
	ReadOnly  bool             // nothing is written: the store need not honour conditions
	NewFile   objstore.NewAttr // attributes of files that have none
	NewDir    objstore.NewAttr
	Clock     func() time.Time // nil: time.Now
	Logger    *slog.Logger     // nil: discarded
}

// Namespace implements [objstore.Namespace].
type Namespace struct {
	objstore.Conflicts

	// Constant.
	cfg     Config
	store   objstore.Store
	caps    objstore.Capabilities // of the store
	started time.Time
	root    *node

	unlisted atomic.Bool // the store's listings do not tell what they list

	renaming sync.Mutex // held while a directory is renamed, so that none gets below itself

	telling  sync.Mutex                    // held while watchers are told
	watchers map[int]func(objstore.Change) // GUARDED_BY(telling)
	lastTold int                           // GUARDED_BY(telling): the last key of watchers

	mu       sync.Mutex
	nodes    map[objstore.ID]*node  // GUARDED_BY(mu): those that have a name
	lastID   objstore.ID            // GUARDED_BY(mu)
	occupied map[spot]chan struct{} // GUARDED_BY(mu): closed when the change is in the table
	epoch    uint64                 // GUARDED_BY(mu): moves with every change this mount makes
	told     uint64                 // GUARDED_BY(mu): how often an id was told to somebody
	crowd    crowd                  // GUARDED_BY(mu)
	wholes   wholes                 // GUARDED_BY(mu)
}

// New makes a namespace of a store. A store without conditional puts is ErrUnsupported, unless only read.
func New(cfg Config) (*Namespace, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	caps := cfg.Store.Capabilities()
	if !cfg.ReadOnly && !(caps.Put.Has(objstore.IfAbsent()) && caps.Put.Has(objstore.IfVersion("1"))) {
		return nil, &objstore.Error{
			Op: "open namespace", Kind: objstore.ErrUnsupported,
			Detail: "the store does not honour If-Match and If-None-Match on writes, so first-wins cannot be kept; mount it with -o ro",
		}
	}
	root := &node{id: 1, typ: objstore.TypeDir, children: make(map[string]*node)}
	return &Namespace{
		Conflicts: cfg.Conflicts, cfg: cfg, store: cfg.Store, caps: caps, started: cfg.Clock(), root: root,
		occupied: make(map[spot]chan struct{}), watchers: make(map[int]func(objstore.Change)), nodes: map[objstore.ID]*node{root.id: root}, lastID: root.id,
	}, nil
}

// Capabilities implements [objstore.Namespace]. They are those of the store; what a flat store cannot is off.
func (n *Namespace) Capabilities() objstore.Capabilities {
	caps := n.caps
	caps.Attributes = !n.cfg.ReadOnly
	caps.HardLinks, caps.AccessTimes, caps.PartialCommit, caps.Watch, caps.CrossBucket = false, false, false, false, false
	caps.Headers, caps.Multipart, caps.Append, caps.Tags, caps.Documents, caps.Answers, caps.Feed = false, false, false, false, false, false, false
	return caps
}

// Root implements [objstore.Namespace].
func (n *Namespace) Root() objstore.ID { return n.root.id }

// NewID implements [objstore.Namespace]. Ids are good as long as the mount, or until [Namespace.Forget].
func (n *Namespace) NewID(ctx context.Context) (objstore.ID, error) {
	if err := ended(ctx); err != nil {
		return 0, named("reserve id", "", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.newID(), nil
}

// newID requires mu.
func (n *Namespace) newID() objstore.ID {
	n.lastID++
	return n.lastID
}

// Sync implements [objstore.Namespace].
func (n *Namespace) Sync(ctx context.Context) error { return n.store.Sync(ctx) }

// bytesTotal is what a store without a size says it has.
const bytesTotal = int64(1) << 50

// Usage implements [objstore.Namespace]. A bucket has no size and does not count; objects are those seen.
func (n *Namespace) Usage(ctx context.Context) (objstore.Usage, error) {
	if err := ended(ctx); err != nil {
		return objstore.Usage{}, named("usage", "", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return objstore.Usage{
		BytesTotal: bytesTotal, BytesFree: bytesTotal, Objects: int64(len(n.nodes)), ObjectsMax: 1 << 40,
	}, nil
}

// NewStage implements [objstore.Namespace].
func (n *Namespace) NewStage(ctx context.Context, spec objstore.StageSpec) (objstore.Stage, error) {
	return n.cfg.NewStage(ctx, spec, n)
}

// Watch implements [objstore.Namespace]. It tells what is done through this namespace.
func (n *Namespace) Watch(f func(objstore.Change)) (stop func()) {
	n.telling.Lock()
	defer n.telling.Unlock()
	n.lastTold++
	key := n.lastTold
	n.watchers[key] = f
	return func() {
		n.telling.Lock()
		defer n.telling.Unlock()
		delete(n.watchers, key)
	}
}

// apply changes the table and tells the watchers, in one order for all.
func (n *Namespace) apply(change func() []objstore.Change) {
	n.telling.Lock()
	defer n.telling.Unlock()
	n.mu.Lock()
	n.epoch++
	changes := change()
	n.mu.Unlock()
	for _, c := range changes {
		for _, f := range n.watchers {
			f(c)
		}
	}
}
