package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// Options are what a [Verifier] depends on.
type Options struct {
	// Region is the only one accepted, or empty for any.
	Region string
	// Secret finds the secret key of an access key.
	Secret func(accessKey string) (secret string, ok bool)
	// Now is the clock.
	Now func() time.Time
}

// Verifier checks signatures.
type Verifier struct {
	options Options // constant

	mu   sync.Mutex
	keys map[keyScope]*signer // guarded by mu; at most keysMax
}

// keyScope is what a signing key depends on. The secret is part of it, so that
// a changed one takes effect at once.
type keyScope struct{ secret, date, region string }

// keysMax bounds the cache; a key lives for a day and a region.
const keysMax = 1024

// New makes a verifier.
func New(o Options) *Verifier {
	return &Verifier{options: o, keys: make(map[keyScope]*signer)}
}

// Source says where a signature was found.
type Source uint8

// The sources.
const (
	Anonymous Source = iota // nowhere
	Header                  // the Authorization header
	Query                   // a presigned URL
	PostForm                // the fields of a POST form
)

// Signed is what a verified request is known by.
type Signed struct {
	Source    Source
	AccessKey string // empty for Anonymous
	Region    string
	Time      time.Time // of signing
	Payload   Payload
	Digest    [sha256.Size]byte // of the body, for PayloadDigest
	Chain     *Chain            // of the chunks, for the signed streaming modes

	headers []string // that are signed, lower-case
}

// Covers reports whether the signature covers a header, absent or present.
func (s *Signed) Covers(header string) bool {
	return slices.Contains(s.headers, strings.ToLower(header))
}

const (
	algorithm    = "AWS4-HMAC-SHA256"
	algorithmV4A = "AWS4-ECDSA-P256-SHA256"
	timeFormat   = "20060102T150405Z"
	dateFormat   = "20060102"
	skewMax      = 15 * time.Minute
)

// Verify finds the signature of r and checks it. A request without one is
// Anonymous; whether that is allowed is for the caller to say.
func (v *Verifier) Verify(r *http.Request) (*Signed, error) {
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	authorization := r.Header.Values("Authorization")
	presigned := q.presigned()
	switch {
	case len(authorization) > 1, len(authorization) == 1 && presigned:
		return nil, argument("Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "+
			"Signature query string parameter or the Authorization header should be specified", authorization[0])
	case presigned:
		return v.verifyQuery(r, q)
	case len(authorization) == 1 && authorization[0] != "":
		return v.verifyHeader(r, q, authorization[0])
	case q.has("Signature") && q.has("AWSAccessKeyId"):
		return nil, s3code.InvalidRequest.With(unsupportedV2)
	}
	return verifyAnonymous(r)
}

func verifyAnonymous(r *http.Request) (*Signed, error) {
	s := &Signed{Source: Anonymous, Payload: PayloadUnsigned}
	text := r.Header.Get(contentSHA256)
	if text == "" {
		return s, nil
	}
	if err := s.setPayload(text); err != nil {
		return nil, err
	}
	if s.Payload.SignedChunks() {
		return nil, s3code.InvalidRequest.With("Anonymous requests don't support this x-amz-content-sha256 value. " +
			"Please use UNSIGNED-PAYLOAD or STREAMING-UNSIGNED-PAYLOAD-TRAILER.")
	}
	return s, nil
}

// attempt is a request that claims to be signed, taken apart but not verified.
type attempt struct {
	signed      *Signed
	credential  credential
	signature   string
	payloadText string // last line of the canonical request
}

// check compares the signature, and gives the chunks their chain.
func (v *Verifier) check(r *http.Request, q query, a attempt) (*Signed, error) {
	secret, ok := v.options.Secret(a.credential.accessKey)
	if !ok {
		return nil, s3code.InvalidAccessKeyId.With("", s3code.Detail{Name: "AWSAccessKeyId", Value: a.credential.accessKey})
	}
	if missing := unsignedHeaders(r, a.signed); len(missing) > 0 {
		return nil, s3code.AccessDenied.With("There were headers present in the request which were not signed",
			s3code.Detail{Name: "HeadersNotSigned", Value: strings.Join(missing, ", ")})
	}
	key := v.signer(secret, a.credential)
	c := canonical{request: r, query: q, headers: a.signed.headers, payload: a.payloadText}
	if !v.matches(key, a, c) {
		return nil, mismatch(a, c)
	}
	if a.signed.Payload.SignedChunks() {
		a.signed.Chain = newChain(key.key, a)
	}
	return a.signed, nil
}

func (v *Verifier) matches(key *signer, a attempt, c canonical) bool {
	for _, path := range canonicalPaths(c.request.URL) {
		if key.matches(a, c, path) {
			return true
		}
	}
	return false
}

// appendStringToSign writes what the signature of a canonical request is made of.
func (a attempt) appendStringToSign(b []byte, digest [sha256.Size]byte) []byte {
	b = append(append(b, algorithm...), '\n')
	b = append(a.signed.Time.AppendFormat(b, timeFormat), '\n')
	b = append(a.credential.appendScope(b), '\n')
	return hex.AppendEncode(b, digest[:])
}

// mismatch tells the client what should have been signed: all of it is its own request.
func mismatch(a attempt, c canonical) *s3code.Error {
	text := c.append(nil, canonicalPaths(c.request.URL)[0])
	return signatureMismatch(a.credential.accessKey, string(a.appendStringToSign(nil, sha256.Sum256(text))), a.signature,
		s3code.Detail{Name: "CanonicalRequest", Value: string(text)})
}

func signatureMismatch(accessKey, stringToSign, provided string, more ...s3code.Detail) *s3code.Error {
	details := []s3code.Detail{
		{Name: "AWSAccessKeyId", Value: accessKey},
		{Name: "StringToSign", Value: stringToSign},
		{Name: "SignatureProvided", Value: provided},
	}
	return s3code.SignatureDoesNotMatch.With("", append(details, more...)...)
}

// signer derives the key of a scope, or finds it derived.
func (v *Verifier) signer(secret string, c credential) *signer {
	scope := keyScope{secret, c.date, c.region}
	v.mu.Lock()
	defer v.mu.Unlock()
	if known := v.keys[scope]; known != nil {
		return known
	}
	if len(v.keys) >= keysMax {
		clear(v.keys)
	}
	s := newSigner(deriveKey(secret, c))
	v.keys[scope] = s
	return s
}
