package objstore

import "strings"

// Headers are the HTTP headers S3 keeps with an object and gives back word for word. They
// describe the content to clients and mean nothing to a store. Like the content type, they stay
// when the content is changed through a [Namespace].
type Headers struct {
	CacheControl       string
	ContentDisposition string
	ContentEncoding    string
	ContentLanguage    string
	Expires            string
	WebsiteRedirect    string // never taken over by a copy
}

// Checksum is one a client sent or asked for, as S3 shows it. A store keeps it and does not look into it.
type Checksum struct {
	Algorithm string // "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", ...; empty: there is none
	Value     string // base64; of a composite checksum followed by "-" and the number of parts
}

// IsComposite reports whether c is a checksum of the parts' checksums. One that is not is of the whole content.
func (c Checksum) IsComposite() bool { return strings.Contains(c.Value, "-") }

// Digests are what a client is told about one content. They never outlive it: whatever changes
// the content drops them, unless it brings its own.
type Digests struct {
	ETag     ETag // shown in place of the store's own; empty: that of [MakeETag]
	Checksum Checksum
}

// Cause says which of several reasons for one [Kind] a failure has, where a caller answers them
// differently. It stands as the cause of an [*Error]: errors.Is(err, objstore.NoSuchUpload). The list is closed.
type Cause uint8

// The causes, with the kind each comes with.
const (
	NoSuchUpload  Cause = iota + 1 // ErrNotFound: no upload of that key and id is open
	NoSuchPart                     // ErrInvalid: a part to be assembled was never put, was put again since, or comes out of order
	KeyChanged                     // ErrConflict: the key was written or deleted since the upload began; only a new upload helps
	WriteIDReused                  // ErrInvalid: the write id belongs to another request
	OffsetMoved                    // ErrRange: the object does not end at the offset of an append
)

// Error is the cause in words.
func (c Cause) Error() string {
	switch c {
	case NoSuchUpload:
		return "there is no such upload"
	case NoSuchPart:
		return "a part is missing, changed or out of order"
	case KeyChanged:
		return "the key was changed since the upload began"
	case WriteIDReused:
		return "the write id was used for another request"
	case OffsetMoved:
		return "the object does not end there"
	default:
		return "unclassified cause"
	}
}
