package badgerstore

import (
	"fmt"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// dirCount counts the entries of the directory the walk is in: they lie together.
type dirCount struct {
	id      uint64 // 0: in none
	entries uint64
	subdirs uint64
}

func (c *checker) bucket(name string, b record.Bucket) error {
	if other, taken := c.roots[b.Root]; taken {
		return c.curable(cureTwin(name), FindingBucket, "the buckets %q and %q have the same directory", other, name)
	}
	c.roots[b.Root] = name
	root, err := c.object(b.Root)
	if err != nil {
		return err
	}
	if root == nil || !root.IsDir() || root.Place != (record.Place{}) {
		return c.curable(cureRoot(name), FindingBucket, "the bucket %q has lost its directory %d", name, b.Root)
	}
	return nil
}

func (c *checker) conflict(root uint64, k *record.Conflict) error {
	if c.roots[root] == "" {
		if err := c.curable(cureConflict(root, k.ID), FindingConflict, "the kept copy %s for %q is in no bucket", k.ID, k.Path); err != nil {
			return err
		}
	}
	for _, s := range []*record.Side{&k.Mine, &k.Base, &k.Theirs} {
		if !s.Held {
			continue
		}
		key := record.ConflictKey(root, string(k.ID))
		if err := c.content(key, s.Content, func(cure cure, kind FindingKind, text string) error {
			return c.curable(cure, kind, "the kept copy %s for %q: %s", k.ID, k.Path, text)
		}); err != nil {
			return err
		}
	}
	return nil
}

// entryIn counts an entry in its directory and checks that its name says what it is.
func (c *checker) entryIn(key []byte, isDir bool) error {
	p := record.Place{Parent: record.Number(key), Stored: record.EntryStored(key)}
	if p.Parent != c.dir.id {
		if err := readable(c.endDirectory()); err != nil {
			return err
		}
		c.dir.id = p.Parent
	}
	c.dir.entries++
	if isDir {
		c.dir.subdirs++
	}
	if _, named := component(p.Stored); named != isDir || p.Stored == "" {
		return c.curableAt(p, cureEntry(p, "it gets one of its own type"), FindingEntry, "the entry %q in directory %d has the name of another type", p.Stored, p.Parent)
	}
	return nil
}

// endDirectory compares what was counted with what the directory says.
func (c *checker) endDirectory() error {
	d := c.dir
	c.dir = dirCount{}
	if d.id == 0 {
		return nil
	}
	o, err := c.object(d.id)
	switch {
	case err != nil:
		return err
	case o == nil || !o.IsDir():
		return c.curable(cureDirectory(d.id), FindingEntry, "%d entries are in directory %d, which is not there", d.entries, d.id)
	case o.Children != d.entries || o.Subdirs != d.subdirs:
		return c.curableAt(o.Place, cureChildren(d), FindingChildren, "directory %d counts %d entries, %d of them directories; there are %d and %d",
			d.id, o.Children, o.Subdirs, d.entries, d.subdirs)
	}
	return nil
}

// ref checks an entry that names an object under its id.
func (c *checker) ref(p place, r record.Ref) error {
	o, err := c.object(r.ID)
	switch {
	case err != nil:
		return err
	case o == nil || o.ID != r.ID || o.IsDir() != r.Dir:
		return c.curableAt(p, cureEntry(p, remedyOfLost(r)), FindingEntry, "the entry %q in directory %d names object %d, which is lost", p.Stored, p.Parent, r.ID)
	case r.Dir && o.Place != p:
		return c.curableAt(p, cureEntry(p, "the directory keeps one name"), FindingEntry, "the entry %q in directory %d names directory %d, which is elsewhere", p.Stored, p.Parent, r.ID)
	case r.Dir:
		return nil
	}
	value, err := c.v.read(record.NameKey(r.ID, p))
	if err == nil && value == nil {
		err = c.curableAt(p, cureEntry(p, "it is entered there"), FindingLinks, "the entry %q in directory %d is not among the names of file %d", p.Stored, p.Parent, r.ID)
	}
	return err
}

// embedded checks an object that lives in its entry.
func (c *checker) embedded(o *record.Object) error {
	if o.IsFree() {
		return c.curableAt(o.Place, cureEntry(o.Place, "it is put there"), FindingEntry, "the entry %q in directory %d has object %d in it, which belongs under its id",
			o.Place.Stored, o.Place.Parent, o.ID)
	}
	value, err := c.v.read(record.ObjectKey(o.ID))
	if err == nil && value != o.Place {
		err = c.curableAt(o.Place, cureEntry(o.Place, "its id leads to it, or it gets another"), FindingEntry, "object %d is not where its id leads", o.ID)
	}
	if readable(err) != nil {
		return err
	}
	return c.contentOf(o)
}

// placed checks where the id of an embedded object leads.
func (c *checker) placed(id uint64, p place) error {
	value, err := c.v.read(record.EntryKey(p))
	if o, ok := value.(*record.Object); err == nil && (!ok || o.ID != id) {
		err = c.curableAt(p, curePlaced(id), FindingObject, "object %d should be %q in directory %d and is not", id, p.Stored, p.Parent)
	}
	return err
}

// free checks an object that lives under its id.
func (c *checker) free(o *record.Object) error {
	err := c.contentOf(o)
	switch {
	case err != nil:
		return err
	case !o.IsDir():
		n, err := c.v.countKeys(record.NamePrefix(o.ID))
		if err == nil && (n != uint64(o.Links) || n == 0) {
			err = c.curable(cureLinks(o.ID), FindingLinks, "file %d counts %d names and has %d", o.ID, o.Links, n)
		}
		return err
	case c.roots[o.ID] == "":
		if err := readable(c.attached(o)); err != nil {
			return err
		}
	}
	has, err := c.v.hasKey(record.EntryPrefix(o.ID))
	if err == nil && o.Children > 0 && !has {
		err = c.curableAt(o.Place, cureChildren(dirCount{id: o.ID}), FindingChildren, "directory %d counts %d entries and has none", o.ID, o.Children)
	}
	return err
}

// attached checks that a directory, which is that of no bucket, is an entry of another, and that one in turn.
func (c *checker) attached(o *record.Object) error {
	value, err := c.v.read(record.EntryKey(o.Place))
	if err != nil {
		return err
	}
	if value != (record.Ref{ID: o.ID, Dir: true}) {
		return c.curable(cureDetached(o), FindingObject, "directory %d should be %q in directory %d and is not", o.ID, o.Place.Stored, o.Place.Parent)
	}
	return c.reachable(o)
}

// name checks one of the names of a file.
func (c *checker) name(id uint64, p place) error {
	value, err := c.v.read(record.EntryKey(p))
	if err == nil && value != (record.Ref{ID: id}) {
		err = c.curable(cureName(id, p), FindingLinks, "file %d should have the name %q in directory %d and has not", id, p.Stored, p.Parent)
	}
	if err != nil {
		return err
	}
	o, err := c.object(id)
	if err == nil && (o == nil || o.IsDir()) {
		err = c.curableAt(p, cureName(id, p), FindingObject, "file %d is lost and its name is left", id)
	}
	return err
}

// reachable reports a directory whose ancestors are a circle. That each is in the next is checked
// for each of them. A second finger, moved to where the first is at each power of two, meets it again.
func (c *checker) reachable(o *record.Object) error {
	start, finger := o.ID, o.ID
	for steps, power := 0, 1; ; steps++ {
		if steps == power {
			finger, power = o.ID, 2*power
		}
		id := o.Place.Parent
		parent, err := c.object(id)
		switch {
		case err != nil:
			return err
		case id == finger:
			return c.curable(cureCircle(start), FindingDirectory, "directory %d, %q, is within itself or in one that is", start, o.Place.Stored)
		case parent == nil || !parent.IsDir() || parent.Place.Parent == 0:
			return c.rootOf(start, parent)
		}
		o = parent
	}
}

// rootOf reports a directory at the top of whose ancestors no bucket is. One that is missing
// was reported with its entries.
func (c *checker) rootOf(start uint64, top *record.Object) error {
	if top == nil || !top.IsDir() || c.roots[top.ID] != "" {
		return nil
	}
	return c.found(FindingDirectory, "directory %d is below directory %d, which is that of no bucket", start, top.ID)
}

// contentOf checks the content of o.
func (c *checker) contentOf(o *record.Object) error {
	key := record.ObjectKey(o.ID)
	if !o.IsFree() {
		key = record.EntryKey(o.Place)
	}
	return c.content(key, o.Content, func(cure cure, kind FindingKind, text string) error {
		f := Finding{Kind: kind, Text: text}
		if p, ok, err := c.tree.placeOf(o); err == nil && ok {
			f.Bucket, f.Key = c.keyOf(p)
		}
		if f.Bucket == "" {
			f.Text = fmt.Sprintf("object %d: %s", o.ID, text)
		}
		return c.tell(f, cure)
	})
}
