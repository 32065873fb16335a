package checksum

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"io"
	"slices"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// Hashes computes several checksums of one stream of bytes. It is not safe for concurrent use.
type Hashes struct {
	algorithms []Algorithm // constant
	hashes     []hash.Hash // by the same index
	bytes      int64
}

// NewHashes computes the given algorithms; what is given twice is computed once.
func NewHashes(algorithms ...Algorithm) *Hashes {
	h := &Hashes{}
	for _, a := range algorithms {
		if !slices.Contains(h.algorithms, a) {
			h.algorithms = append(h.algorithms, a)
			h.hashes = append(h.hashes, a.New())
		}
	}
	return h
}

// Write adds bytes; it never fails. They are taken in pieces, so that each is
// still in the processor's cache when the next algorithm comes to it.
func (h *Hashes) Write(p []byte) (int, error) {
	const pieceBytes = 64 << 10
	n := len(p)
	h.bytes += int64(n)
	for len(p) > 0 {
		piece := p[:min(len(p), pieceBytes)]
		for _, each := range h.hashes {
			each.Write(piece) // never fails
		}
		p = p[len(piece):]
	}
	return n, nil
}

// Reader hashes what is read from r.
func (h *Hashes) Reader(r io.Reader) io.Reader { return io.TeeReader(r, h) }

// Bytes is how many bytes there were.
func (h *Hashes) Bytes() int64 { return h.bytes }

// Sum is the checksum so far; it has no digest if a is not computed.
func (h *Hashes) Sum(a Algorithm) Value {
	v := Value{Algorithm: a, Type: FullObject}
	if i := slices.Index(h.algorithms, a); i >= 0 {
		v.Digest = string(h.hashes[i].Sum(nil))
	}
	return v
}

// Verify compares a full-object checksum with that of the bytes: BadDigest. A checksum
// that is not computed does not match.
func (h *Hashes) Verify(v Value) error {
	if v != h.Sum(v.Algorithm) || v.Digest == "" {
		return badDigest(v.Algorithm)
	}
	return nil
}

// VerifyMD5 compares the digest of Content-MD5: BadDigest.
func (h *Hashes) VerifyMD5(digest string) error {
	sum := h.Sum(MD5).Digest
	if sum == digest && sum != "" {
		return nil
	}
	text := func(digest string) string { return base64.StdEncoding.EncodeToString([]byte(digest)) }
	return s3code.BadDigest.With("",
		s3code.Detail{Name: "ExpectedDigest", Value: text(digest)}, s3code.Detail{Name: "CalculatedDigest", Value: text(sum)})
}

// VerifySHA256 compares the signed digest of the body: XAmzContentSHA256Mismatch.
func (h *Hashes) VerifySHA256(digest [sha256.Size]byte) error {
	sum := h.Sum(SHA256).Digest
	if sum == string(digest[:]) {
		return nil
	}
	return s3code.XAmzContentSHA256Mismatch.With("",
		s3code.Detail{Name: "ClientComputedContentSHA256", Value: hex.EncodeToString(digest[:])},
		s3code.Detail{Name: "S3ComputedContentSHA256", Value: hex.EncodeToString([]byte(sum))})
}
