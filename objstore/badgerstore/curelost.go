package badgerstore

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// cureConflict moves a kept copy of no bucket to one there is.
func cureConflict(root uint64, id objstore.ConflictID) cure {
	key := record.ConflictKey(root, string(id))
	return cure{stageOwners, "it is moved to another bucket", func(m *mending) (bool, error) {
		value, err := m.get(key)
		k, ok := value.(*record.Conflict)
		if err != nil || !ok {
			return false, err
		}
		return true, m.commit(func(t *tx) error {
			t.set(key, nil)
			return m.enter(t, k)
		})
	}}
}

// enter makes k a kept copy of the bucket for what is lost.
func (m *mending) enter(t *tx, k *record.Conflict) error {
	root, err := m.lostRoot()
	if err != nil {
		return err
	}
	b := &Bucket{e: m.e, root: root}
	c := *k
	if c.ID != "" {
		taken, err := t.get(record.ConflictKey(root, string(c.ID)))
		if err != nil || taken != nil {
			c.ID = ""
		}
	}
	if c.ID == "" {
		if c.ID, err = b.newConflictID(t, t.now); err != nil {
			return err
		}
	}
	t.set(record.ConflictKey(root, string(c.ID)), &c)
	return nil
}

// keepLost makes a kept copy of a content that belongs to nothing any more.
func (m *mending) keepLost(t *tx, path string, content record.Content) error {
	lineage, err := t.e.numbers.next()
	if err != nil {
		return err
	}
	k := &record.Conflict{Conflict: objstore.Conflict{
		Reason: objstore.ReasonUnknown, Path: path, Time: t.now, Bytes: content.Size, Mode: 0o600,
		Operation: "repair", Detail: "a repair of the store found bytes that belonged to nothing any more",
	}}
	k.Mine = record.Side{Lineage: lineage, Content: content}
	k.Mine.Exists, k.Mine.Held, k.Mine.ContentRef.Size = true, true, content.Size
	return m.enter(t, k)
}

const remedyKept = "it becomes a kept copy"

// cureUpload moves an upload of no bucket to one there is.
func cureUpload(key []byte) cure {
	key = slices.Clone(key)
	return cure{stageOwners, "it is moved to another bucket", func(m *mending) (bool, error) {
		value, err := m.get(key)
		u, ok := value.(*record.Upload)
		if err != nil || !ok {
			return false, err
		}
		root, err := m.lostRoot()
		if err != nil {
			return false, err
		}
		_, name, number := record.ParseUploadKey(key)
		return true, m.commit(func(t *tx) error {
			t.set(key, nil)
			t.set(record.UploadKey(root, name, number), u)
			return nil
		})
	}}
}

// curePart makes a kept copy of a part of no upload.
func curePart(key []byte) cure {
	key = slices.Clone(key)
	return cure{stageOwners, remedyKept, func(m *mending) (bool, error) {
		value, err := m.get(key)
		p, ok := value.(*record.Part)
		if err != nil || !ok {
			return false, err
		}
		return true, m.commit(func(t *tx) error {
			t.set(key, nil)
			return m.keepLost(t, fmt.Sprintf("%s/upload-%d-part-%d", lostName, record.Number(key), record.PartNumber(key)), p.Content)
		})
	}}
}

func cureDocument(key []byte) cure {
	c := cureRecord(key)
	c.stage = stageOwners
	return c
}

// cureLayout sets a list of parts aside that is none of its object.
func cureLayout(key []byte) cure { return cureDocument(key) }

// cureParts forgets the parts of an object's content. Its bytes are not affected.
func cureParts(o *record.Object) cure {
	id, key := o.ID, record.ObjectKey(o.ID)
	if !o.IsFree() {
		key = record.EntryKey(o.Place)
	}
	return cure{stageOwners, "its parts are forgotten, its bytes are not", func(m *mending) (bool, error) {
		value, err := m.get(key)
		o, ok := value.(*record.Object)
		if err != nil || !ok || o.PartCount == 0 {
			return false, err
		}
		layouts, err := m.keys(record.LayoutKey(id, 0)[:9])
		if err == nil {
			_, err = m.remove(layouts...)
		}
		if err != nil {
			return false, err
		}
		c := o.Clone()
		c.PartCount = 0
		return true, m.set(key, c)
	}}
}

// cureUnreferenced makes a kept copy of a page or inline payload nothing refers to.
func cureUnreferenced(r extent.Ref) cure {
	return cure{stageLost, remedyKept, func(m *mending) (bool, error) {
		v := m.e.view()
		content, err := v.contentOfLost(r)
		v.close()
		if objstore.KindOf(err) == objstore.ErrCorrupt {
			return m.remove(keyOf(r))
		}
		if err != nil {
			return false, err
		}
		return true, m.commit(func(t *tx) error {
			t.setCount(r, 1)
			return m.keepLost(t, fmt.Sprintf("%s/%s-%d", lostName, kindText(r.Kind), r.ID), content)
		})
	}}
}

// keyOf is the key of a page or inline payload.
func keyOf(r extent.Ref) []byte {
	if r.Kind == extent.RefPage {
		return record.PageKey(r.ID)
	}
	return record.PayloadKey(r.ID)
}

func kindText(kind extent.RefKind) string {
	switch kind {
	case extent.RefPage:
		return "page"
	case extent.RefInline:
		return "payload"
	}
	return "blob"
}

// contentOfLost is all of a page or inline payload. What is in a page has no hash that is known.
func (v *view) contentOfLost(r extent.Ref) (record.Content, error) {
	if r.Kind == extent.RefInline {
		p, err := v.readPayload(r.ID)
		x := extent.FromRun(int64(len(p)), extent.Source{Kind: extent.Inline, ID: r.ID})
		if err == nil && len(p) == 0 {
			err = damaged("inline payload %d has no bytes", r.ID)
		}
		return record.Content{Size: x.Size, Allocated: x.Size, Hash: blockhash.Of(p), Root: x.Append(nil)}, err
	}
	x, allocated, err := extent.FromPage(extent.PageID(r.ID), pages{v.tree})
	return record.Content{Size: x.Size, Allocated: allocated, HashKind: record.HashParts, Root: x.Append(nil)}, err
}

// cureOrphan makes a kept copy of a blob nothing refers to. One that is damaged, or was not written whole,
// is moved, with its bytes where they were in it.
func cureOrphan(ref blobRef) cure {
	return cure{stageLost, remedyKept + ", or if it is not whole a file in " + repairName + "/", func(m *mending) (bool, error) {
		content, err := m.wholeBlob(ref)
		if objstore.KindOf(err) == objstore.ErrCorrupt {
			return m.asideBlob(ref)
		}
		if err != nil {
			return false, err
		}
		m.e.blobs.Found(ref) // it may not be on the disk yet
		r := extent.Ref{Kind: extent.RefKind(kindOf(ref)), ID: ref.ID}
		return true, m.commit(func(t *tx) error {
			t.setCount(r, 1)
			return m.keepLost(t, fmt.Sprintf("%s/blob-%x", lostName, ref.ID), content)
		})
	}}
}

// wholeBlob is the content of all of a blob, which is read.
func (m *mending) wholeBlob(ref blobRef) (record.Content, error) {
	none := record.Content{}
	size, err := m.e.blobs.Size(ref)
	if err == nil && size == 0 {
		err = damaged("%v has no bytes", ref)
	}
	if err != nil {
		return none, err
	}
	digests, err := m.e.blobs.BlockDigests(ref, 0, blockhash.BlockCount(size))
	if err != nil {
		return none, err
	}
	buf := make([]byte, min(size, blockhash.BlockBytes))
	for i, want := range digests {
		off := int64(i) * blockhash.BlockBytes
		p := buf[:min(size-off, blockhash.BlockBytes)]
		if _, err := m.e.blobs.ReadAt(m.ctx, ref, p, off); err != nil {
			return none, err
		}
		if blockhash.Of(p) != want {
			return none, damaged("the bytes of %v do not have their digest", ref)
		}
	}
	x := extent.FromRun(size, extent.Source{Kind: kindOf(ref), ID: ref.ID})
	return record.Content{Size: size, Allocated: size, Hash: blockhash.Content(digests), Root: x.Append(nil)}, nil
}

// asideBlob moves the files of a blob.
func (m *mending) asideBlob(ref blobRef) (any bool, err error) {
	for _, suffix := range []string{"", ".sum"} {
		name, err := filepath.Rel(m.e.dir, m.e.blobs.Path(ref)+suffix)
		if err != nil {
			return any, err
		}
		done, err := m.asideFile(name)
		if err != nil {
			return any, err
		}
		any = any || done
	}
	return any, nil
}

// cureSession is of staged bytes that the next open makes kept copies of.
func cureSession() cure { return cure{remedy: remedyKept} }
