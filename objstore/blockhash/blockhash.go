// Package blockhash is the content hash behind every ETag: xxh3-128 of the
// content up to 4 MiB; beyond, xxh3-128 of the concatenated digests of its
// 4 MiB blocks. So a change of one block needs that block's bytes and the
// other digests, not the other bytes. Holes count as zeros. Digests are
// big-endian, the seed is 0.
//
// It knows nothing of versions or ETags. A [Hasher] is not safe for concurrent use.
package blockhash

import (
	"github.com/zeebo/xxh3"
)

// BlockBytes is the size of a block.
const BlockBytes = 4 << 20

// Digest is a hash of bytes, or of digests.
type Digest [16]byte

// Of is the digest of p.
func Of(p []byte) Digest { return Digest(xxh3.Hash128(p).Bytes()) }

// Zeros is the digest of n zero bytes, n <= BlockBytes. That of a whole block,
// of which sparse files have many, is a constant.
func Zeros(n int64) Digest {
	if n == BlockBytes {
		return Digest{0x34, 0x00, 0x1a, 0xe2, 0xf9, 0x47, 0xe7, 0x73, 0x16, 0x5f, 0x45, 0x3a, 0x5f, 0x35, 0xc4, 0x59}
	}
	var h xxh3.Hasher
	var zeros [64 << 10]byte
	for n > 0 {
		part := min(n, int64(len(zeros)))
		h.Write(zeros[:part]) // never fails
		n -= part
	}
	return Digest(h.Sum128().Bytes())
}

// BlockCount is the number of blocks of a content of size bytes.
func BlockCount(size int64) int64 { return (size + BlockBytes - 1) / BlockBytes }

// Content is the content hash given the digests of all blocks in order; a
// content of at most one block has that block's digest, an empty one Of(nil).
func Content(blocks []Digest) Digest {
	switch len(blocks) {
	case 0:
		return Of(nil)
	case 1:
		return blocks[0]
	}
	var h xxh3.Hasher
	for i := range blocks {
		h.Write(blocks[i][:]) // never fails
	}
	return Digest(h.Sum128().Bytes())
}

// Hasher computes the block digests of a stream.
type Hasher struct {
	block  xxh3.Hasher
	filled int // bytes of the current block, < BlockBytes
	blocks []Digest
}

// Write adds bytes to the stream; it never fails.
func (h *Hasher) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		part := min(len(p), BlockBytes-h.filled)
		h.block.Write(p[:part]) // never fails
		h.filled += part
		p = p[part:]
		if h.filled == BlockBytes {
			h.closeBlock()
		}
	}
	return n, nil
}

func (h *Hasher) closeBlock() {
	h.blocks = append(h.blocks, Digest(h.block.Sum128().Bytes()))
	h.block.Reset()
	h.filled = 0
}

// Blocks are the digests of all blocks so far, the last one possibly short.
func (h *Hasher) Blocks() []Digest {
	blocks := h.blocks[:len(h.blocks):len(h.blocks)]
	if h.filled > 0 {
		blocks = append(blocks, Digest(h.block.Sum128().Bytes()))
	}
	return blocks
}

// Size is the number of bytes so far.
func (h *Hasher) Size() int64 { return int64(len(h.blocks))*BlockBytes + int64(h.filled) }

// Sum is the content hash of the stream so far.
func (h *Hasher) Sum() Digest { return Content(h.Blocks()) }

// Reset starts over.
func (h *Hasher) Reset() { *h = Hasher{blocks: h.blocks[:0:0]} }
