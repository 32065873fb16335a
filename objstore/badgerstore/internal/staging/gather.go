package staging

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

const (
	// gatherPiecesMin pieces of a layer, together less than gatherShare of the units they lie in, are worth gathering.
	gatherPiecesMin = 64
	gatherShare     = 2
	// gatherBytesMax is the most that one commit gathers.
	gatherBytesMax = 128 << 20
)

// gather writes the many small pieces of a layer behind each other, in the order of the content. A layer has each
// about where the content has it, so that a unit of the blob made of it, which is what one read verifies, would
// have little besides one piece: whoever reads all pieces of a block, to hash it after the next change, would read that many units.
// The stage stays as it is.
func (s *sealing) gather(ctx context.Context) error {
	if s.inline {
		return nil
	}
	chosen, size := s.sparseLayers()
	if len(chosen) == 0 {
		return nil
	}
	err := s.stage.admit(size)
	if err == nil {
		err = s.gatherFrom(ctx, chosen)
	}
	if objstore.KindOf(err) == objstore.ErrNoSpace {
		return nil // the pieces are well where they are, too
	}
	return err
}

// sparseLayers are those worth gathering, and how many bytes of them are in the content.
func (s *sealing) sparseLayers() (chosen map[*layer]bool, size int64) {
	type tally struct{ pieces, bytes int64 }
	all := make(map[*layer]*tally)
	s.view.segments(0, s.Size, func(seg segment) bool {
		l := seg.layer
		if l == nil || l.file == nil || l.lender != nil || l.sealed != nil || l == s.ownFile {
			return true
		}
		if all[l] == nil {
			all[l] = new(tally)
		}
		all[l].pieces++
		all[l].bytes += seg.n
		return true
	})
	chosen = make(map[*layer]bool)
	for l, t := range all {
		if t.pieces >= gatherPiecesMin && gatherShare*t.bytes < t.pieces*blob.SumBytes && size+t.bytes <= gatherBytesMax {
			chosen[l] = true
			size += t.bytes
		}
	}
	return chosen, size
}

func (s *sealing) gatherFrom(ctx context.Context, chosen map[*layer]bool) error {
	l, err := s.session.newFile()
	if err != nil {
		return err
	}
	s.gathered = l
	buf := s.session.pieces.Get().(*[]byte)
	defer s.session.pieces.Put(buf)
	g := gathering{layer: l, buf: (*buf)[:0]}
	var places []int64 // of the pieces, in order
	s.view.segments(0, s.Size, func(seg segment) bool {
		if chosen[seg.layer] {
			places = append(places, g.place())
			err = g.add(ctx, seg)
		}
		return err == nil
	})
	if err == nil {
		err = g.flush()
	}
	if err != nil {
		return err
	}
	s.view.moveTo(l, chosen, places)
	return nil
}

// moveTo says that the pieces of the chosen layers are at places of l.
func (v *view) moveTo(l *layer, chosen map[*layer]bool, places []int64) {
	for _, k := range v.numbers(0, v.size) {
		digest, digestBytes := v.blocks[k].digest, v.blocks[k].digestBytes
		b := v.change(k)
		b.digest, b.digestBytes = digest, digestBytes // the bytes are the same
		for i := range b.segments {
			if x := &b.segments[i]; chosen[x.layer] {
				x.layer, x.src = l, places[0]
				places = places[1:]
			}
		}
	}
}

// gathering writes pieces into a layer, each behind the last.
type gathering struct {
	layer *layer
	buf   []byte // not yet written
}

// place is where the next byte comes.
func (g *gathering) place() int64 { return g.layer.end + int64(len(g.buf)) }

func (g *gathering) add(ctx context.Context, seg segment) error {
	for seg.n > 0 {
		n := min(seg.n, int64(cap(g.buf)-len(g.buf)))
		part := g.buf[len(g.buf) : len(g.buf)+int(n)]
		if err := seg.clip(seg.off, seg.off+n).read(ctx, part); err != nil {
			return err
		}
		g.buf = g.buf[:len(g.buf)+int(n)]
		seg.off, seg.n, seg.src = seg.off+n, seg.n-n, seg.src+n
		if len(g.buf) == cap(g.buf) {
			if err := g.flush(); err != nil {
				return err
			}
		}
	}
	return disk.Cancelled(ctx, "seal stage")
}

func (g *gathering) flush() error {
	l := g.layer
	if _, err := l.file.WriteAt(g.buf, l.end); err != nil {
		return disk.Error("write stage", err)
	}
	l.summer.Wrote(g.buf, l.end)
	l.end += int64(len(g.buf))
	g.buf = g.buf[:0]
	return nil
}
