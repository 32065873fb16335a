package badgerstore

import (
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// upload checks that an upload belongs to a bucket, or has ended.
func (c *checker) upload(at []byte, u *record.Upload) error {
	root, key, number := record.ParseUploadKey(at)
	c.uploads[number] = true
	if c.roots[root] == "" && !u.Closed {
		return c.curable(cureUpload(at), FindingUpload, "the upload %s to %q is in no bucket", uploadID(number), key)
	}
	return nil
}

// part checks that a part belongs to an upload and that its bytes are there.
func (c *checker) part(key []byte, p *record.Part) error {
	upload, number := record.Number(key), record.PartNumber(key)
	if !c.uploads[upload] {
		return c.curable(curePart(key), FindingUpload, "part %d is of the upload %s, which is not there", number, uploadID(upload))
	}
	return c.content(key, p.Content, func(cure cure, kind FindingKind, text string) error {
		return c.curable(cure, kind, "part %d of the upload %s: %s", number, uploadID(upload), text)
	})
}

// document checks that a document belongs to a bucket.
func (c *checker) document(key []byte) error {
	if c.roots[record.Number(key)] == "" {
		return c.curable(cureDocument(key), FindingUpload, "the document %q is in no bucket", key[9:])
	}
	return nil
}

// layout checks that the parts are those of an object that has that many.
func (c *checker) layout(key []byte, l record.Layout) error {
	o, err := c.tree.object(record.Number(key))
	if err != nil {
		return readable(err)
	}
	end := record.LayoutChunk(key)*record.LayoutParts + len(l)
	last := len(l) < record.LayoutParts
	if o == nil || end > int(o.PartCount) || last && end != int(o.PartCount) {
		return c.curable(cureLayout(key), FindingUpload, "%d parts end at number %d of object %d, which has others", len(l), end, record.Number(key))
	}
	return nil
}

// partsOf checks that the parts of an object's content are there.
func (c *checker) partsOf(o *record.Object) error {
	for n := 0; n < int(o.PartCount); n += record.LayoutParts {
		value, err := c.v.read(record.LayoutKey(o.ID, n/record.LayoutParts))
		if _, ok := value.(record.Layout); err == nil && !ok {
			return c.curable(cureParts(o), FindingUpload, "object %d has %d parts, of which those from %d on are lost", o.ID, o.PartCount, n)
		}
		if readable(err) != nil {
			return err
		}
	}
	return nil
}
