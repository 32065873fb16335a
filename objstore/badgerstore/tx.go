package badgerstore

import (
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// tx is one mutation as the committer evaluates it: after those before it in
// its batch, before those behind it.
type tx struct {
	tree
	e       *Engine
	ov      *overlay
	now     time.Time
	start   int // of this tx in the overlay's log
	changes []change
	blobs   []record.Blob // the batch depends on
	garbage []pending     // entered
	// scattered are objects whose new content has scattered blocks.
	scattered []uint64
	objects   int64              // made, less those gone
	creates   objstore.EventKind // how contents come about in this tx
	// keep is set when the changes stay although the operation fails.
	keep bool
}

// change is a change, or an event, and the bucket to whose watchers it is told.
type change struct {
	root uint64
	objstore.Change
	event *objstore.Event
}

func (t *tx) set(key []byte, value any)   { t.ov.set(key, value) }
func (t *tx) get(key []byte) (any, error) { return t.ov.get(key) }
func (t *tx) tell(root uint64, c objstore.Change) {
	t.changes = append(t.changes, change{root: root, Change: c})
}

// rollback takes back everything the tx has done so far.
func (t *tx) rollback() {
	t.ov.rollback(t.start)
	t.changes, t.blobs, t.garbage, t.scattered, t.objects = nil, nil, nil, nil, 0
}

// modeMask are the bits a mode may have.
const modeMask = 0o7777

// touched is a copy of o with a new metadata version and ctime, to be changed and stored.
func (t *tx) touched(o *record.Object) (*record.Object, error) {
	number, err := t.e.numbers.next()
	if err != nil {
		return nil, err
	}
	c := o.Clone()
	c.MetaVersion = number
	c.Attr.Ctime = t.now
	return c, nil
}

// store writes o where it lives.
func (t *tx) store(o *record.Object) {
	if o.IsFree() {
		t.set(record.ObjectKey(o.ID), o)
		return
	}
	t.set(record.EntryKey(o.Place), o)
}

// newObject is an object without a name or content, and with a version that may be replaced.
func (t *tx) newObject(id uint64, typ objstore.FileType, attr objstore.NewAttr) (*record.Object, error) {
	number, err := t.e.numbers.next()
	if err != nil {
		return nil, err
	}
	return &record.Object{
		ID: id, Type: typ, Version: number, MetaVersion: number, Modified: t.now,
		Content: emptyContent(),
		Attr: objstore.Attr{
			Mode: attr.Mode & modeMask, UID: attr.UID, GID: attr.GID,
			Atime: t.now, Mtime: t.now, Ctime: t.now, Btime: t.now,
		},
	}, nil
}

// merge applies a change of attributes to a touched object.
func merge(o *record.Object, change objstore.AttrChange) {
	set(&o.Attr.Mode, change.Mode)
	o.Attr.Mode &= modeMask
	set(&o.Attr.UID, change.UID)
	set(&o.Attr.GID, change.GID)
	set(&o.Attr.Atime, change.Atime)
	set(&o.Attr.Mtime, change.Mtime)
	set(&o.ContentType, change.ContentType)
	if change.UserMeta != nil {
		o.UserMeta = cloneMeta(change.UserMeta)
	}
	if len(change.Xattrs) > 0 {
		o.Xattrs = mergeXattrs(o.Xattrs, change.Xattrs)
	}
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}
