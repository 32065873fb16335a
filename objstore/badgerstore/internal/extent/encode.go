package extent

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// formatVersion is the first byte of an encoded page or content.
const formatVersion = 1

// kindPage marks a slot that holds a page where else a source's kind is.
const kindPage = byte(RefPage)

const checksumBytes = 8

// Encode is the page in bytes, to be stored under id: FORMAT.md has the table.
func (p *Page) Encode(id PageID) []byte {
	b := []byte{formatVersion, byte(p.Level)}
	if p.Level == 0 {
		b = appendExtents(b, p.Extents)
	} else {
		b = appendSlots(b, p.Slots, p.Level-1)
	}
	return binary.BigEndian.AppendUint64(b, xxh3.HashSeed(b, uint64(id)))
}

func appendExtents(b []byte, extents []Extent) []byte {
	b = binary.AppendUvarint(b, uint64(len(extents)))
	end := int64(0)
	for _, e := range extents {
		b = binary.AppendUvarint(b, uint64(e.Off-end))
		b = binary.AppendUvarint(b, uint64(e.Len))
		b = appendSource(b, e.Source)
		end = e.End()
	}
	return b
}

func appendSource(b []byte, s Source) []byte {
	b = append(b, byte(s.Kind))
	if s.Kind == Hole {
		return b
	}
	b = binary.AppendUvarint(b, s.ID)
	return binary.AppendUvarint(b, uint64(s.Off))
}

// appendSlots writes groups of equal or continuing slots: a count and the first.
func appendSlots(b []byte, slots []Slot, level int) []byte {
	for i := 0; i < len(slots); {
		n := 1
		for i+n < len(slots) && slots[i+n].follows(slots[i], n, level) {
			n++
		}
		b = append(b, byte(n))
		b = appendSlot(b, slots[i], level)
		i += n
	}
	return b
}

// follows reports whether s is what a run or hole at first has n slots on.
func (s Slot) follows(first Slot, n, level int) bool {
	return first.Page == 0 && s == Slot{Source: first.Source.advance(int64(n) * spanBytes(level))}
}

func appendSlot(b []byte, s Slot, level int) []byte {
	if s.Page == 0 {
		return appendSource(b, s.Source)
	}
	b = append(b, kindPage)
	b = binary.AppendUvarint(b, uint64(s.Page))
	if level == 0 {
		b = append(b, s.Digest[:]...)
	}
	return b
}

// DecodePage is the page whose Encode(id) is b; anything else is ErrCorrupt.
func DecodePage(id PageID, b []byte) (*Page, error) {
	if len(b) < checksumBytes+2 {
		return nil, corrupt("page %x: %d bytes", id, len(b))
	}
	body, sum := b[:len(b)-checksumBytes], binary.BigEndian.Uint64(b[len(b)-checksumBytes:])
	if xxh3.HashSeed(body, uint64(id)) != sum {
		return nil, corrupt("page %x: wrong checksum", id)
	}
	if body[0] != formatVersion {
		return nil, &objstore.Error{Op: "read extents", Kind: objstore.ErrNewerFormat}
	}
	p := &Page{Level: int(body[1])}
	d := decoder{b: body[2:]}
	if p.Level == 0 {
		p.Extents = d.extents()
	} else {
		p.Slots = d.slots(p.Level - 1)
	}
	if d.failed || len(d.b) != 0 {
		return nil, corrupt("page %x: malformed", id)
	}
	return p, p.check()
}

// Append encodes the content for a record, which must be checksummed as a whole.
func (c Content) Append(b []byte) []byte {
	b = append(b, formatVersion)
	b = binary.AppendUvarint(b, uint64(c.Size))
	return appendSlot(b, c.Root, levelOf(c.Size))
}

// Decode takes an encoded content off the front of b.
func Decode(b []byte) (c Content, rest []byte, err error) {
	if len(b) == 0 || b[0] > formatVersion {
		return c, b, &objstore.Error{Op: "read extents", Kind: objstore.ErrNewerFormat}
	}
	d := decoder{b: b[1:], failed: b[0] != formatVersion}
	c.Size = d.length()
	if d.failed || c.Size > objstore.ObjectBytesMax {
		return Content{}, b, corrupt("malformed content")
	}
	c.Root = d.slot(levelOf(c.Size))
	if d.failed {
		return Content{}, b, corrupt("malformed content")
	}
	return c, d.b, c.check()
}

// decoder takes values off the front of b. After a failure values are zero.
type decoder struct {
	b      []byte
	failed bool
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.failed = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 { // the second: not the shortest form
		d.failed = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) length() int64 {
	v := d.uvarint()
	if v >= uint64(sourceOffMax) {
		d.failed = true
		return 0
	}
	return int64(v)
}

func (d *decoder) extents() []Extent {
	n := d.uvarint()
	if n > uint64(len(d.b)) { // each takes more than a byte
		d.failed = true
		return nil
	}
	extents := make([]Extent, 0, n)
	end := int64(0)
	for range n {
		e := Extent{Off: end + d.length(), Len: d.length()}
		e.Source = d.source(Kind(d.byte()))
		if d.failed || e.Off > blockhash.BlockBytes {
			d.failed = true
			return nil
		}
		extents = append(extents, e)
		end = e.End()
	}
	return extents
}

func (d *decoder) source(kind Kind) Source {
	if kind == Hole {
		return Source{}
	}
	return Source{Kind: kind, ID: d.uvarint(), Off: d.length()}
}

func (d *decoder) slots(level int) []Slot {
	slots := make([]Slot, 0, fanout)
	for len(slots) < fanout && !d.failed {
		n := int(d.byte())
		first := d.slot(level)
		if n < 1 || n > fanout-len(slots) || n > 1 && first.Page != 0 || level > levelMax {
			d.failed = true
			break
		}
		for i := range n {
			next := first
			next.Source = first.Source.advance(int64(i) * spanBytes(level))
			slots = append(slots, next)
		}
	}
	return slots
}

func (d *decoder) slot(level int) Slot {
	kind := d.byte()
	if kind != kindPage {
		return Slot{Source: d.source(Kind(kind))}
	}
	s := Slot{Page: PageID(d.uvarint())}
	if s.Page == 0 {
		d.failed = true
	}
	if level == 0 {
		if len(d.b) < len(s.Digest) {
			d.failed = true
			return Slot{}
		}
		d.b = d.b[copy(s.Digest[:], d.b):]
	}
	return s
}
