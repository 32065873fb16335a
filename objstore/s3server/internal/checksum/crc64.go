package checksum

import "encoding/binary"

const (
	crc64Poly  = 0x9a6c9329ac4bc9b5 // CRC-64/NVME, reflected
	laneBytes  = 5 << 10
	crc64Lane  = 0x2cc7e54efe6f92fe // x^(8*laneBytes)
	crc64Lanes = 0x4af88923d6c91aee // x^(2*8*laneBytes)
)

// crc64NVME is a hash.Hash. The register is kept inverted, as the zero value is then the start.
type crc64NVME struct{ sum uint64 }

// Write adds bytes; it never fails.
func (c *crc64NVME) Write(p []byte) (int, error) {
	c.sum = ^updateCRC64(^c.sum, p)
	return len(p), nil
}

// Sum appends the digest.
func (c *crc64NVME) Sum(b []byte) []byte { return binary.BigEndian.AppendUint64(b, c.sum) }

// Reset starts anew.
func (c *crc64NVME) Reset() { c.sum = 0 }

// Size is that of the digest.
func (c *crc64NVME) Size() int { return 8 }

// BlockSize is what Write likes to get.
func (c *crc64NVME) BlockSize() int { return 8 }

// updateCRC64 feeds p to the register. The steps of one CRC wait for each
// other, so long input goes through three registers at once, to be joined:
// nearly twice as fast.
func updateCRC64(crc uint64, p []byte) uint64 {
	for len(p) >= 3*laneBytes {
		crc = crc64Block(crc, p[:3*laneBytes])
		p = p[3*laneBytes:]
	}
	for len(p) >= 8 {
		crc = stepCRC64(crc ^ binary.LittleEndian.Uint64(p))
		p = p[8:]
	}
	for _, b := range p {
		crc = crc64Table[0][byte(crc)^b] ^ crc>>8
	}
	return crc
}

func crc64Block(crc uint64, p []byte) uint64 {
	a, b, c := p[:laneBytes], p[laneBytes:2*laneBytes], p[2*laneBytes:3*laneBytes]
	var crcB, crcC uint64
	for len(a) >= 8 && len(b) >= 8 && len(c) >= 8 {
		crc = stepCRC64(crc ^ binary.LittleEndian.Uint64(a))
		crcB = stepCRC64(crcB ^ binary.LittleEndian.Uint64(b))
		crcC = stepCRC64(crcC ^ binary.LittleEndian.Uint64(c))
		a, b, c = a[8:], b[8:], c[8:]
	}
	f := fieldOf(CRC64NVME)
	return f.multiply(crc64Lanes, crc) ^ f.multiply(crc64Lane, crcB) ^ crcC
}

// stepCRC64 moves the register on by eight bytes.
func stepCRC64(crc uint64) uint64 {
	return crc64Table[7][crc&0xff] ^ crc64Table[6][crc>>8&0xff] ^ crc64Table[5][crc>>16&0xff] ^ crc64Table[4][crc>>24&0xff] ^
		crc64Table[3][crc>>32&0xff] ^ crc64Table[2][crc>>40&0xff] ^ crc64Table[1][crc>>48&0xff] ^ crc64Table[0][crc>>56]
}
