package checksum

import (
	"fmt"
	"hash"
	"strings"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// Assembly makes the checksum of a multipart object from those of its parts.
type Assembly struct {
	algorithm Algorithm // constant
	composite hash.Hash // over the digests of the parts; nil for a full-object checksum
	digest    string    // of the bytes so far, for a full-object checksum
	parts     int
}

// NewAssembly begins a checksum of type t: InvalidRequest if a does not allow it.
func NewAssembly(a Algorithm, t Type) (*Assembly, error) {
	if !a.Allows(t) {
		return nil, s3code.InvalidRequest.With(fmt.Sprintf("The %v checksum type cannot be used with the %s checksum algorithm.",
			t, strings.ToLower(a.String())))
	}
	m := &Assembly{algorithm: a}
	if t == Composite {
		m.composite = a.New()
	}
	return m, nil
}

// Add puts a part of so many bytes behind the others: InvalidRequest if its checksum is of another kind.
func (m *Assembly) Add(part Value, bytes int64) error {
	if part.Algorithm != m.algorithm || part.Type != FullObject {
		return MismatchedType(m.algorithm, part.Algorithm)
	}
	m.parts++
	switch {
	case m.composite != nil:
		m.composite.Write([]byte(part.Digest)) // never fails
	case m.parts == 1:
		m.digest = part.Digest
	default:
		m.digest = Combine(m.algorithm, m.digest, part.Digest, bytes)
	}
	return nil
}

// Sum is the checksum of all parts.
func (m *Assembly) Sum() Value {
	if m.composite != nil {
		return Value{Algorithm: m.algorithm, Type: Composite, Digest: string(m.composite.Sum(nil)), Parts: m.parts}
	}
	return Value{Algorithm: m.algorithm, Type: FullObject, Digest: m.digest}
}

// MismatchedType is the refusal of a part whose checksum is not of the
// algorithm its upload was created with; 0 is none.
func MismatchedType(expected, actual Algorithm) error {
	name := func(a Algorithm) string {
		if a == 0 {
			return "null"
		}
		return strings.ToLower(a.String())
	}
	return s3code.InvalidRequest.With(fmt.Sprintf("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
		name(expected), name(actual)))
}
