package sst

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/dgraph-io/badger/v4/fb"
)

const (
	// lengthBytes is what a length or a count takes.
	lengthBytes = 4
	// headerBytes is what an entry begins with: how many bytes of its key are those of the first key, and how many are not.
	headerBytes = 4
	// versionBytes is what a key ends with.
	versionBytes = 8
	// A checksum is encoded as a tag and a number of up to 5 bytes.
	sumTag      = 0x10
	sumBytesMin = 2
	sumBytesMax = 6
	// blockBytesMax is more than a block has: one entry, and Badger keeps larger values elsewhere.
	blockBytesMax = 2 << 20
)

// body is what the checksum at the end of p is of, and whether it matches; nil if there is no checksum at the end of p.
func body(p []byte) (b []byte, whole bool) {
	sum, end := trailer(p)
	if end <= 0 {
		return nil, false
	}
	return p[:end], uint64(crc32.Checksum(p[:end], castagnoli())) == sum
}

// trailer is the checksum at the end of p, and where what it is of ends; 0: there is none.
func trailer(p []byte) (sum uint64, end int) {
	at := len(p) - lengthBytes
	if at < sumBytesMin {
		return 0, 0
	}
	n := int(binary.BigEndian.Uint32(p[at:]))
	if n < sumBytesMin || n > min(sumBytesMax, at) || p[at-n] != sumTag {
		return 0, 0
	}
	sum, used := binary.Uvarint(p[at-n+1 : at])
	if used != n-1 {
		return 0, 0
	}
	return sum, at - n
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// offsets are where the entries of a block begin; nil if they make no sense.
func offsets(b []byte) (all []int, end int) {
	at := len(b) - lengthBytes
	if at < 0 {
		return nil, 0
	}
	n := int(binary.BigEndian.Uint32(b[at:]))
	if n <= 0 || n > at/lengthBytes {
		return nil, 0
	}
	end = at - n*lengthBytes
	for i := range n {
		off := int(binary.LittleEndian.Uint32(b[end+i*lengthBytes:]))
		if off+headerBytes > end || i == 0 && off != 0 || i > 0 && off < all[i-1]+headerBytes {
			return nil, 0
		}
		all = append(all, off)
	}
	return all, end
}

// isBlock reports whether p is a whole block.
func isBlock(p []byte) bool {
	b, whole := body(p)
	all, _ := offsets(b)
	return whole && all != nil
}

// bounds are where the blocks of a table begin, and where the last ends. isAll is false if more may have followed.
func bounds(data []byte) (all []int, isAll bool) {
	if all := indexed(data); all != nil {
		return all, true
	}
	all = []int{0}
	for off := 0; off < len(data); {
		n := firstBlock(data[off:])
		if n == 0 {
			n = beforeBlock(data[off:])
		}
		off += n
		all = append(all, off)
	}
	if _, begin, _ := indexOf(data); len(all) > 2 && begin == all[len(all)-2] {
		return all[:len(all)-1], true
	}
	return all, false
}

// indexed are the bounds of which the index tells; nil if it is damaged.
func indexed(data []byte) (all []int) {
	defer func() {
		if recover() != nil { // its checksum is right, and it is none
			all = nil
		}
	}()
	b, _, whole := indexOf(data)
	if !whole {
		return nil
	}
	index := fb.GetRootAsTableIndex(b, 0)
	for i := range index.OffsetsLength() {
		var block fb.BlockOffset
		index.Offsets(&block, i)
		all = append(all, int(block.Offset()))
		if i == index.OffsetsLength()-1 {
			all = append(all, int(block.Offset()+block.Len()))
		}
	}
	for i, off := range all {
		if off > len(data) || i == 0 && off != 0 || i > 0 && off <= all[i-1] {
			return nil
		}
	}
	return all
}

// indexOf is the index of a table and where it begins; 0: that makes no sense. From the end: the length of its checksum, that, the length of the index, that.
func indexOf(data []byte) (index []byte, begin int, whole bool) {
	sum, end := trailer(data)
	at := end - lengthBytes
	if at < 0 {
		return nil, 0, false
	}
	begin = at - int(binary.BigEndian.Uint32(data[at:]))
	if begin <= 0 || begin >= at {
		return nil, 0, false
	}
	index = data[begin:at]
	return index, begin, uint64(crc32.Checksum(index, castagnoli())) == sum
}

// firstBlock is the length of the whole block that p begins with; 0: there is none.
func firstBlock(p []byte) int {
	for end := lengthBytes + 1; end <= min(len(p), blockBytesMax); end++ {
		if _, at := trailer(p[:end]); at > 0 && isBlock(p[:end]) {
			return end
		}
	}
	return 0
}

// beforeBlock is how much of p is before the first checksum that a whole block follows, or all.
func beforeBlock(p []byte) int {
	for end := lengthBytes + 1; end < len(p); end++ {
		if _, at := trailer(p[:end]); at > 0 && firstBlock(p[end:]) > 0 {
			return end
		}
	}
	return len(p)
}
