package staging

import (
	"github.com/zeebo/xxh3"

	"github.com/etagfs/etagfs/objstore/blockhash"
)

// stream hashes a block while it is written in order, across commits too:
// who appends never reads again what it wrote.
//
// INVARIANT: if active, the block's first filled bytes are those hashed.
type stream struct {
	active bool
	block  int64
	filled int64
	hash   *xxh3.Hasher // large, and small stages need none
}

// clone is the stream as it is now.
func (s *stream) clone() stream {
	if !s.active {
		return stream{}
	}
	c := *s
	hash := *s.hash
	c.hash = &hash
	return c
}

// begin starts block k.
func (s *stream) begin(k int64) {
	if s.hash == nil {
		s.hash = new(xxh3.Hasher)
	}
	s.hash.Reset()
	s.active, s.block, s.filled = true, k, 0
}

// wrote notes that p is now at off. A block that is complete gets its digest.
func (s *stream) wrote(v *view, p []byte, off int64) {
	for len(p) > 0 {
		k, at := off/blockBytes, off%blockBytes
		part := p[:min(int64(len(p)), blockBytes-at)]
		if at == 0 {
			s.begin(k)
		}
		s.part(v, k, at, part)
		p, off = p[len(part):], off+int64(len(part))
	}
}

// follow is wrote, but begins no block: who has little hashes it in the end.
func (s *stream) follow(v *view, p []byte, off int64) {
	if s.active && s.block*blockBytes+s.filled == off && s.filled > 0 {
		s.wrote(v, p, off)
		return
	}
	s.touch(off, off+int64(len(p)))
}

func (s *stream) part(v *view, k, at int64, p []byte) {
	if !s.active || s.block != k {
		return
	}
	if s.filled != at {
		s.active = s.filled < at
		return
	}
	s.hash.Write(p) // never fails
	s.filled += int64(len(p))
	if s.filled == blockBytes {
		b := v.blocks[k]
		b.digest, b.digestBytes = s.sum(), blockBytes
		s.active = false
	}
}

func (s *stream) sum() blockhash.Digest { return blockhash.Digest(s.hash.Sum128().Bytes()) }

// touch notes that [from, to) has changed in another way.
func (s *stream) touch(from, to int64) {
	start := s.block * blockBytes
	if from < start+s.filled && to > start {
		s.active = false
	}
}

// digest is that of the first n bytes of block k, if the stream has it.
func (s *stream) digest(k, n int64) (blockhash.Digest, bool) {
	if !s.active || s.block != k || s.filled != n || n == 0 {
		return blockhash.Digest{}, false
	}
	return s.sum(), true
}
