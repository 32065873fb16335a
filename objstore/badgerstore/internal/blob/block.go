package blob

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// SumBytes is how much content one checksum covers.
const SumBytes = 64 << 10

const (
	magicHead   = 0x6574616766734231 // "etagfsB1": the 1 is the format version
	magicFoot   = 0x6574616766734245 // "etagfsBE"
	magicFamily = 0x6574616766734200

	headBytes   = 48
	footBytes   = 24
	runBytes    = 16
	sumEntry    = 8
	digestEntry = 16
)

// Meta says what a blob was written for. With it a lost record can be rebuilt.
type Meta struct {
	Object  objstore.ID
	Version uint64
}

// run is n consecutive units from first on; units are sums' or digests' blocks.
type run struct{ first, n int64 }

// block is a checksum block: FORMAT.md has the table. Sums and digests lie in
// raw, which is kept as read: one of a large blob is large.
//
// INVARIANT: runs are ordered and do not touch.
type block struct {
	id        uint64
	meta      Meta
	dataBytes int64
	sumRuns   []run
	digRuns   []run
	sums      []byte // sumEntry each
	digests   []byte // digestEntry each
}

// encode is the block in bytes, and its checksum.
func (b *block) encode() (raw []byte, check uint64) {
	size := headBytes + runBytes*(len(b.sumRuns)+len(b.digRuns)) + len(b.sums) + len(b.digests) + footBytes
	raw = make([]byte, 0, size)
	for _, v := range []uint64{
		magicHead, b.id, uint64(b.meta.Object), b.meta.Version, uint64(b.dataBytes),
		uint64(len(b.sumRuns))<<32 | uint64(len(b.digRuns)),
	} {
		raw = binary.BigEndian.AppendUint64(raw, v)
	}
	for _, r := range slices.Concat(b.sumRuns, b.digRuns) {
		raw = binary.BigEndian.AppendUint64(raw, uint64(r.first))
		raw = binary.BigEndian.AppendUint64(raw, uint64(r.n))
	}
	raw = append(raw, b.sums...)
	raw = append(raw, b.digests...)
	raw = binary.BigEndian.AppendUint64(raw, uint64(size))
	check = xxh3.Hash(raw)
	raw = binary.BigEndian.AppendUint64(raw, check)
	return binary.BigEndian.AppendUint64(raw, magicFoot), check
}

// footLength is the length of the block that ends with these bytes.
func footLength(foot []byte) (int64, error) {
	if len(foot) != footBytes || binary.BigEndian.Uint64(foot[16:]) != magicFoot {
		return 0, corrupt("no checksum block")
	}
	n := binary.BigEndian.Uint64(foot)
	if n < headBytes+footBytes || n > 1<<40 {
		return 0, corrupt("checksum block of %d bytes", n)
	}
	return int64(n), nil
}

// decode takes a whole block apart and checks it.
func decode(raw []byte) (*block, uint64, error) {
	if len(raw) < headBytes+footBytes {
		return nil, 0, corrupt("checksum block of %d bytes", len(raw))
	}
	if n, err := footLength(raw[len(raw)-footBytes:]); err != nil || n != int64(len(raw)) {
		return nil, 0, corrupt("checksum block of %d bytes says %d", len(raw), n)
	}
	check := binary.BigEndian.Uint64(raw[len(raw)-16:])
	if xxh3.Hash(raw[:len(raw)-16]) != check {
		return nil, 0, corrupt("checksum block does not match its own checksum")
	}
	word := func(i int) uint64 { return binary.BigEndian.Uint64(raw[8*i:]) }
	if head := word(0); head != magicHead {
		if head&^0xff == magicFamily {
			return nil, 0, &objstore.Error{Op: "read blob", Kind: objstore.ErrNewerFormat}
		}
		return nil, 0, corrupt("no checksum block")
	}
	b := &block{
		id: word(1), meta: Meta{objstore.ID(word(2)), word(3)}, dataBytes: int64(word(4)),
	}
	return b, check, b.fill(raw[headBytes:len(raw)-footBytes], int(word(5)>>32), int(word(5)&0xffffffff))
}

// fill reads the runs and what they count.
func (b *block) fill(body []byte, sumRuns, digRuns int) error {
	if (sumRuns+digRuns)*runBytes > len(body) {
		return corrupt("checksum block with %d runs", sumRuns+digRuns)
	}
	var sums, digests int64
	b.sumRuns, sums = readRuns(body, sumRuns)
	b.digRuns, digests = readRuns(body[sumRuns*runBytes:], digRuns)
	rest := body[(sumRuns+digRuns)*runBytes:]
	if sums < 0 || digests < 0 || int64(len(rest)) != sums*sumEntry+digests*digestEntry {
		return corrupt("checksum block with %d checksums, %d digests", sums, digests)
	}
	b.sums, b.digests = rest[:sums*sumEntry:sums*sumEntry], rest[sums*sumEntry:]
	return nil
}

// readRuns reads n runs and the number of units in them; -1 if they make no sense.
func readRuns(b []byte, n int) (runs []run, units int64) {
	const unitMax = 1 << 40
	end := int64(-1)
	for i := range n {
		r := run{
			first: int64(binary.BigEndian.Uint64(b[i*runBytes:])),
			n:     int64(binary.BigEndian.Uint64(b[i*runBytes+8:])),
		}
		if r.first <= end || r.n <= 0 || r.first > unitMax || r.n > unitMax {
			return nil, -1
		}
		end = r.first + r.n
		units += r.n
		runs = append(runs, r)
	}
	return runs, units
}

// find is the index among all units of unit k of the runs.
func find(runs []run, k int64) (int64, bool) {
	index := int64(0)
	for _, r := range runs {
		if k < r.first+r.n {
			return index + k - r.first, k >= r.first
		}
		index += r.n
	}
	return 0, false
}

// sum is the checksum of content unit k.
func (b *block) sum(k int64) (uint64, bool) {
	i, ok := find(b.sumRuns, k)
	if !ok {
		return 0, false
	}
	return binary.BigEndian.Uint64(b.sums[i*sumEntry:]), true
}

// digest is that of 4 MiB block k of the content.
func (b *block) digest(k int64) (d blockhash.Digest, ok bool) {
	i, ok := find(b.digRuns, k)
	if ok {
		copy(d[:], b.digests[i*digestEntry:])
	}
	return d, ok
}

func corrupt(format string, args ...any) error {
	return &objstore.Error{Op: "read blob", Kind: objstore.ErrCorrupt, Detail: fmt.Sprintf(format, args...)}
}
