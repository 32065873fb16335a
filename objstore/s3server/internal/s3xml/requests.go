package s3xml

import "github.com/etagfs/etagfs/objstore/s3server/internal/checksum"

// Delete is the request to delete many objects.
type Delete struct {
	Objects []ObjectIdentifier
	Quiet   bool // only what failed is told
}

// ObjectIdentifier is an object to be deleted, and its conditions as they were
// sent. ETag is a condition only if it is not empty.
type ObjectIdentifier struct {
	Key              string
	VersionID        string
	ETag             string
	Size             string
	LastModifiedTime string
}

func (*Delete) root() string { return "Delete" }

func (d *Delete) fill(n *node) error {
	f := fieldsOf(n)
	d.Quiet = f.truth("Quiet")
	for _, child := range f.many("Object") {
		o := fieldsOf(child)
		d.Objects = append(d.Objects, ObjectIdentifier{
			Key: o.required("Key"), VersionID: o.text("VersionId"), ETag: o.text("ETag"), Size: o.text("Size"),
			LastModifiedTime: o.text("LastModifiedTime"),
		})
		if err := o.done(); err != nil {
			return err
		}
	}
	return f.done()
}

// CompleteMultipartUpload names the parts an object is made of.
type CompleteMultipartUpload struct {
	Parts []CompletedPart
}

// CompletedPart is one of them. A part has at most one checksum.
type CompletedPart struct {
	PartNumber int
	ETag       string
	Checksum   Checksum
}

func (*CompleteMultipartUpload) root() string { return "CompleteMultipartUpload" }

func (c *CompleteMultipartUpload) fill(n *node) error {
	f := fieldsOf(n)
	for _, child := range f.many("Part") {
		p := fieldsOf(child)
		part := CompletedPart{PartNumber: p.integer("PartNumber"), ETag: p.required("ETag"), Checksum: p.checksum()}
		if err := p.done(); err != nil {
			return err
		}
		c.Parts = append(c.Parts, part)
	}
	return f.done()
}

// checksum is the one of ten elements that is there.
func (f *fields) checksum() (found Checksum) {
	for _, a := range checksum.Algorithms() {
		text := f.text(checksumElement(a))
		if text == "" {
			continue
		}
		if found.Text != "" {
			f.fail()
		}
		found = Checksum{Algorithm: a, Text: text}
	}
	return found
}

// CreateBucketConfiguration says where a bucket shall be.
type CreateBucketConfiguration struct {
	LocationConstraint string
	Tags               []Tag
	Directory          bool // Bucket or Location ask for a directory bucket
}

func (*CreateBucketConfiguration) root() string { return "CreateBucketConfiguration" }

func (c *CreateBucketConfiguration) fill(n *node) (err error) {
	f := fieldsOf(n)
	c.LocationConstraint = f.text("LocationConstraint")
	bucket, location := f.one("Bucket"), f.one("Location")
	c.Directory = bucket != nil || location != nil
	if tags := f.one("Tags"); tags != nil {
		if c.Tags, err = fillTags(tags); err != nil {
			return err
		}
	}
	return f.done()
}

// Tagging is the tags of an object or a bucket.
type Tagging struct {
	TagSet []Tag
}

// Tag is one of them.
type Tag struct{ Key, Value string }

func (*Tagging) root() string { return "Tagging" }

func (t *Tagging) fill(n *node) (err error) {
	f := fieldsOf(n)
	set := f.one("TagSet")
	if set == nil {
		return malformed(nil)
	}
	if t.TagSet, err = fillTags(set); err != nil {
		return err
	}
	return f.done()
}

func fillTags(n *node) (tags []Tag, err error) {
	f := fieldsOf(n)
	for _, child := range f.many("Tag") {
		t := fieldsOf(child)
		tags = append(tags, Tag{Key: t.required("Key"), Value: t.required("Value")})
		if err := t.done(); err != nil {
			return nil, err
		}
	}
	return tags, f.done()
}

// VersioningConfiguration says whether a bucket keeps versions. Status is "Enabled", "Suspended" or, where it never was, empty.
type VersioningConfiguration struct {
	Status    string
	MFADelete string
}

func (*VersioningConfiguration) root() string { return "VersioningConfiguration" }

func (v *VersioningConfiguration) fill(n *node) error {
	f := fieldsOf(n)
	v.Status, v.MFADelete = f.text("Status"), f.text("MfaDelete")
	if v.Status != "Enabled" && v.Status != "Suspended" {
		f.fail()
	}
	return f.done()
}

// CORSConfiguration says which pages of other sites may use a bucket.
type CORSConfiguration struct {
	Rules []CORSRule
}

// CORSRule is one rule of it.
type CORSRule struct {
	ID             string
	AllowedHeaders []string
	AllowedMethods []string
	AllowedOrigins []string
	ExposeHeaders  []string
	MaxAgeSeconds  int // 0: not said
}

func (*CORSConfiguration) root() string { return "CORSConfiguration" }

func (c *CORSConfiguration) fill(n *node) error {
	f := fieldsOf(n)
	for _, child := range f.many("CORSRule") {
		r := fieldsOf(child)
		c.Rules = append(c.Rules, CORSRule{
			ID: r.text("ID"), AllowedHeaders: r.texts("AllowedHeader"), AllowedMethods: r.texts("AllowedMethod"),
			AllowedOrigins: r.texts("AllowedOrigin"), ExposeHeaders: r.texts("ExposeHeader"), MaxAgeSeconds: r.number("MaxAgeSeconds"),
		})
		if err := r.done(); err != nil {
			return err
		}
	}
	if len(c.Rules) == 0 {
		f.fail()
	}
	return f.done()
}
