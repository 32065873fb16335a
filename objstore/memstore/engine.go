package memstore

import (
	"context"
	"crypto/rand"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// MainBucket exists in every engine from the start.
const MainBucket = "main"

// Options configure an engine. The zero value is good.
type Options struct {
	Clock   func() time.Time // nil: time.Now
	Rand    io.Reader        // of conflict ids; nil: crypto/rand
	NewFile objstore.NewAttr // of files made by a put; zero: mode 0644
	NewDir  objstore.NewAttr // of directories keys imply; zero: mode 0755
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.NewFile == (objstore.NewAttr{}) {
		o.NewFile.Mode = 0o644
	}
	if o.NewDir == (objstore.NewAttr{}) {
		o.NewDir.Mode = 0o755
	}
	return o
}

// Engine is a set of buckets in memory. It implements [objstore.Buckets].
type Engine struct {
	// Constant.
	opt Options

	// Guarded by mu, as is everything in the buckets.
	mu       sync.Mutex
	buckets  map[string]*Bucket
	lastID   objstore.ID
	versions uint64    // the last version given out
	lastTime time.Time // of the last commit
}

// New makes an engine that holds the empty bucket [MainBucket].
func New(opt Options) *Engine {
	e := &Engine{opt: opt.withDefaults(), buckets: map[string]*Bucket{}}
	e.buckets[MainBucket] = e.newBucket(MainBucket)
	return e
}

// NewBucket makes an engine and returns its bucket [MainBucket].
func NewBucket(opt Options) *Bucket { return New(opt).buckets[MainBucket] }

// newBucket requires e.mu, or that nobody else has e.
func (e *Engine) newBucket(name string) *Bucket {
	now := e.tick()
	b := &Bucket{
		engine: e, name: name, created: now,
		nodes:     map[objstore.ID]*node{},
		uploads:   map[objstore.UploadID]*upload{},
		documents: map[string][]byte{},
		replays:   map[string]replay{},
		conflicts: map[objstore.ConflictID]*conflict{},
	}
	t := &tx{b: b, now: now}
	b.root = t.newNode(t.newID(), objstore.TypeDir, e.opt.NewDir)
	b.root.explicit = true
	b.nodes[b.root.id] = b.root
	return b
}

// tick is the time of a commit that happens now; requires e.mu.
func (e *Engine) tick() time.Time {
	if now := e.opt.Clock(); now.After(e.lastTime) {
		e.lastTime = now
	}
	return e.lastTime
}

// Bucket implements [objstore.Buckets]. The result is a [*Bucket].
func (e *Engine) Bucket(ctx context.Context, name string) (objstore.Store, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if b, ok := e.buckets[name]; ok && ctx.Err() == nil {
		return b, nil
	}
	return nil, named("open bucket", name, orCancelled(ctx, objstore.ErrNotFound))
}

// CreateBucket implements [objstore.Buckets].
func (e *Engine) CreateBucket(ctx context.Context, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return named("create bucket", name, orCancelled(ctx, nil))
	case !validBucketName(name):
		return named("create bucket", name, objstore.ErrInvalid)
	case e.buckets[name] != nil:
		return named("create bucket", name, objstore.ErrPrecondition)
	}
	e.buckets[name] = e.newBucket(name)
	return nil
}

// DeleteBucket implements [objstore.Buckets].
func (e *Engine) DeleteBucket(ctx context.Context, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.buckets[name]
	switch {
	case ctx.Err() != nil:
		return named("delete bucket", name, orCancelled(ctx, nil))
	case b == nil:
		return named("delete bucket", name, objstore.ErrNotFound)
	case !b.root.isEmpty():
		return named("delete bucket", name, objstore.ErrNotEmpty)
	}
	b.deleted = true
	delete(e.buckets, name)
	return nil
}

// ListBuckets implements [objstore.Buckets], in the order of names.
func (e *Engine) ListBuckets(ctx context.Context) ([]objstore.BucketInfo, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ctx.Err() != nil {
		return nil, named("list buckets", "", orCancelled(ctx, nil))
	}
	var all []objstore.BucketInfo
	for _, b := range e.buckets {
		all = append(all, objstore.BucketInfo{Name: b.name, Created: b.created})
	}
	slices.SortFunc(all, func(a, b objstore.BucketInfo) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// validBucketName applies the rules of S3: 3 to 63 of a-z, 0-9, "-" and ".",
// beginning and ending with a letter or digit, no two dots in a row, no IP address.
func validBucketName(name string) bool {
	if len(name) < 3 || len(name) > 63 || strings.Contains(name, "..") {
		return false
	}
	alphanumeric := func(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
	if !alphanumeric(name[0]) || !alphanumeric(name[len(name)-1]) {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !alphanumeric(c) && c != '-' && c != '.' {
			return false
		}
	}
	_, err := netip.ParseAddr(name)
	return err != nil
}
