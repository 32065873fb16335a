package checksum

import (
	"encoding/binary"
	"math/bits"
)

// The primes of XXH64.
const (
	prime1 uint64 = 11400714785074694791
	prime2 uint64 = 14029467366897019727
	prime3 uint64 = 1609587929392839161
	prime4 uint64 = 9650029242287828579
	prime5 uint64 = 2870177450012600261
)

const stripeBytes = 32

// xxHash64 is XXH64 with seed 0, a hash.Hash.
type xxHash64 struct {
	lanes  [4]uint64
	total  uint64
	stripe [stripeBytes]byte // the bytes after the last whole stripe
	filled int
}

func newXXHash64() *xxHash64 {
	h := &xxHash64{}
	h.Reset()
	return h
}

// Reset starts anew.
func (h *xxHash64) Reset() {
	p1, p2 := prime1, prime2 // variables, as their sum overflows
	*h = xxHash64{lanes: [4]uint64{p1 + p2, p2, 0, -p1}}
}

// Size is that of the digest.
func (h *xxHash64) Size() int { return 8 }

// BlockSize is what Write likes to get.
func (h *xxHash64) BlockSize() int { return stripeBytes }

// Write adds bytes; it never fails.
func (h *xxHash64) Write(p []byte) (int, error) {
	n := len(p)
	h.total += uint64(n)
	if h.filled > 0 {
		copied := copy(h.stripe[h.filled:], p)
		h.filled += copied
		p = p[copied:]
		if h.filled < stripeBytes {
			return n, nil
		}
		h.consume(h.stripe[:])
		h.filled = 0
	}
	p = h.consume(p)
	h.filled = copy(h.stripe[:], p)
	return n, nil
}

// consume takes whole stripes and returns the rest.
func (h *xxHash64) consume(p []byte) []byte {
	a, b, c, d := h.lanes[0], h.lanes[1], h.lanes[2], h.lanes[3]
	for len(p) >= stripeBytes {
		a = xxRound(a, binary.LittleEndian.Uint64(p[0:8]))
		b = xxRound(b, binary.LittleEndian.Uint64(p[8:16]))
		c = xxRound(c, binary.LittleEndian.Uint64(p[16:24]))
		d = xxRound(d, binary.LittleEndian.Uint64(p[24:32]))
		p = p[stripeBytes:]
	}
	h.lanes = [4]uint64{a, b, c, d}
	return p
}

func xxRound(lane, input uint64) uint64 {
	return bits.RotateLeft64(lane+input*prime2, 31) * prime1
}

// Sum appends the digest.
func (h *xxHash64) Sum(b []byte) []byte {
	sum := prime5
	if h.total >= stripeBytes {
		l := h.lanes
		sum = bits.RotateLeft64(l[0], 1) + bits.RotateLeft64(l[1], 7) + bits.RotateLeft64(l[2], 12) + bits.RotateLeft64(l[3], 18)
		for _, lane := range l {
			sum = (sum^xxRound(0, lane))*prime1 + prime4
		}
	}
	return binary.BigEndian.AppendUint64(b, xxFinish(sum+h.total, h.stripe[:h.filled]))
}

func xxFinish(sum uint64, p []byte) uint64 {
	for ; len(p) >= 8; p = p[8:] {
		sum = bits.RotateLeft64(sum^xxRound(0, binary.LittleEndian.Uint64(p)), 27)*prime1 + prime4
	}
	if len(p) >= 4 {
		sum = bits.RotateLeft64(sum^uint64(binary.LittleEndian.Uint32(p))*prime1, 23)*prime2 + prime3
		p = p[4:]
	}
	for _, c := range p {
		sum = bits.RotateLeft64(sum^uint64(c)*prime5, 11) * prime1
	}
	sum = (sum ^ sum>>33) * prime2
	sum = (sum ^ sum>>29) * prime3
	return sum ^ sum>>32
}
