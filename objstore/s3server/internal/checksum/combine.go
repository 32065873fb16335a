package checksum

import (
	"encoding/binary"
	"hash/crc32"
)

// field is the polynomials modulo that of a CRC, reflected: the highest bit of
// a number is the coefficient of x^0. Its register has width bits.
type field struct {
	poly  uint64
	width uint
}

// fieldOf is the field of a CRC; the width is 0 for other algorithms.
func fieldOf(a Algorithm) field {
	switch a {
	case CRC32:
		return field{crc32.IEEE, 32}
	case CRC32C:
		return field{crc32.Castagnoli, 32}
	case CRC64NVME:
		return field{crc64Poly, 64}
	default:
		return field{}
	}
}

// multiply is a times b.
func (f field) multiply(a, b uint64) uint64 {
	var product uint64
	for ; a != 0; a <<= 1 {
		product ^= b & -(a >> (f.width - 1) & 1)
		b = b>>1 ^ f.poly&-(b&1)
	}
	return product
}

// shift is crc times x^(8*n): what n zero bytes do to a register.
func (f field) shift(crc uint64, n int64) uint64 {
	power := uint64(1) << (f.width - 1 - 8) // x^8
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			crc = f.multiply(power, crc)
		}
		power = f.multiply(power, power)
	}
	return crc
}

// Combine is the CRC digest of two runs of bytes, from theirs and the length
// of the right one. It is empty for algorithms that cannot do that.
func Combine(a Algorithm, left, right string, rightBytes int64) string {
	f := fieldOf(a)
	if f.width == 0 {
		return ""
	}
	return f.digest(f.shift(f.register(left), rightBytes) ^ f.register(right))
}

func (f field) register(digest string) uint64 {
	var b [8]byte
	copy(b[8-f.width/8:], digest)
	return binary.BigEndian.Uint64(b[:])
}

func (f field) digest(crc uint64) string {
	b := binary.BigEndian.AppendUint64(nil, crc)
	return string(b[8-f.width/8:])
}
