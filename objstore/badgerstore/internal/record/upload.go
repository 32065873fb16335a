package record

import (
	"encoding/binary"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// The keys of what only an S3 server uses. A store that has one says so in its FORMAT.
const (
	TagDocument = 'D' // bucket root, name -> a text
	TagLayout   = 'L' // object, number -> Layout: sizes of the parts of its content
	TagUpload   = 'U' // bucket root, key, 0, number -> Upload
	TagPart     = 'V' // number of the upload, number of the part -> Part
)

// DocumentKey is the key of a document of the bucket with the given root. Its
// value is encoded as that of a payload.
func DocumentKey(root uint64, name string) []byte {
	return append(idKey(TagDocument, root, len(name)), name...)
}

// DocumentPrefix begins the keys of all documents of a bucket.
func DocumentPrefix(root uint64) []byte { return idKey(TagDocument, root, 0) }

// UploadKey is the key of an upload. Those of one object's key are in the order of their numbers.
func UploadKey(root uint64, key string, number uint64) []byte {
	return binary.BigEndian.AppendUint64(UploadsOfKey(root, key), number)
}

// UploadsOfKey begins the keys of all uploads to one object's key, and those of some others.
func UploadsOfKey(root uint64, key string) []byte {
	return append(UploadPrefix(root, key), 0)
}

// UploadPrefix begins the keys of all uploads to keys with a prefix.
func UploadPrefix(root uint64, prefix string) []byte {
	return append(idKey(TagUpload, root, len(prefix)+9), prefix...)
}

// AllUploads begins the keys of all uploads.
func AllUploads() []byte { return []byte{TagUpload} }

// ParseUploadKey takes the key of an upload apart.
func ParseUploadKey(k []byte) (root uint64, key string, number uint64) {
	end := len(k) - 8
	return Number(k), string(k[9 : end-1]), binary.BigEndian.Uint64(k[end:])
}

// PartKey is the key of a part of an upload.
func PartKey(upload uint64, number int) []byte {
	return binary.BigEndian.AppendUint32(idKey(TagPart, upload, 4), uint32(number))
}

// PartPrefix begins the keys of all parts of an upload.
func PartPrefix(upload uint64) []byte { return idKey(TagPart, upload, 0) }

// PartNumber is the number of the part in its key.
func PartNumber(key []byte) int { return int(binary.BigEndian.Uint32(key[9:])) }

// LayoutKey is the key of one of the records about the parts of an object.
func LayoutKey(object uint64, chunk int) []byte {
	return binary.BigEndian.AppendUint32(idKey(TagLayout, object, 4), uint32(chunk))
}

// LayoutChunk is the number of a layout's record, in its key.
func LayoutChunk(key []byte) int { return int(binary.BigEndian.Uint32(key[9:])) }

// Upload is a multipart upload.
type Upload struct {
	Initiated time.Time
	Options   objstore.UploadOptions
	Was       uint64 // version of the object at the key when it began; 0: there was none
	Gone      bool   // an object at the key went away since
	Closed    bool   // completed or aborted: what is left of it is being removed
	Parts     uint64 // a number that is new with every change of the parts
}

const (
	tagAlgorithm    = 0x50
	tagChecksumType = 0x51
	tagHasAttr      = 0x52
	tagGone         = 0x53
	tagClosed       = 0x54
	tagParts        = 0x55
	tagPartETag     = 0x56
	tagPartNumber   = 0x57
	tagPartSize     = 0x58
	tagPartChecksum = 0x59
)

// EncodeUpload is the value of an upload.
func EncodeUpload(key []byte, u *Upload) []byte {
	e := newEncoder(kindUpload)
	e.time(tagModified, u.Initiated)
	o := &u.Options
	e.uint(tagVersion, u.Was)
	if a := o.Attr; a != nil {
		e.flag(tagHasAttr, true)
		e.uint(tagMode, uint64(a.Mode))
		e.uint(tagUID, uint64(a.UID))
		e.uint(tagGID, uint64(a.GID))
	}
	e.string(tagContentType, o.ContentType)
	pairs(e, tagUserMeta, o.UserMeta)
	e.string(tagAlgorithm, o.ChecksumAlgorithm)
	e.string(tagChecksumType, o.ChecksumType)
	e.flag(tagGone, u.Gone)
	e.flag(tagClosed, u.Closed)
	e.uint(tagParts, u.Parts)
	headers(e, o.Headers)
	pairs(e, tagTag, o.Tags)
	return e.finish(key, nil)
}

// DecodeUpload is the reverse of EncodeUpload.
func DecodeUpload(key, value []byte) (*Upload, error) {
	body, err := openAs(kindUpload, key, value)
	if err != nil {
		return nil, err
	}
	u := &Upload{}
	var attr objstore.NewAttr
	_, err = fields(key, body, func(f *field) bool {
		switch f.tag {
		case tagModified:
			u.Initiated = f.time()
		case tagVersion:
			u.Was = f.uint()
		case tagHasAttr:
			u.Options.Attr = &attr
		case tagMode:
			attr.Mode = f.uint32()
		case tagUID:
			attr.UID = f.uint32()
		case tagGID:
			attr.GID = f.uint32()
		case tagGone:
			u.Gone = true
		case tagClosed:
			u.Closed = true
		case tagParts:
			u.Parts = f.uint()
		default:
			return uploadOption(&u.Options, f)
		}
		return true
	})
	return u, err
}

func uploadOption(o *objstore.UploadOptions, f *field) bool {
	switch f.tag {
	case tagContentType:
		o.ContentType = f.string()
	case tagUserMeta:
		putString(&o.UserMeta, f)
	case tagAlgorithm:
		o.ChecksumAlgorithm = f.string()
	case tagChecksumType:
		o.ChecksumType = f.string()
	case tagHeader:
		header(&o.Headers, f)
	case tagTag:
		putString(&o.Tags, f)
	default:
		return false
	}
	return true
}

// Part is a part of an upload.
type Part struct {
	ID       uint64 // new whenever a part is put; the lineage of its content, and its only version
	Content  Content
	ETag     string
	Checksum objstore.Checksum
	Modified time.Time
}

// EncodePart is the value of a part.
func EncodePart(key []byte, p *Part) []byte {
	e := newEncoder(kindPart)
	e.uint(tagID, p.ID)
	e.content(&p.Content)
	e.time(tagModified, p.Modified)
	e.string(tagPartETag, p.ETag)
	e.checksum(p.Checksum)
	return e.finish(key, nil)
}

func (e *encoder) checksum(c objstore.Checksum) {
	if c != (objstore.Checksum{}) {
		e.pair(tagPartChecksum, c.Algorithm, []byte(c.Value))
	}
}

func (f *field) checksum() objstore.Checksum {
	name, value := f.pair()
	return objstore.Checksum{Algorithm: name, Value: string(value)}
}

// DecodePart is the reverse of EncodePart.
func DecodePart(key, value []byte) (*Part, error) {
	body, err := openAs(kindPart, key, value)
	if err != nil {
		return nil, err
	}
	p := &Part{}
	_, err = fields(key, body, func(f *field) bool {
		switch f.tag {
		case tagID:
			p.ID = f.uint()
		case tagModified:
			p.Modified = f.time()
		case tagPartETag:
			p.ETag = f.string()
		case tagPartChecksum:
			p.Checksum = f.checksum()
		default:
			return p.Content.field(f)
		}
		return true
	})
	if err == nil && p.ID == 0 {
		err = corrupt(key, "a part without a number of its own")
	}
	return p, err
}

// LayoutParts is how many parts one record of a layout has at the most.
const LayoutParts = 100

// Layout is some of the parts an object's content was assembled from, in order.
type Layout []objstore.Part

// EncodeLayout is the value of a layout: numbers, sizes and checksums.
func EncodeLayout(key []byte, l Layout) []byte {
	e := newEncoder(kindLayout)
	for _, p := range l {
		e.uint(tagPartNumber, uint64(p.Number)) // begins a part
		e.uint(tagPartSize, uint64(p.Size))
		e.checksum(p.Checksum)
	}
	return e.finish(key, nil)
}

// DecodeLayout is the reverse of EncodeLayout.
func DecodeLayout(key, value []byte) (l Layout, err error) {
	body, err := openAs(kindLayout, key, value)
	if err != nil {
		return nil, err
	}
	_, err = fields(key, body, func(f *field) bool {
		if f.tag == tagPartNumber {
			l = append(l, objstore.Part{Number: int(f.uint32())})
			return true
		}
		if len(l) == 0 {
			return false
		}
		switch last := &l[len(l)-1]; f.tag {
		case tagPartSize:
			last.Size = f.int()
		case tagPartChecksum:
			last.Checksum = f.checksum()
		default:
			return false
		}
		return true
	})
	return l, err
}

// headerFields are the headers by the names under which they are stored.
func headerFields(h *objstore.Headers) map[string]*string {
	return map[string]*string{
		"cache-control":       &h.CacheControl,
		"content-disposition": &h.ContentDisposition,
		"content-encoding":    &h.ContentEncoding,
		"content-language":    &h.ContentLanguage,
		"expires":             &h.Expires,
		"website-redirect":    &h.WebsiteRedirect,
	}
}

func headers(e *encoder, h objstore.Headers) {
	if h == (objstore.Headers{}) {
		return
	}
	set := map[string]string{}
	for name, value := range headerFields(&h) {
		if *value != "" {
			set[name] = *value
		}
	}
	pairs(e, tagHeader, set)
}

func header(h *objstore.Headers, f *field) {
	name, value := f.pair()
	if at := headerFields(h)[name]; at != nil {
		*at = string(value)
		return
	}
	f.bad = true
}
