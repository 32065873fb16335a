package s3xml

import (
	"strconv"
	"time"
)

// DeleteResult says what became of each object.
type DeleteResult struct {
	Deleted []Deleted
	Errors  []DeleteError
}

// Deleted is an object that is gone.
type Deleted struct{ Key, VersionID string }

// DeleteError is an object that was not deleted, and why.
type DeleteError struct{ Key, VersionID, Code, Message string }

func (r *DeleteResult) write(w *writer) {
	w.within("DeleteResult", func() {
		for _, d := range r.Deleted {
			w.open("Deleted")
			w.text("Key", d.Key)
			w.given("VersionId", d.VersionID)
			w.close("Deleted")
		}
		for _, e := range r.Errors {
			w.open("Error")
			w.text("Key", e.Key)
			w.given("VersionId", e.VersionID)
			w.text("Code", e.Code)
			w.text("Message", e.Message)
			w.close("Error")
		}
	})
}

// CopyObjectResult is the copy.
type CopyObjectResult struct {
	ETag         string // quoted
	LastModified time.Time
	Checksum     Checksum
}

func (r *CopyObjectResult) write(w *writer) {
	w.within("CopyObjectResult", func() { w.copied(r.ETag, r.LastModified, r.Checksum) })
}

// CopyPartResult is the part that was copied.
type CopyPartResult struct {
	ETag         string // quoted
	LastModified time.Time
	Checksum     Checksum
}

func (r *CopyPartResult) write(w *writer) {
	sum := Checksum{Algorithm: r.Checksum.Algorithm, Text: r.Checksum.Text} // parts show no type
	w.within("CopyPartResult", func() { w.copied(r.ETag, r.LastModified, sum) })
}

func (w *writer) copied(etag string, modified time.Time, sum Checksum) {
	w.text("ETag", etag)
	w.time("LastModified", modified)
	w.checksum(sum)
}

// InitiateMultipartUploadResult names the upload.
type InitiateMultipartUploadResult struct{ Bucket, Key, UploadID string }

func (r *InitiateMultipartUploadResult) write(w *writer) {
	w.within("InitiateMultipartUploadResult", func() {
		w.text("Bucket", r.Bucket)
		w.text("Key", r.Key)
		w.text("UploadId", r.UploadID)
	})
}

// CompleteMultipartUploadResult is the object that was made.
type CompleteMultipartUploadResult struct {
	Location string
	Bucket   string
	Key      string
	ETag     string // quoted
	Checksum Checksum
}

func (r *CompleteMultipartUploadResult) write(w *writer) {
	w.within("CompleteMultipartUploadResult", func() {
		w.text("Location", r.Location)
		w.text("Bucket", r.Bucket)
		w.text("Key", r.Key)
		w.text("ETag", r.ETag)
		w.checksum(r.Checksum)
	})
}

// GetObjectAttributesOutput is those attributes of an object that were asked for.
type GetObjectAttributesOutput struct {
	ETag         string // not quoted; empty: not asked for
	Checksum     Checksum
	ObjectParts  *ObjectParts
	StorageClass string
	ObjectSize   *int64
}

// ObjectParts is a page of the parts an object was made of.
type ObjectParts struct {
	TotalPartsCount      int
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	IsTruncated          bool
	Parts                []Part
}

func (r *GetObjectAttributesOutput) write(w *writer) {
	w.within("GetObjectAttributesOutput", func() {
		w.given("ETag", r.ETag)
		if r.Checksum.Algorithm != 0 {
			w.open("Checksum")
			w.checksum(r.Checksum)
			w.close("Checksum")
		}
		if r.ObjectParts != nil {
			w.objectParts(r.ObjectParts)
		}
		w.given("StorageClass", r.StorageClass)
		if r.ObjectSize != nil {
			w.number("ObjectSize", *r.ObjectSize)
		}
	})
}

func (w *writer) objectParts(p *ObjectParts) {
	w.open("ObjectParts")
	w.number("PartsCount", int64(p.TotalPartsCount))
	w.number("PartNumberMarker", int64(p.PartNumberMarker))
	w.number("NextPartNumberMarker", int64(p.NextPartNumberMarker))
	w.number("MaxParts", int64(p.MaxParts))
	w.truth("IsTruncated", p.IsTruncated)
	for _, part := range p.Parts {
		w.part("Part", part)
	}
	w.close("ObjectParts")
}

// LocationConstraint is where a bucket is; the default region is empty.
type LocationConstraint struct{ Region string }

func (r *LocationConstraint) write(w *writer) {
	w.within("LocationConstraint", func() { w.b = appendEscaped(w.b, r.Region) })
}

func (v *VersioningConfiguration) write(w *writer) {
	w.within("VersioningConfiguration", func() {
		w.given("Status", v.Status)
		w.given("MfaDelete", v.MFADelete)
	})
}

func (t *Tagging) write(w *writer) {
	w.within("Tagging", func() {
		w.open("TagSet")
		for _, tag := range t.TagSet {
			w.open("Tag")
			w.text("Key", tag.Key)
			w.text("Value", tag.Value)
			w.close("Tag")
		}
		w.close("TagSet")
	})
}

func (c *CORSConfiguration) write(w *writer) {
	w.within("CORSConfiguration", func() {
		for _, r := range c.Rules {
			w.corsRule(r)
		}
	})
}

func (w *writer) corsRule(r CORSRule) {
	w.open("CORSRule")
	w.given("ID", r.ID)
	for _, list := range []struct {
		name   string
		values []string
	}{
		{"AllowedHeader", r.AllowedHeaders}, {"AllowedMethod", r.AllowedMethods},
		{"AllowedOrigin", r.AllowedOrigins}, {"ExposeHeader", r.ExposeHeaders},
	} {
		for _, value := range list.values {
			w.text(list.name, value)
		}
	}
	if r.MaxAgeSeconds > 0 {
		w.text("MaxAgeSeconds", strconv.Itoa(r.MaxAgeSeconds))
	}
	w.close("CORSRule")
}

// PostResponse is the object a form made.
type PostResponse struct{ Location, Bucket, Key, ETag string }

func (r *PostResponse) write(w *writer) {
	w.open("PostResponse")
	w.text("Location", r.Location)
	w.text("Bucket", r.Bucket)
	w.text("Key", r.Key)
	w.text("ETag", r.ETag)
	w.close("PostResponse")
}
