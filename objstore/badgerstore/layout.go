package badgerstore

import (
	"context"
	"slices"
	"sync"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// tellOf gives o, which has the content of in now, what S3 is told of that.
func (t *tx) tellOf(o *record.Object, in *incoming) error {
	o.ShownETag = string(in.digests.ETag)
	o.Checksums = nil
	if c := in.digests.Checksum; c != (objstore.Checksum{}) {
		o.Checksums = map[string][]byte{c.Algorithm: []byte(c.Value)}
	}
	t.dropLayout(o)
	for chunk := range slices.Chunk(in.parts, record.LayoutParts) {
		t.set(record.LayoutKey(o.ID, int(o.PartCount)/record.LayoutParts), record.Layout(chunk))
		o.PartCount += uint32(len(chunk))
	}
	return nil
}

// dropLayout forgets the parts of o's content.
func (t *tx) dropLayout(o *record.Object) {
	for n := 0; n < int(o.PartCount); n += record.LayoutParts {
		t.set(record.LayoutKey(o.ID, n/record.LayoutParts), nil)
	}
	o.PartCount = 0
}

// layout is the parts of o's content.
func (t tree) layout(o *record.Object) ([]objstore.Part, error) {
	parts := make([]objstore.Part, 0, o.PartCount)
	for n := 0; n < int(o.PartCount); n += record.LayoutParts {
		value, err := t.src.get(record.LayoutKey(o.ID, n/record.LayoutParts))
		if err != nil {
			return nil, err
		}
		chunk, _ := value.(record.Layout)
		parts = append(parts, chunk...)
	}
	if len(parts) != int(o.PartCount) {
		return nil, damaged("the parts of object %d are lost", o.ID)
	}
	return parts, nil
}

// Parts implements [objstore.Uploads].
func (b *Bucket) Parts(ctx context.Context, key objstore.Key, cond objstore.Cond) (info objstore.Info, parts []objstore.Part, err error) {
	err = b.read(ctx, "get parts", string(key), func(v *view) error {
		o, err := v.objectAt(b.root, key)
		if err == nil && o == nil {
			err = b.checkLost(v, key)
		}
		if err == nil {
			err = checkSource(cond, o)
		}
		if err != nil {
			return err
		}
		info = objectInfoOf(o)
		parts, err = v.layout(o)
		return err
	})
	return info, parts, err
}

// filled are digests of blocks that had to be found by reading them: contents assembled
// from parts that end within blocks do not have them stored.
type filled struct {
	mu      sync.Mutex
	digests map[int64]blockhash.Digest // GUARDED_BY(mu): by block
}

// fill puts digests that are not known in place of zeros. Those after the first commit of a
// stage are stored with it: they are found once.
func (p *pinned) fill(digests []blockhash.Digest, first int64) error {
	var buf []byte
	for i := range digests {
		if digests[i] != (blockhash.Digest{}) {
			continue
		}
		if buf == nil {
			buf = make([]byte, blockhash.BlockBytes)
		}
		d, err := p.hashBlock(first+int64(i), buf)
		if err != nil {
			return err
		}
		digests[i] = d
	}
	return nil
}

func (p *pinned) hashBlock(block int64, buf []byte) (blockhash.Digest, error) {
	p.filled.mu.Lock()
	defer p.filled.mu.Unlock()
	if d, ok := p.filled.digests[block]; ok {
		return d, nil
	}
	off := block * blockhash.BlockBytes
	buf = buf[:min(p.content.Size-off, int64(len(buf)))]
	if n, err := p.read(context.Background(), buf, off); n < len(buf) {
		return blockhash.Digest{}, err
	}
	if p.filled.digests == nil {
		p.filled.digests = map[int64]blockhash.Digest{}
	}
	d := blockhash.Of(buf)
	p.filled.digests[block] = d
	return d, nil
}

// withFilled are the digests of an edit of p's content and those that were filled in of
// blocks it leaves as they are.
func (p *pinned) withFilled(edit extent.Edit) []extent.BlockDigest {
	if p == nil || p.rec.HashKind == record.HashBlocks {
		return edit.Blocks
	}
	p.filled.mu.Lock()
	defer p.filled.mu.Unlock()
	given := make(map[int64]bool, len(edit.Blocks))
	for _, b := range edit.Blocks {
		given[b.Block] = true
	}
	for _, c := range edit.Changes {
		for k := c.Off / blockhash.BlockBytes; k*blockhash.BlockBytes < c.End(); k++ {
			given[k] = true // or the change has its digest
		}
	}
	all := slices.Clone(edit.Blocks)
	for k, d := range p.filled.digests {
		if !given[k] && min(p.content.Size, (k+1)*blockhash.BlockBytes) <= edit.Size {
			all = append(all, extent.BlockDigest{Block: k, Digest: d})
		}
	}
	slices.SortFunc(all, func(a, b extent.BlockDigest) int { return int(a.Block - b.Block) })
	return all
}
