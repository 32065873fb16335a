package badgerstore

import (
	"bytes"
	"context"
	"errors"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// mergeBlocksMax blocks are written together at once, into one payload: 64 MiB.
const mergeBlocksMax = 16

var (
	// errMergeLate says that a content was replaced while it was being merged. Nothing has changed then.
	errMergeLate = problem(objstore.ErrConflict, "the content was replaced meanwhile")
	// errEnoughBlocks ends a walk.
	errEnoughBlocks = errors.New("enough blocks")
)

// isScattered reports whether the bytes of a leaf page are worth writing together. Once they are they are not any more:
// what is left then are those that holes part.
func (e *Engine) isScattered(leaf *extent.Page) bool {
	n, least := leaf.Pieces()
	return n > e.sizes.mergePiecesMin && n >= 2*least
}

// merging is one step of merging: it writes blocks of a content that commits have scattered into a payload of their own, and
// puts that in their place. The content stays the same, and so do version, ETag and all that is told of the object.
//
// The bytes are verified as for any reader, and each block against its digest, before the new payload gets checksums:
// a block that fails stays where it is, as it is. The payload is synced before it is committed, so that no other
// commit waits for that. Until the commit it belongs to a stage nobody owns, and goes with it if the process dies.
type merging struct {
	e    *Engine
	base *pinned
	pace func(bytes int) error

	stage   *stage
	blocks  []int64            // of the content, in order; in the stage they follow each other
	digests []blockhash.Digest // of blocks
	buf     []byte
}

// mergeFrom merges blocks of object id from a block on, and returns the block to go on with; 0: there is no other.
// pace is called with the bytes of each block that was copied, and ends the merge by its error.
func (e *Engine) mergeFrom(ctx context.Context, id uint64, from int64, pace func(bytes int) error) (next int64, merged int, err error) {
	base, blocks, err := e.scattered(id, from)
	if base == nil || err != nil {
		return 0, 0, err
	}
	defer base.release()
	if len(blocks) == 0 {
		return 0, 0, nil
	}
	m := &merging{e: e, base: base, pace: pace, blocks: blocks}
	if err := m.run(ctx); err != nil {
		return 0, 0, err
	}
	if len(blocks) == mergeBlocksMax {
		next = blocks[len(blocks)-1] + 1
	}
	return next, len(blocks), nil
}

// scattered is the content of object id, pinned, and its first scattered blocks from a block on; nil: there is no such
// object. Blocks that the content shares with others do not count: they would be there twice.
func (e *Engine) scattered(id uint64, from int64) (base *pinned, blocks []int64, err error) {
	v := e.view()
	defer v.close()
	o, err := v.object(id)
	if err != nil || o == nil {
		return nil, nil, err
	}
	if base, err = v.pin(o.ID, o.Version, o.Content); err != nil {
		return nil, nil, err
	}
	env := &editing{pages: pages{v.tree}}
	err = base.content.Leaves(pages{v.tree}, from, func(id extent.PageID) (bool, error) {
		state, err := env.State(id)
		return state == extent.Owned, err
	}, func(block int64, leaf *extent.Page) error {
		if e.isScattered(leaf) {
			blocks = append(blocks, block)
		}
		if len(blocks) == mergeBlocksMax {
			return errEnoughBlocks
		}
		return nil
	})
	if err != nil && err != errEnoughBlocks {
		base.release()
		return nil, nil, err
	}
	return base, blocks, nil
}

func (m *merging) run(ctx context.Context) error {
	m.stage = (&Bucket{e: m.e}).newStage(objstore.Owner{}, nil, true)
	defer m.end()
	m.buf = make([]byte, blockhash.BlockBytes)
	var size int64
	for i := range m.blocks {
		if err := m.e.usable(ctx); err != nil {
			return err
		}
		n, err := m.copyBlock(ctx, i)
		if err == nil {
			err = m.pace(n)
		}
		if err != nil {
			return err
		}
		size = int64(i)*blockhash.BlockBytes + int64(n)
	}
	m.buf = nil
	if err := m.stage.Truncate(ctx, size); err != nil { // the last block may end in a hole
		return err
	}
	if err := m.stage.seal(ctx, objstore.ID(m.base.lineage)); err != nil {
		return err
	}
	if err := m.place(); err != nil {
		return err
	}
	if err := m.sync(); err != nil {
		return err
	}
	return m.e.carry(&op{f: m.commit, patient: true}, objstore.Visible)
}

// end drops what is staged. The payload stays if it was committed.
func (m *merging) end() {
	m.stage.finish()
	if err := m.stage.Close(); err != nil {
		m.e.log.Warn("staged bytes of a merge stay behind", "object", m.base.lineage, "error", err)
	}
}

// copyBlock writes the bytes of a block, and no holes, into the stage, and returns the block's length.
func (m *merging) copyBlock(ctx context.Context, i int) (n int, err error) {
	k := m.blocks[i]
	off := k * blockhash.BlockBytes
	buf := m.buf[:min(m.base.content.Size-off, blockhash.BlockBytes)]
	if n, err := m.base.read(ctx, buf, off); n < len(buf) {
		return 0, err
	}
	kept, err := m.base.kept(k, 1)
	if err != nil {
		return 0, err
	}
	digest := blockhash.Of(buf)
	if len(kept) != 1 || kept[0] != digest && kept[0] != (blockhash.Digest{}) {
		return 0, damaged("the bytes at %d to %d do not have their digest", off, off+int64(len(buf)))
	}
	m.digests = append(m.digests, digest)
	at := int64(i)*blockhash.BlockBytes - off // from the content to the stage
	var data extent.Extent                    // not yet written
	write := func() error {
		if data.Len == 0 {
			return nil
		}
		_, err := m.stage.WriteAt(ctx, buf[data.Off-off:data.End()-off], data.Off+at)
		return err
	}
	err = m.base.Extents(off, int64(len(buf)), func(x extent.Extent) error {
		switch {
		case x.Source.Kind == extent.Hole:
			return nil
		case x.Off == data.End():
			data.Len += x.Len
			return nil
		}
		err := write()
		data = extent.Extent{Off: x.Off, Len: x.Len}
		return err
	})
	return len(buf), errors.Join(err, write())
}

// place turns the edit that makes the stage of nothing into one of the content.
func (m *merging) place() error {
	in := m.stage.in
	edit := extent.Edit{Size: m.base.content.Size}
	for _, c := range in.edit.Changes {
		for c.Source.Kind != extent.Hole && c.Len > 0 {
			i, at := c.Off/blockhash.BlockBytes, c.Off%blockhash.BlockBytes
			n := min(c.Len, blockhash.BlockBytes-at)
			edit.Changes = append(edit.Changes, extent.Extent{Off: m.blocks[i]*blockhash.BlockBytes + at, Len: n, Source: c.Source})
			c.Off, c.Len, c.Source.Off = c.Off+n, c.Len-n, c.Source.Off+n
		}
	}
	for _, b := range in.edit.Blocks {
		if b.Digest != m.digests[b.Block] {
			return damaged("block %d was staged with another digest", m.blocks[b.Block])
		}
		edit.Blocks = append(edit.Blocks, extent.BlockDigest{Block: m.blocks[b.Block], Digest: b.Digest})
	}
	in.edit, in.base, in.size = edit, m.base, m.base.content.Size
	return nil
}

// sync writes the new payload to the disk.
func (m *merging) sync() error {
	for _, b := range m.stage.sealed.Blobs {
		f, err := m.e.fs.Open(b.Path)
		if err == nil {
			err = errors.Join(f.Sync(), f.Close())
		}
		if err != nil {
			return disk.Error("sync merged bytes", err)
		}
	}
	return nil
}

// commit puts the new payload in place, if the content is still what was copied.
func (m *merging) commit(t *tx) error {
	o, err := t.object(m.base.lineage)
	if err != nil {
		return err
	}
	if o == nil || o.Version != m.base.version || !bytes.Equal(o.Content.Root, m.base.rec.Root) {
		return errMergeLate
	}
	content, err := t.build(m.stage.in, m.base.content, true, contentOf(o))
	if err != nil {
		return err
	}
	if content.Size != o.Content.Size || content.Allocated != o.Content.Allocated {
		return damaged("object %d has %d bytes in payloads and not %d", o.ID, content.Allocated, o.Content.Allocated)
	}
	merged := o.Clone()
	merged.Content.Root = content.Root
	t.store(merged)
	return nil
}
