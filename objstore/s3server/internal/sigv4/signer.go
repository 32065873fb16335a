package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"
)

type signingKey [sha256.Size]byte

// signer compares signatures with one key. It is safe for concurrent use.
type signer struct {
	key   signingKey // constant
	rooms sync.Pool  // of *room
}

// room is what one comparison works in. It is kept: to key a hash takes as long as to use it.
type room struct {
	mac  hash.Hash
	text []byte
	sum  []byte
}

func newSigner(key signingKey) *signer {
	s := &signer{key: key}
	s.rooms.New = func() any { return &room{mac: hmac.New(sha256.New, key[:])} }
	return s
}

// matches reports whether a request that was sent to path has the signature it claims.
func (s *signer) matches(a attempt, c canonical, path string) bool {
	r := s.rooms.Get().(*room)
	defer s.rooms.Put(r)
	r.text = c.append(r.text[:0], path)
	r.text = a.appendStringToSign(r.text[:0], sha256.Sum256(r.text))
	r.mac.Reset()
	r.mac.Write(r.text) // never fails
	r.sum = r.mac.Sum(r.sum[:0])
	r.text = hex.AppendEncode(r.text[:0], r.sum)
	return hmac.Equal(r.text, []byte(a.signature))
}

func deriveKey(secret string, c credential) signingKey {
	key := []byte("AWS4" + secret)
	for _, part := range []string{c.date, c.region, service, terminal} {
		key = hmacSHA256(key, part)
	}
	return signingKey(key)
}

func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text)) // never fails
	return h.Sum(nil)
}

func sign(key signingKey, stringToSign string) string {
	return hex.EncodeToString(hmacSHA256(key[:], stringToSign))
}
