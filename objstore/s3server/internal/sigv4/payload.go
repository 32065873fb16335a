package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

const contentSHA256 = "X-Amz-Content-Sha256"

// Payload says how the body is sent and what of it is signed.
type Payload uint8

// The payload modes.
const (
	PayloadDigest          Payload = iota // plain, its SHA-256 is signed
	PayloadUnsigned                       // plain, not signed
	PayloadSigned                         // aws-chunked, each chunk signed
	PayloadSignedTrailer                  // aws-chunked, each chunk and the trailer signed
	PayloadUnsignedTrailer                // aws-chunked with a trailer, not signed
)

// String is the mode as x-amz-content-sha256 says it; empty for PayloadDigest.
func (p Payload) String() string {
	switch p {
	case PayloadUnsigned:
		return "UNSIGNED-PAYLOAD"
	case PayloadSigned:
		return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	case PayloadSignedTrailer:
		return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	case PayloadUnsignedTrailer:
		return "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	default:
		return ""
	}
}

// Chunked reports whether the body is aws-chunked.
func (p Payload) Chunked() bool { return p >= PayloadSigned }

// SignedChunks reports whether each chunk carries a signature.
func (p Payload) SignedChunks() bool { return p == PayloadSigned || p == PayloadSignedTrailer }

// Trailer reports whether a trailer follows the chunks.
func (p Payload) Trailer() bool { return p == PayloadSignedTrailer || p == PayloadUnsignedTrailer }

// setPayload understands a value of x-amz-content-sha256.
func (s *Signed) setPayload(text string) error {
	for p := PayloadUnsigned; p <= PayloadUnsignedTrailer; p++ {
		if text == p.String() {
			s.Payload = p
			return nil
		}
	}
	if strings.HasPrefix(text, "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD") {
		return unsupportedV4A("x-amz-content-sha256")
	}
	digest, err := hex.DecodeString(text)
	if err != nil || len(digest) != sha256.Size {
		return s3code.InvalidRequest.With("The value of x-amz-content-sha256 header is invalid.")
	}
	s.Payload, s.Digest = PayloadDigest, [sha256.Size]byte(digest)
	return nil
}
