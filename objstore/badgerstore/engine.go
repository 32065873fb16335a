package badgerstore

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/marks"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/space"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/staging"
)

// Engine is an open store. It implements [objstore.Buckets]; what Bucket
// returns also implements [objstore.Namespace].
type Engine struct {
	// Constant.
	dir           string
	opt           Options
	sizes         sizes
	batchBytesMax int // what one transaction of Badger can take
	batchKeysMax  int
	log           *slog.Logger
	clock         func() time.Time
	rand          io.Reader
	fs            disk.FS
	closeWithin   time.Duration
	after         func(time.Duration, func())
	salvaged      func(Finding) error
	identity      identity

	lock    disk.File
	guard   *space.Guard
	marks   *marks.File
	db      *badger.DB
	blobs   *blob.Store
	session *staging.Session // nil if read-only

	logBlocks *logBlocks // nil if read-only
	verifier  *verifier  // nil if read-only
	found     uint64     // the newest commit there was when the store was opened
	logDamage string     // where a log has a length that cannot be; empty: nowhere
	damage    string     // why it can only be opened to be read; empty: it is whole

	needs       sync.Mutex   // held while the identity is changed
	openUploads atomic.Int64 // uploads that have records, and some that may be about to

	bodies      sync.Pool // of *[bodyBytes]byte: what is being received
	numbers     *numbers
	cache       *cache
	epochs      epochs
	pins        pins
	clients     clients
	inFlight    inFlight
	committer   committer
	compactions compactions
	syncer      *syncer
	collector   *collector
	merger      *merger
	watchers    watchers

	// published is the timestamp readers use: of the last batch that is visible.
	published atomic.Uint64
	objects   atomic.Int64 // files and directories
	// cursorKeys is how many keys cursors came to: what a scan costs.
	cursorKeys atomic.Uint64

	mu      sync.Mutex
	buckets map[string]*Bucket // GUARDED_BY(mu): that have been opened
	checked map[uint64]bool    // GUARDED_BY(mu): directories whose entries have been counted

	closed atomic.Bool
	synced atomic.Bool // Close has made all that was committed durable
	stuck  chan string // capacity 1: why Badger cannot write a table

	compacted chan struct{} // capacity 1: Badger has compacted tables
}

var (
	_ objstore.Buckets = (*Engine)(nil)
	_ staging.Space    = (*space.Guard)(nil)
)

// UUID is the identity of the store, made when it was created.
func (e *Engine) UUID() string { return e.identity.uuid }

// usable is why a call cannot begin, or nil.
func (e *Engine) usable(ctx context.Context) error {
	if e.closed.Load() {
		return objstore.ErrClosed
	}
	return cancelled(ctx)
}

// Refusing is why the store takes no more writes until it is opened again, or nil.
func (e *Engine) Refusing() error { return e.committer.failure() }

// Sync returns once every mutation acknowledged before the call is durable.
func (e *Engine) Sync(ctx context.Context) error {
	if err := e.usable(ctx); err != nil {
		return named("sync", "", err)
	}
	if e.opt.ReadOnly {
		return nil
	}
	return named("sync", "", e.syncer.durableUpTo(e.published.Load()))
}

func (e *Engine) path(name string) string { return filepath.Join(e.dir, name) }

// inFlight are the blobs that are in the tree and not, or not yet, part of a commit.
type inFlight struct {
	numbers *numbers

	mu  sync.Mutex
	ids map[uint64]bool // GUARDED_BY(mu)
}

func (f *inFlight) add(id uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ids[id] = true
}

func (f *inFlight) remove(id uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.ids, id)
}

// expectBlob notes a blob that is about to be put into the tree: its number was given out before, and the
// mark below which no blob is in flight may be past it already.
func (e *Engine) expectBlob(id uint64) error {
	e.inFlight.add(id)
	if e.marks.Get().LowBlob <= id {
		return nil
	}
	return e.marks.Update(false, func(m *marks.Marks) { m.LowBlob = min(m.LowBlob, id) })
}

// lowest is the number below which no blob is in flight.
func (f *inFlight) lowest() uint64 {
	low := f.numbers.last.Load() + 1
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.ids {
		low = min(low, id)
	}
	return low
}
