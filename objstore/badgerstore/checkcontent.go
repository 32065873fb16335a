package badgerstore

import (
	"fmt"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// contentCheck is the check of one content.
type contentCheck struct {
	*checker
	key  []byte // of the record it is in
	tell contentTell
	rec  record.Content
	x    extent.Content

	payload extent.Ref // the one before
	bytes   int64      // of it
	dropped map[blob.Ref]bool
}

// contentTell reports what is wrong with a content, and what can be done about it.
type contentTell func(cure cure, kind FindingKind, text string) error

// content checks that the bytes of rec are where it says, and that they are what they were if that is asked.
func (c *checker) content(key []byte, rec record.Content, tell contentTell) error {
	x, err := extentsOf(rec)
	if err != nil {
		return c.corrupt(tell, FindingContent, err)
	}
	k := &contentCheck{checker: c, key: key, tell: tell, rec: rec, x: x, dropped: map[blob.Ref]bool{}}
	whole, err := k.extents()
	if err != nil || !whole || !c.opt.Payload {
		return err
	}
	return k.verify()
}

// corrupt reports err if it says that something is corrupt, and returns any other.
func (c *checker) corrupt(tell contentTell, kind FindingKind, err error) error {
	if err == nil || readable(err) != nil {
		return err
	}
	return tell(cure{}, kind, reason(err))
}

// extents looks for every payload and reports whether all is well.
func (k *contentCheck) extents() (whole bool, err error) {
	var allocated int64
	err = k.x.Extents(pages{k.tree}, 0, k.x.Size, func(x extent.Extent) error {
		if x.Source.Kind == extent.Hole {
			return nil
		}
		allocated += x.Len
		return k.extent(x)
	})
	if err != nil {
		return false, k.corrupt(k.tell, FindingContent, err)
	}
	if allocated != k.rec.Allocated {
		return false, k.tell(cureAllocated(k.key, k.rec, allocated), FindingContent, fmt.Sprintf("its %d bytes take %d bytes of payloads and not %d",
			k.rec.Size, allocated, k.rec.Allocated))
	}
	return true, nil
}

// extent checks that a payload is there and goes that far.
func (k *contentCheck) extent(x extent.Extent) error {
	ref := extent.Ref{Kind: extent.RefKind(x.Source.Kind), ID: x.Source.ID}
	if ref != k.payload {
		n, err := k.payloadBytes(ref)
		if err != nil {
			return err
		}
		k.payload, k.bytes = ref, n
	}
	if x.Source.Off+x.Len > k.bytes {
		return k.tell(cure{}, FindingExtent, fmt.Sprintf("its bytes at %d to %d should be at %d in payload %d, which has %d bytes",
			x.Off, x.End(), x.Source.Off, ref.ID, k.bytes))
	}
	return nil
}

func (k *contentCheck) payloadBytes(ref extent.Ref) (int64, error) {
	if ref.Kind == extent.RefInline {
		p, err := k.tree.readPayload(ref.ID)
		if !k.opt.Payload { // else they are read again
			k.advance.add(int64(len(p)))
		}
		return int64(len(p)), err
	}
	b := blobOf(ref.Kind, ref.ID)
	if k.opt.Payload && !k.dropped[b] {
		k.dropped[b] = true
		k.e.blobs.DropCache(b)
	}
	return k.e.blobs.Size(b)
}

// verify reads all bytes. They are checked against the checksums of their payloads on the way; their digests
// are those kept beside them, and make the hash of the content.
func (k *contentCheck) verify() error {
	buf := make([]byte, min(k.x.Size, blockhash.BlockBytes))
	var digests []blockhash.Digest
	for off := int64(0); off < k.x.Size; off += blockhash.BlockBytes {
		if err := k.going(); err != nil {
			return err
		}
		d, err := k.block(buf[:min(k.x.Size-off, blockhash.BlockBytes)], off)
		if err != nil {
			return k.corrupt(k.tell, FindingBytes, err)
		}
		digests = append(digests, d)
	}
	if k.rec.HashKind == record.HashBlocks && blockhash.Content(digests) != k.rec.Hash {
		return k.tell(cure{}, FindingBytes, "its bytes do not have its hash")
	}
	return nil
}

// block is the digest of the block at off, of the length of buf, once it is known to be that of its bytes.
func (k *contentCheck) block(buf []byte, off int64) (d blockhash.Digest, err error) {
	isHole := true
	err = k.x.Extents(pages{k.tree}, off, int64(len(buf)), func(x extent.Extent) error {
		if x.Source.Kind == extent.Hole && x.Len == int64(len(buf)) {
			return nil
		}
		isHole = false
		_, err := k.e.readExtent(k.ctx, k.v, x, buf[x.Off-off:x.End()-off])
		return err
	})
	if err != nil {
		return d, err
	}
	if isHole {
		return blockhash.Zeros(int64(len(buf))), nil
	}
	k.advance.add(int64(len(buf)))
	d = blockhash.Of(buf)
	if k.isInline() {
		return d, nil
	}
	kept, err := k.x.Digests(pages{k.tree}, runDigests{k.e, k.tree}, off/blockhash.BlockBytes, 1)
	if err != nil {
		return d, err
	}
	if kept[0] != d && kept[0] != (blockhash.Digest{}) {
		return d, &objstore.Error{Kind: objstore.ErrCorrupt,
			Detail: fmt.Sprintf("the bytes at %d to %d do not have their digest", off, off+int64(len(buf)))}
	}
	return d, nil
}

// isInline reports whether the content is one inline payload, which needs no digest.
func (k *contentCheck) isInline() bool {
	run, ok := k.x.Run()
	return ok && run.Kind == extent.Inline
}
