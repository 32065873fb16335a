package memstore

import (
	"context"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// Bucket is one bucket of an [Engine]: an [objstore.Store] and an
// [objstore.Namespace] over the same objects.
type Bucket struct {
	// Constant.
	engine  *Engine
	name    string
	created time.Time
	root    *node

	// Guarded by engine.mu.
	nodes      map[objstore.ID]*node // that have a name, and the root
	watchers   []*watcher
	feeds      []*feed
	uploads    map[objstore.UploadID]*upload
	documents  map[string][]byte
	replays    map[string]replay // by write id
	replayAges []replayAge       // oldest first
	conflicts  map[objstore.ConflictID]*conflict
	turn       uint64 // of the last that was kept
	deleted    bool
}

var (
	_ objstore.Store     = (*Bucket)(nil)
	_ objstore.Namespace = (*Bucket)(nil)
	_ objstore.Uploads   = (*Bucket)(nil)
	_ objstore.Appender  = (*Bucket)(nil)
	_ objstore.Tagger    = (*Bucket)(nil)
	_ objstore.Documents = (*Bucket)(nil)
	_ objstore.Answers   = (*Bucket)(nil)
	_ objstore.Feed      = (*Bucket)(nil)
	_ objstore.Buckets   = (*Engine)(nil)
)

// read runs f under the mutex and names its error.
func (b *Bucket) read(ctx context.Context, op, key string, f func() error) error {
	b.engine.mu.Lock()
	defer b.engine.mu.Unlock()
	err := orCancelled(ctx, nil)
	if err == nil {
		err = f()
	}
	return named(op, key, err)
}

// write runs f as a tx and names its error.
func (b *Bucket) write(ctx context.Context, op, key string, f func(*tx) error) error {
	return b.read(ctx, op, key, func() error { return b.mutate(f) })
}

// splitKey is the directories on the way to a key, and its last component; that
// is empty for the key of a directory itself.
func splitKey(key objstore.Key) (dirs []string, leaf string) {
	parts := strings.Split(string(key), "/")
	return parts[:len(parts)-1], parts[len(parts)-1]
}

// checkNewKey refuses keys nobody may create.
func checkNewKey(key objstore.Key) error {
	switch {
	case key == "":
		return problem(objstore.ErrInvalid, "the key is empty")
	case len(key) > objstore.KeyBytesMax:
		return problem(objstore.ErrTooLarge, "the key is longer than 1,024 bytes")
	}
	return nil
}

// dirAt is the directory reached through the given components, or nil.
func (b *Bucket) dirAt(dirs []string) *node {
	dir := b.root
	for _, component := range dirs {
		if dir = dir.dir.nodes[component+"/"]; dir == nil {
			return nil
		}
	}
	return dir
}

// entryAt is where key is or would be, if its directory exists. For the key of
// a directory it is that directory's entry.
func (b *Bucket) entryAt(key objstore.Key) (entry, bool) {
	dirs, leaf := splitKey(key)
	if leaf == "" {
		if len(dirs) == 0 {
			return entry{}, false
		}
		dirs, leaf = dirs[:len(dirs)-1], dirs[len(dirs)-1]+"/"
	}
	dir := b.dirAt(dirs)
	return entry{dir, leaf}, dir != nil
}

// nodeAt is whatever has the name key, or nil.
func (b *Bucket) nodeAt(key objstore.Key) *node {
	if at, ok := b.entryAt(key); ok {
		return at.dir.dir.nodes[at.stored]
	}
	return nil
}

// objectAt is what S3 sees at key, or nil.
func (b *Bucket) objectAt(key objstore.Key) *node {
	if n := b.nodeAt(key); n != nil && n.isObject() {
		return n
	}
	return nil
}

// makeEntry is where key goes; directories on the way are made, implicit.
func (t *tx) makeEntry(key objstore.Key) entry {
	dirs, leaf := splitKey(key)
	if leaf == "" {
		dirs, leaf = dirs[:len(dirs)-1], dirs[len(dirs)-1]+"/"
	}
	dir := t.b.root
	for _, component := range dirs {
		at := entry{dir, component + "/"}
		next := dir.dir.nodes[at.stored]
		if next == nil {
			next = t.newNode(t.newID(), objstore.TypeDir, t.b.engine.opt.NewDir)
			t.add(at, next)
		}
		dir = next
	}
	return entry{dir, leaf}
}

// Capabilities implements [objstore.Store].
func (b *Bucket) Capabilities() objstore.Capabilities {
	all := objstore.AllConds()
	return objstore.Capabilities{
		Put: all, Delete: all, CopySource: all, CopyTarget: all, RenameSource: all, RenameTarget: all,
		UniqueVersions: true, PinnedReaders: true, OneDelete: true, RenameFile: true, RenameDir: true, HardLinks: true, Attributes: true,
		AccessTimes: true, PartialCommit: true, ServerCopy: true, Watch: true,
		CrossBucket: true, Headers: true, Multipart: true, Append: true, Tags: true, Documents: true,
		Answers: true, Feed: true,
		ObjectBytesMax: objstore.ObjectBytesMax, KeyBytesMax: objstore.KeyBytesMax,
	}
}

// Sync implements [objstore.Store]; there is nothing to wait for.
func (b *Bucket) Sync(ctx context.Context) error {
	return named("sync", "", orCancelled(ctx, nil))
}

// usageBytes is the size Usage claims.
const usageBytes = int64(1) << 50

// Usage implements [objstore.Namespace].
func (b *Bucket) Usage(ctx context.Context) (objstore.Usage, error) {
	usage := objstore.Usage{BytesTotal: usageBytes, BytesFree: usageBytes, ObjectsMax: 1 << 40}
	err := b.read(ctx, "usage", "", func() error {
		for _, n := range b.nodes {
			usage.Objects++
			usage.BytesFree -= n.content.allocated
		}
		return nil
	})
	return usage, err
}

// watcher is one caller of Watch.
type watcher struct{ f func(objstore.Change) }

// Watch implements [objstore.Namespace].
func (b *Bucket) Watch(f func(objstore.Change)) (stop func()) {
	w := &watcher{f}
	b.engine.mu.Lock()
	defer b.engine.mu.Unlock()
	b.watchers = append(b.watchers, w)
	return func() {
		b.engine.mu.Lock()
		defer b.engine.mu.Unlock()
		var left []*watcher
		for _, other := range b.watchers {
			if other != w {
				left = append(left, other)
			}
		}
		b.watchers = left
	}
}
