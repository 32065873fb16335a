package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// emptyDigest is the SHA-256 of nothing, a fixed line of a chunk's string to sign.
const emptyDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Chain checks the signatures of chunks. Each is over the one before, so chunks
// can be neither left out nor reordered. It belongs to one body and is not safe for
// concurrent use.
type Chain struct {
	mac       hash.Hash // constant but for what is being signed
	accessKey string
	scope     string // time and scope lines
	previous  string // signature
}

func newChain(key signingKey, a attempt) *Chain {
	return &Chain{
		mac:       hmac.New(sha256.New, key[:]),
		accessKey: a.credential.accessKey,
		scope:     a.signed.Time.Format(timeFormat) + "\n" + a.credential.scope() + "\n",
		previous:  a.signature,
	}
}

// Chunk checks the signature of the next chunk, given the SHA-256 of its
// bytes: SignatureDoesNotMatch. The last chunk is empty and signed too.
func (c *Chain) Chunk(digest [sha256.Size]byte, signature string) error {
	return c.link("-PAYLOAD", emptyDigest+"\n"+hex.EncodeToString(digest[:]), signature)
}

// Trailer checks the signature of the trailer, given the SHA-256 of its lines,
// each "name:value\n".
func (c *Chain) Trailer(digest [sha256.Size]byte, signature string) error {
	return c.link("-TRAILER", hex.EncodeToString(digest[:]), signature)
}

func (c *Chain) link(kind, digests, signature string) error {
	text := algorithm + kind + "\n" + c.scope + c.previous + "\n" + digests
	c.mac.Reset()
	c.mac.Write([]byte(text)) // never fails
	want := hex.EncodeToString(c.mac.Sum(nil))
	if !hmac.Equal([]byte(want), []byte(signature)) {
		return signatureMismatch(c.accessKey, text, signature)
	}
	c.previous = want
	return nil
}
