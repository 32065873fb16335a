package badgerstore

import (
	"slices"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// piece is a range of a content that goes into another.
type piece struct {
	from   *pinned
	off    int64
	length int64
	at     int64 // in the content it goes into
}

func (p *piece) end() int64    { return p.at + p.length }
func (p *piece) isWhole() bool { return p.off == 0 && p.length == p.from.content.Size }

// assembly joins pieces: the new content refers to the payloads they are in. Of the bytes
// nothing is read. What has to be known of its blocks is taken from those of the pieces, as far
// as they lie the same way; the digests of other blocks are left open, and then the
// content's hash is one of the pieces' hashes.
type assembly struct {
	pieces []piece
	in     *incoming
	open   bool // a block has no digest
	hash   []blockhash.Digest

	piece   int // from here on pieces may reach the block that is looked at
	change  int // likewise
	digests []blockhash.Digest
	of      *pinned // whose digests are at hand
}

// assemble is a content of the pieces, which are pinned.
func (e *Engine) assemble(pieces []piece) (*incoming, error) {
	version, err := e.numbers.next()
	if err != nil {
		return nil, err
	}
	a := &assembly{pieces: slices.DeleteFunc(pieces, func(p piece) bool { return p.length == 0 })}
	a.in = &incoming{version: version}
	v := e.view()
	defer v.close()
	for i := range a.pieces {
		if err := a.extents(v, &a.pieces[i]); err != nil {
			return nil, err
		}
	}
	a.in.edit.Size = a.in.size
	for k := range blockhash.BlockCount(a.in.size) {
		if err := a.block(k); err != nil {
			return nil, err
		}
	}
	a.finish()
	return a.in, nil
}

// extents adds where the bytes of a piece are.
func (a *assembly) extents(v *view, p *piece) error {
	if p.length > objstore.ObjectBytesMax-a.in.size {
		return objstore.ErrTooLarge
	}
	p.at = a.in.size
	a.in.size += p.length
	return p.from.content.Extents(pages{v.tree}, p.off, p.length, func(x extent.Extent) error {
		if x.Source.Kind != extent.Hole {
			x.Off += p.at - p.off
			a.in.edit.Changes = append(a.in.edit.Changes, x)
		}
		return nil
	})
}

// block finds the digest of a block, and whether it is to be stored.
func (a *assembly) block(k int64) error {
	start := k * blockhash.BlockBytes
	end := min(start+blockhash.BlockBytes, a.in.size)
	for a.pieces[a.piece].end() <= start {
		a.piece++
	}
	p := &a.pieces[a.piece]
	d, err := a.digest(p, start, end)
	if err != nil {
		return err
	}
	known := d != (blockhash.Digest{})
	if !known && !a.hasBytes(start, end) {
		d, known = blockhash.Zeros(end-start), true
	}
	a.open = a.open || !known
	a.hash = append(a.hash, d)
	if !known || !p.isRun() {
		a.in.edit.Blocks = append(a.in.edit.Blocks, extent.BlockDigest{Block: k, Digest: d})
	}
	return nil
}

// isRun reports whether the digests of the blocks of p's content lie with its one payload.
func (p *piece) isRun() bool {
	run, ok := p.from.content.Run()
	return ok && run.Off%blockhash.BlockBytes == 0
}

// digest is that of the block [start, end) of the new content if it is also one of p's; else zero.
func (a *assembly) digest(p *piece, start, end int64) (none blockhash.Digest, err error) {
	from, to := start-p.at+p.off, end-p.at+p.off
	size := p.from.content.Size
	if p.at > start || p.end() < end || from%blockhash.BlockBytes != 0 ||
		to != min(from+blockhash.BlockBytes, size) {
		return none, nil
	}
	if a.of != p.from {
		if a.digests, err = p.from.kept(0, blockhash.BlockCount(size)); err != nil {
			return none, err
		}
		a.of = p.from
	}
	return a.digests[from/blockhash.BlockBytes], nil
}

// hasBytes reports whether there is anything but holes in [start, end), which is asked for in order.
func (a *assembly) hasBytes(start, end int64) bool {
	changes := a.in.edit.Changes
	for a.change < len(changes) && changes[a.change].End() <= start {
		a.change++
	}
	return a.change < len(changes) && changes[a.change].Off < end
}

// finish makes the hash of the content.
func (a *assembly) finish() {
	a.in.hash = blockhash.Content(a.hash)
	if !a.open {
		return
	}
	var all []byte
	for i := range a.pieces {
		d := a.pieces[i].hash()
		all = append(all, d[:]...)
	}
	a.in.hash, a.in.hashKind = blockhash.Of(all), record.HashParts
}

// hash is the hash of a piece: that of its content, or of what range of which content it is.
func (p *piece) hash() blockhash.Digest {
	if p.isWhole() {
		return p.from.rec.Hash
	}
	return requestOf(p.from.rec.Hash, p.off, p.length)
}
