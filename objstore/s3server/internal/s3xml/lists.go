package s3xml

import "time"

// ListAllMyBucketsResult lists buckets.
type ListAllMyBucketsResult struct {
	Owner             Owner
	Buckets           []Bucket
	ContinuationToken string // of the next page
	Prefix            string
}

// Bucket is one of them.
type Bucket struct {
	Name         string
	CreationDate time.Time
	BucketRegion string
}

func (r *ListAllMyBucketsResult) write(w *writer) {
	w.within("ListAllMyBucketsResult", func() {
		w.owner("Owner", r.Owner)
		w.open("Buckets")
		for _, b := range r.Buckets {
			w.open("Bucket")
			w.text("Name", b.Name)
			w.time("CreationDate", b.CreationDate)
			w.given("BucketRegion", b.BucketRegion)
			w.close("Bucket")
		}
		w.close("Buckets")
		w.given("ContinuationToken", r.ContinuationToken)
		w.given("Prefix", r.Prefix)
	})
}

// Object is an object in a list.
type Object struct {
	Key               string
	LastModified      time.Time
	ETag              string // quoted
	ChecksumAlgorithm string
	ChecksumType      string
	Size              int64
	Owner             *Owner // nil: not shown
	StorageClass      string
	Description       *string // nil: not shown
}

func (w *writer) objects(all []Object) {
	for i := range all {
		w.open("Contents")
		w.object(&all[i])
		w.close("Contents")
	}
}

func (w *writer) object(o *Object) {
	w.text("Key", o.Key)
	w.time("LastModified", o.LastModified)
	w.text("ETag", o.ETag)
	w.given("ChecksumAlgorithm", o.ChecksumAlgorithm)
	w.given("ChecksumType", o.ChecksumType)
	w.number("Size", o.Size)
	if o.Owner != nil {
		w.owner("Owner", *o.Owner)
	}
	w.given("StorageClass", o.StorageClass)
	w.description(o.Description)
}

// ListBucketResult is a page of the first version of ListObjects. Keys and
// prefixes are encoded by the caller.
type ListBucketResult struct {
	Name           string
	Prefix         string
	Marker         string
	NextMarker     string
	MaxKeys        int
	Delimiter      string
	EncodingType   string
	IsTruncated    bool
	Contents       []Object
	CommonPrefixes []CommonPrefix
}

func (r *ListBucketResult) write(w *writer) {
	w.within("ListBucketResult", func() {
		w.text("Name", r.Name)
		w.text("Prefix", r.Prefix)
		w.text("Marker", r.Marker)
		w.given("NextMarker", r.NextMarker)
		w.number("MaxKeys", int64(r.MaxKeys))
		w.given("Delimiter", r.Delimiter)
		w.given("EncodingType", r.EncodingType)
		w.truth("IsTruncated", r.IsTruncated)
		w.objects(r.Contents)
		w.prefixes(r.CommonPrefixes)
	})
}

// ListBucketResultV2 is a page of the second version of ListObjects.
type ListBucketResultV2 struct {
	Name                  string
	Prefix                string
	StartAfter            string
	ContinuationToken     string
	NextContinuationToken string
	KeyCount              int
	MaxKeys               int
	Delimiter             string
	EncodingType          string
	IsTruncated           bool
	Contents              []Object
	CommonPrefixes        []CommonPrefix
}

func (r *ListBucketResultV2) write(w *writer) {
	w.within("ListBucketResult", func() {
		w.text("Name", r.Name)
		w.text("Prefix", r.Prefix)
		w.given("StartAfter", r.StartAfter)
		w.given("ContinuationToken", r.ContinuationToken)
		w.given("NextContinuationToken", r.NextContinuationToken)
		w.number("KeyCount", int64(r.KeyCount))
		w.number("MaxKeys", int64(r.MaxKeys))
		w.given("Delimiter", r.Delimiter)
		w.given("EncodingType", r.EncodingType)
		w.truth("IsTruncated", r.IsTruncated)
		w.objects(r.Contents)
		w.prefixes(r.CommonPrefixes)
	})
}

// ListMultipartUploadsResult is a page of the uploads in progress.
type ListMultipartUploadsResult struct {
	Bucket             string
	KeyMarker          string
	UploadIDMarker     string
	NextKeyMarker      string
	NextUploadIDMarker string
	Prefix             string
	Delimiter          string
	EncodingType       string
	MaxUploads         int
	IsTruncated        bool
	Uploads            []Upload
	CommonPrefixes     []CommonPrefix
}

// Upload is one of them.
type Upload struct {
	Key               string
	UploadID          string
	Initiator         Owner
	Owner             Owner
	StorageClass      string
	Initiated         time.Time
	ChecksumAlgorithm string
	ChecksumType      string
}

func (r *ListMultipartUploadsResult) write(w *writer) {
	w.within("ListMultipartUploadsResult", func() {
		w.text("Bucket", r.Bucket)
		w.text("KeyMarker", r.KeyMarker)
		w.text("UploadIdMarker", r.UploadIDMarker)
		w.given("NextKeyMarker", r.NextKeyMarker)
		w.given("NextUploadIdMarker", r.NextUploadIDMarker)
		w.given("Prefix", r.Prefix)
		w.given("Delimiter", r.Delimiter)
		w.given("EncodingType", r.EncodingType)
		w.number("MaxUploads", int64(r.MaxUploads))
		w.truth("IsTruncated", r.IsTruncated)
		for _, u := range r.Uploads {
			w.upload(u)
		}
		w.prefixes(r.CommonPrefixes)
	})
}

func (w *writer) upload(u Upload) {
	w.open("Upload")
	w.text("Key", u.Key)
	w.text("UploadId", u.UploadID)
	w.owner("Initiator", u.Initiator)
	w.owner("Owner", u.Owner)
	w.given("StorageClass", u.StorageClass)
	w.time("Initiated", u.Initiated)
	w.given("ChecksumAlgorithm", u.ChecksumAlgorithm)
	w.given("ChecksumType", u.ChecksumType)
	w.close("Upload")
}

// ListPartsResult is a page of the parts of an upload.
type ListPartsResult struct {
	Bucket               string
	Key                  string
	UploadID             string
	EncodingType         string
	Initiator            Owner
	Owner                Owner
	StorageClass         string
	ChecksumAlgorithm    string
	ChecksumType         string
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	IsTruncated          bool
	Parts                []Part
}

// Part is a part of an upload or of an object.
type Part struct {
	PartNumber   int
	LastModified time.Time // zero: not shown
	ETag         string    // quoted; empty: not shown
	Size         int64
	Checksum     Checksum
}

func (w *writer) part(name string, p Part) {
	w.open(name)
	w.number("PartNumber", int64(p.PartNumber))
	w.time("LastModified", p.LastModified)
	w.given("ETag", p.ETag)
	w.number("Size", p.Size)
	w.checksum(Checksum{Algorithm: p.Checksum.Algorithm, Text: p.Checksum.Text}) // parts show no type
	w.close(name)
}

func (r *ListPartsResult) write(w *writer) {
	w.within("ListPartsResult", func() {
		w.text("Bucket", r.Bucket)
		w.text("Key", r.Key)
		w.text("UploadId", r.UploadID)
		w.given("EncodingType", r.EncodingType)
		w.owner("Initiator", r.Initiator)
		w.owner("Owner", r.Owner)
		w.given("StorageClass", r.StorageClass)
		w.given("ChecksumAlgorithm", r.ChecksumAlgorithm)
		w.given("ChecksumType", r.ChecksumType)
		w.number("PartNumberMarker", int64(r.PartNumberMarker))
		w.number("NextPartNumberMarker", int64(r.NextPartNumberMarker))
		w.number("MaxParts", int64(r.MaxParts))
		w.truth("IsTruncated", r.IsTruncated)
		for _, p := range r.Parts {
			w.part("Part", p)
		}
	})
}
