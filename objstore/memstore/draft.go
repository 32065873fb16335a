package memstore

import (
	"maps"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// draft is a content being written: a base and the chunks changed since. It is
// not safe for concurrent use.
type draft struct {
	size   int64
	chunks map[int64][]byte
	shared bool           // chunks belongs to a content: clone before changing it
	own    map[int64]bool // chunks that belong to this draft alone
	// blocks are digests left from the base; those of stale ones do not count. It
	// never reaches beyond the smallest size since the base, so what was cut off and
	// grown again is hashed again.
	blocks []blockhash.Digest
	stale  map[int64]bool
	// prefix is how many leading bytes are certainly those of the base.
	prefix int64
}

func newDraft(base *content) *draft {
	d := &draft{}
	d.rebase(base)
	return d
}

// rebase makes c what d has written nothing to yet.
func (d *draft) rebase(c *content) {
	*d = draft{
		size: c.size, chunks: c.chunks, shared: true, own: map[int64]bool{},
		blocks: c.blocks, stale: map[int64]bool{}, prefix: c.size,
	}
}

// freeze is the content as it is now. The draft goes on with it as its base,
// except that prefix still counts from the former one.
func (d *draft) freeze() *content {
	count := blockhash.BlockCount(d.size)
	blocks := make([]blockhash.Digest, count)
	copy(blocks, d.blocks)
	var zeros *blockhash.Digest
	for b := range count {
		if b < int64(len(d.blocks)) && !d.stale[b] {
			continue
		}
		if d.isHole(b) {
			if zeros == nil {
				digest := blockhash.Zeros(blockhash.BlockBytes)
				zeros = &digest
			}
			blocks[b] = *zeros
			continue
		}
		blocks[b] = d.hashBlock(b)
	}
	c := &content{size: d.size, chunks: d.chunks, blocks: blocks}
	for _, chunk := range c.chunks {
		c.allocated += int64(len(chunk))
	}
	prefix := d.prefix
	d.rebase(c)
	d.prefix = prefix
	return c
}

// isHole reports whether block b is whole and has no chunk.
func (d *draft) isHole(b int64) bool {
	if (b+1)*blockhash.BlockBytes > d.size {
		return false
	}
	const perBlock = blockhash.BlockBytes / chunkBytes
	for i := b * perBlock; i < (b+1)*perBlock; i++ {
		if d.chunks[i] != nil {
			return false
		}
	}
	return true
}

// hashBlock is the digest of block b, read chunk by chunk.
func (d *draft) hashBlock(b int64) blockhash.Digest {
	var h blockhash.Hasher
	end := min((b+1)*blockhash.BlockBytes, d.size)
	for off := b * blockhash.BlockBytes; off < end; off += chunkBytes {
		length := min(chunkBytes, end-off)
		chunk := d.chunks[off/chunkBytes]
		chunk = chunk[:min(length, int64(len(chunk)))]
		h.Write(chunk) // never fails
		h.Write(make([]byte, length-int64(len(chunk))))
	}
	return h.Sum()
}

// touch notes that [off, end) is no longer what the base had there.
func (d *draft) touch(off, end int64) {
	d.prefix = min(d.prefix, off)
	for b := off / blockhash.BlockBytes; b*blockhash.BlockBytes < end && b < int64(len(d.blocks)); b++ {
		d.stale[b] = true
	}
}

// unshare makes the chunk map the draft's own.
func (d *draft) unshare() {
	if d.shared {
		d.chunks = maps.Clone(d.chunks)
		d.shared = false
	}
	if d.chunks == nil {
		d.chunks = map[int64][]byte{}
	}
}

// writable is chunk i, the draft's own and at least length bytes long.
func (d *draft) writable(i, length int64) []byte {
	d.unshare()
	chunk := d.chunks[i]
	if !d.own[i] {
		chunk = append(make([]byte, 0, max(length, int64(len(chunk)))), chunk...)
		d.own[i] = true
	}
	if missing := length - int64(len(chunk)); missing > 0 {
		chunk = append(chunk, make([]byte, missing)...)
	}
	d.chunks[i] = chunk
	return chunk
}

func (d *draft) write(p []byte, off int64) error {
	if off < 0 {
		return objstore.ErrInvalid
	}
	if off > objstore.ObjectBytesMax-int64(len(p)) {
		return objstore.ErrTooLarge
	}
	if len(p) == 0 {
		return nil
	}
	end := off + int64(len(p))
	d.grow(end)
	d.touch(off, end)
	for len(p) > 0 {
		index, within := off/chunkBytes, off%chunkBytes
		part := min(int64(len(p)), chunkBytes-within)
		copy(d.writable(index, within+part)[within:], p[:part])
		p, off = p[part:], off+part
	}
	return nil
}

// grow makes d at least size bytes long.
func (d *draft) grow(size int64) {
	if size <= d.size {
		return
	}
	if d.size%blockhash.BlockBytes != 0 {
		d.staleBlock(d.size / blockhash.BlockBytes)
	}
	d.size = size
}

func (d *draft) staleBlock(b int64) {
	if b < int64(len(d.blocks)) {
		d.stale[b] = true
	}
}

func (d *draft) truncate(size int64) error {
	if size < 0 {
		return objstore.ErrInvalid
	}
	if size > objstore.ObjectBytesMax {
		return objstore.ErrTooLarge
	}
	if size >= d.size {
		d.grow(size)
		return nil
	}
	d.cut(size, d.size)
	d.size = size
	d.blocks = d.blocks[:min(int64(len(d.blocks)), blockhash.BlockCount(size))]
	return nil
}

// cut makes [off, end) zeros, giving back chunks that lie within.
func (d *draft) cut(off, end int64) {
	d.unshare()
	d.touch(off, end)
	for i, chunk := range d.chunks {
		start := i * chunkBytes
		from, to := max(off-start, 0), min(end-start, int64(len(chunk)))
		switch {
		case from >= to:
		case from == 0 && to == int64(len(chunk)):
			delete(d.chunks, i)
			delete(d.own, i)
		default:
			clear(d.writable(i, to)[from:to])
		}
	}
}

func (d *draft) allocate(off, length int64, mode objstore.AllocateMode) error {
	if off < 0 || length <= 0 {
		return objstore.ErrInvalid
	}
	if off > objstore.ObjectBytesMax-length {
		return objstore.ErrTooLarge
	}
	end := off + length
	switch mode {
	case objstore.AllocateKeepSize: // memory has nothing to reserve
	case objstore.AllocateGrow:
		d.grow(end)
	case objstore.PunchHole:
		d.cut(off, min(end, d.size))
	case objstore.ZeroRange:
		d.cut(off, min(end, d.size))
		d.grow(end)
	default:
		return objstore.ErrInvalid
	}
	return nil
}

// nextData is the first offset >= off in a chunk.
func (d *draft) nextData(off int64) (int64, error) {
	best := d.size
	for i, chunk := range d.chunks {
		start := i * chunkBytes
		if at := max(off, start); at < start+int64(len(chunk)) {
			best = min(best, at)
		}
	}
	if best >= d.size {
		return 0, objstore.ErrRange
	}
	return best, nil
}

// nextHole is the first offset >= off in no chunk, or the size.
func (d *draft) nextHole(off int64) (int64, error) {
	if off >= d.size {
		return 0, objstore.ErrRange
	}
	for off < d.size {
		i := off / chunkBytes
		end := i*chunkBytes + int64(len(d.chunks[i]))
		if off >= end {
			return off, nil
		}
		off = end
	}
	return d.size, nil
}
