package objstore

import (
	"context"
	"io"
	"slices"
	"time"
)

// UploadID names a multipart upload within its bucket. Of two uploads of one key the later has the greater id.
type UploadID string

// PartNumberMax is the highest number of a part; the lowest is 1.
const PartNumberMax = 10_000

// UploadOptions describe the object an upload will make, and what its parts carry.
type UploadOptions struct {
	Durability  Durability
	ContentType string
	UserMeta    map[string]string
	Headers     Headers
	Tags        map[string]string
	Attr        *NewAttr // as in [PutOptions]
	// ChecksumAlgorithm and ChecksumType are the client's announcement, in the words of S3
	// ("CRC32", "COMPOSITE"). They are kept and given back; the caller enforces them.
	ChecksumAlgorithm string
	ChecksumType      string
}

// Upload is a multipart upload that was begun and neither completed nor aborted.
type Upload struct {
	Key       Key
	ID        UploadID
	Initiated time.Time
	Options   UploadOptions
}

// Part is one part of an upload, or of an object that was assembled from parts.
type Part struct {
	Number   int
	Size     int64
	ETag     ETag // tells contents of a part apart; see [Digests]
	Checksum Checksum
	Modified time.Time // zero in the parts of an object
}

// PartOptions qualify a part. Length, LengthKnown and Finish are those of [PutOptions].
type PartOptions struct {
	Durability  Durability
	Length      int64
	LengthKnown bool
	Finish      func() (Digests, error)
}

// CopyPartRequest makes a range of an object a part, moving no bytes where the store can.
type CopyPartRequest struct {
	Src        Key
	SrcBucket  string // as in [CopyRequest]
	SrcCond    Cond
	Offset     int64
	Length     int64 // -1: to the end; a range that is not within the source is ErrRange
	Key        Key
	ID         UploadID
	Number     int
	Digests    Digests // of the part
	Durability Durability
}

// CompletedPart names a part to be assembled. ETag is what makes sure that it is the one meant, or one with the same bytes: who
// sent a part twice, as the first answer was late, may name it by either.
type CompletedPart struct {
	Number int
	ETag   ETag
}

// CompleteRequest makes the parts the content of the key, in ascending order of their numbers.
// Parts that are not named are dropped.
type CompleteRequest struct {
	Key        Key
	ID         UploadID
	Parts      []CompletedPart
	Cond       Cond
	Digests    Digests // of the object
	Durability Durability
}

// Contents are the parts by number and [ETag.Content].
func (r CompleteRequest) Contents() []CompletedPart {
	parts := slices.Clone(r.Parts)
	for i := range parts {
		parts[i].ETag = parts[i].ETag.Content()
	}
	return parts
}

// UploadListOptions select uploads. They come by key in byte order, and by id within a key.
type UploadListOptions struct {
	Prefix    Key
	Delimiter string
	AfterKey  Key      // only keys and common prefixes > AfterKey,
	AfterID   UploadID // and, if not empty, uploads of AfterKey itself with a greater id
	Max       int      // <= 0: 1000
}

// UploadListEntry is an upload, or a common prefix if Prefix is true (then only Upload.Key counts).
type UploadListEntry struct {
	Prefix bool
	Upload Upload
}

// UploadPage is one page of a listing of uploads.
type UploadPage struct {
	Entries []UploadListEntry
	More    bool
}

// PartPage is a page of the parts of an upload, ascending by number.
type PartPage struct {
	Upload Upload
	Parts  []Part
	More   bool
}

// Uploads are multipart uploads into a bucket: what a [Store] whose [Capabilities] claim Multipart
// implements besides. An upload is invisible to every other method until it is complete. It and
// its parts are as durable as the calls that made them asked for, and go with their bucket.
//
// An upload that is not open is ErrNotFound with the cause [NoSuchUpload], which is told before anything else.
type Uploads interface {
	CreateUpload(ctx context.Context, key Key, opt UploadOptions) (Upload, error)
	// PutPart reads body to its end and then makes it part number of the upload, in place of an
	// earlier part of that number. A body that fails leaves what was there.
	PutPart(ctx context.Context, key Key, id UploadID, number int, body io.Reader, opt PartOptions) (Part, error)
	// CopyPart is PutPart with the bytes of an object; a lost source condition is reported as by Copy.
	CopyPart(ctx context.Context, req CopyPartRequest) (Part, error)
	// ListParts lists the parts with numbers > after; max <= 0 means 1000.
	ListParts(ctx context.Context, key Key, id UploadID, after, max int) (PartPage, error)
	ListUploads(ctx context.Context, opt UploadListOptions) (UploadPage, error)
	// CompleteUpload assembles the object in one atomic step that moves no bytes, and ends the upload.
	//
	// In this order: the upload must be open; the parts must be there, with ETags of the same [ETag.Content]
	// ([NoSuchPart]); Cond must hold; and unless Cond is Unconditional, the
	// key must not have changed since the upload was created: ErrConflict with the cause
	// [KeyChanged]. It has if the object there now is of another version than the one that was
	// there then, or if an object with that key went away in between, be it by a
	// delete or by a rename of itself or of a directory above it. A change of attributes or
	// tags is none.
	//
	// A failure leaves the upload as it was. A completion whose reply was lost may be asked for again:
	// for a day a request for the same key, id and parts, as [CompleteRequest.Contents] has them, gets the same answer, whatever its condition.
	CompleteUpload(ctx context.Context, req CompleteRequest) (Info, error)
	// AbortUpload ends an upload and drops its parts. Parts still being put fail.
	AbortUpload(ctx context.Context, key Key, id UploadID, d Durability) error
	// AbortUploadsBefore ends all uploads created before t and returns how many.
	AbortUploadsBefore(ctx context.Context, t time.Time) (int, error)
	// Parts tells of which parts the current content of key was assembled, and describes the
	// object as it is at that moment; there are none if the content came in another way.
	Parts(ctx context.Context, key Key, cond Cond) (Info, []Part, error)
}
