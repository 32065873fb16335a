package objstore

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// Key names an object in a flat store: up to [KeyBytesMax] bytes, any bytes, compared
// and listed in byte order. "a//b" and "../x" are keys like any other.
type Key string

// KeyBytesMax is the longest key a client may create (S3 user guide, "Naming
// Amazon S3 objects"). Longer keys can come into being by renaming a
// directory; they are listed and served.
const KeyBytesMax = 1024

// NameBytesMax is the longest name of a directory entry (NAME_MAX).
const NameBytesMax = 255

// ObjectBytesMax is the largest object: 16 TiB.
const ObjectBytesMax = int64(16) << 40

// ID is the permanent identity of a file or directory within one store. It is
// never 0 and never reused. The filesystem shows it as st_ino.
type ID uint64

// Version names one content of one object. It is opaque and comparable; the
// empty Version means "none".
type Version string

// ETag is the entity tag of a content, unquoted.
type ETag string

// VersionOf is the Version of the store-wide commit number n: lower-case hex.
func VersionOf(n uint64) Version { return Version(strconv.FormatUint(n, 16)) }

// Number is the commit number behind a version made by [VersionOf].
func (v Version) Number() (n uint64, ok bool) {
	n, err := strconv.ParseUint(string(v), 16, 64)
	return n, err == nil && VersionOf(n) == v
}

// MakeETag joins a content hash and a version: 32 lower-case hex digits, "-v", the version.
// The shape is never that of an MD5, which some clients verify.
func MakeETag(hash [16]byte, v Version) ETag {
	var b strings.Builder
	b.Grow(2*len(hash) + 2 + len(v))
	var digits [32]byte
	hex.Encode(digits[:], hash[:])
	b.Write(digits[:])
	b.WriteString("-v")
	b.WriteString(string(v))
	return ETag(b.String())
}

// Split takes an ETag made by [MakeETag] apart.
func (e ETag) Split() (hash [16]byte, v Version, ok bool) {
	digits, version, found := strings.Cut(string(e), "-v")
	if !found || len(digits) != 32 || digits != strings.ToLower(digits) {
		return hash, "", false
	}
	if _, err := hex.Decode(hash[:], []byte(digits)); err != nil {
		return hash, "", false
	}
	v = Version(version)
	_, ok = v.Number()
	return hash, v, ok
}

// Content is what of an ETag tells the bytes apart: one made by [MakeETag] without its version, any other as it is.
func (e ETag) Content() ETag {
	if _, v, ok := e.Split(); ok {
		return e[:len(e)-len(v)]
	}
	return e
}
