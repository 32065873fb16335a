package checksum

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"hash/crc32"
	"strings"

	"github.com/zeebo/xxh3"
)

// Algorithm is a checksum algorithm of S3. The list is closed; 0 is none.
type Algorithm uint8

// The algorithms.
const (
	CRC32 Algorithm = iota + 1
	CRC32C
	CRC64NVME
	SHA1
	SHA256
	SHA512
	MD5
	XXHASH64
	XXHASH3
	XXHASH128
	algorithmEnd
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Type says what a checksum is over.
type Type uint8

// The types.
const (
	FullObject Type = iota + 1 // the bytes
	Composite                  // the checksums of the parts
)

type algorithmRow struct {
	name, header string
	bytes        int
	composite    bool // allowed for multipart uploads
	full         bool // likewise
}

// algorithms is indexed by Algorithm.
var algorithms = [algorithmEnd]algorithmRow{
	CRC32:     {"CRC32", "x-amz-checksum-crc32", 4, true, true},
	CRC32C:    {"CRC32C", "x-amz-checksum-crc32c", 4, true, true},
	CRC64NVME: {"CRC64NVME", "x-amz-checksum-crc64nvme", 8, false, true},
	SHA1:      {"SHA1", "x-amz-checksum-sha1", 20, true, false},
	SHA256:    {"SHA256", "x-amz-checksum-sha256", 32, true, false},
	SHA512:    {"SHA512", "x-amz-checksum-sha512", 64, true, false},
	MD5:       {"MD5", "x-amz-checksum-md5", 16, true, false},
	XXHASH64:  {"XXHASH64", "x-amz-checksum-xxhash64", 8, true, false},
	XXHASH3:   {"XXHASH3", "x-amz-checksum-xxhash3", 8, true, false},
	XXHASH128: {"XXHASH128", "x-amz-checksum-xxhash128", 16, true, false},
}

// Algorithms lists all algorithms.
func Algorithms() []Algorithm {
	all := make([]Algorithm, 0, algorithmEnd-1)
	for a := Algorithm(1); a < algorithmEnd; a++ {
		all = append(all, a)
	}
	return all
}

// Parse finds an algorithm by its name, like CRC32C, in any case.
func Parse(name string) (Algorithm, bool) {
	for a := Algorithm(1); a < algorithmEnd; a++ {
		if strings.EqualFold(name, a.String()) {
			return a, true
		}
	}
	return 0, false
}

// OfHeader finds an algorithm by the header its value is in, in any case.
func OfHeader(header string) (Algorithm, bool) {
	for a := Algorithm(1); a < algorithmEnd; a++ {
		if strings.EqualFold(header, a.Header()) {
			return a, true
		}
	}
	return 0, false
}

// String is the name in S3's spelling.
func (a Algorithm) String() string { return a.row().name }

// Header is the lower-case name of the header a value is in.
func (a Algorithm) Header() string { return a.row().header }

// Bytes is the size of a digest.
func (a Algorithm) Bytes() int { return a.row().bytes }

func (a Algorithm) row() algorithmRow {
	if a >= algorithmEnd {
		return algorithms[0]
	}
	return algorithms[a]
}

// Allows reports whether a multipart upload may have a checksum of type t.
func (a Algorithm) Allows(t Type) bool {
	return t == FullObject && a.row().full || t == Composite && a.row().composite
}

// DefaultType is that of a multipart upload which asks for none.
func (a Algorithm) DefaultType() Type {
	if a.Allows(Composite) {
		return Composite
	}
	return FullObject
}

// New is a hash of the algorithm; its digests are big-endian.
func (a Algorithm) New() hash.Hash {
	switch a {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(castagnoli)
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	case SHA512:
		return sha512.New()
	case MD5:
		return md5.New()
	case XXHASH64:
		return newXXHash64()
	case XXHASH3:
		return xxh3.New()
	case XXHASH128:
		return xxh3.New128()
	default:
		return new(crc64NVME)
	}
}

// ParseType finds a type by its name in S3's spelling.
func ParseType(name string) (Type, bool) {
	for _, t := range []Type{FullObject, Composite} {
		if name == t.String() {
			return t, true
		}
	}
	return 0, false
}

// String is the name in S3's spelling.
func (t Type) String() string {
	switch t {
	case FullObject:
		return "FULL_OBJECT"
	case Composite:
		return "COMPOSITE"
	default:
		return ""
	}
}
