package extent

import (
	"errors"
	"flag"
	"fmt"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

var seedFlag = flag.Uint64("seed", 0, "run the random tests with this seed only")

func seeds(n uint64) []uint64 {
	if *seedFlag != 0 {
		return []uint64{*seedFlag}
	}
	var all []uint64
	for s := uint64(1); s <= n; s++ {
		all = append(all, s)
	}
	return all
}

// Random edits, copies and edits of replaced contents: every content reads as
// its oracle while it is needed, the account of references is exact, and
// nothing is left when all are gone.
func TestEditsMatchTheOracleAndReferencesAreExact(t *testing.T) {
	for _, seed := range seeds(25) {
		w := newWorld(t, seed)
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { w.t = t; w.play(40) }) {
			t.Fatalf("rerun with -seed=%d", seed)
		}
	}
}

// play runs n steps on a few records.
func (w *world) play(n int) {
	empty := version{flat: flat{zeros: zeroDigests()}}
	records := []version{empty, empty}
	type old struct {
		version
		*pending
	}
	var replaced []old // oldest first: what one drops, earlier ones may still read
	for range n {
		i := w.rng.IntN(len(records))
		switch k := w.rng.IntN(10); {
		case k < 6: // a commit on the current content
			e, next := w.edit(records[i])
			plan, err := Apply(records[i].content, e, w, true)
			if err != nil {
				w.t.Fatal(err)
			}
			replaced = append(replaced, old{records[i], w.execute(plan)})
			records[i] = version{plan.Content, next}
		case k < 8 && len(replaced) > 0: // a content derived from a replaced one
			base := replaced[w.rng.IntN(len(replaced))].version
			e, next := w.edit(base)
			plan, err := Apply(base.content, e, w, false)
			if err != nil {
				w.t.Fatal(err)
			}
			w.execute(plan)
			records = append(records, version{plan.Content, next})
		case k < 9: // a copy
			plan, err := Apply(records[i].content, Edit{Size: records[i].content.Size}, w, false)
			if err != nil {
				w.t.Fatal(err)
			}
			w.execute(plan)
			records = append(records, records[i])
		case len(replaced) > 0:
			w.finish(replaced[0].pending)
			replaced = replaced[1:]
		}
		w.check(records[i])
		if len(replaced) > 0 {
			w.check(replaced[w.rng.IntN(len(replaced))].version)
		}
	}
	for _, r := range replaced {
		w.finish(r.pending)
	}
	contents := make([]Content, 0, len(records))
	for _, r := range records {
		w.check(r)
		contents = append(contents, r.content)
	}
	w.checkCounts(contents)
	for _, c := range contents {
		for _, ref := range c.Refs() {
			w.drop(ref)
		}
	}
	if len(w.pages) != 0 || len(w.counts) != 0 {
		w.t.Fatalf("left over: %d pages, %v", len(w.pages), w.counts)
	}
}

// A small edit writes pages of bounded size, however large the content is and
// however many edits came before.
func TestEditCostDoesNotGrow(t *testing.T) {
	for _, size := range []int64{1 << 30, 1 << 40, objstore.ObjectBytesMax} {
		w := newWorld(t, 1)
		base := w.run(size)
		first := w.smallEdits(&base, 1)
		last := w.smallEdits(&base, 10000)
		if first > 1000 || last > 20*first {
			t.Errorf("%d bytes: first edit writes %d bytes, a late one %d", size, first, last)
		}
	}
}

// smallEdits makes n random 4 KiB edits and returns the bytes the last one wrote.
func (w *world) smallEdits(c *Content, n int) (written int) {
	for range n {
		off := w.rng.Int64N(min(c.Size, 1<<30)/4096) * 4096
		plan, err := Apply(*c, Edit{
			Size:    c.Size,
			Changes: []Extent{{Off: off, Len: 4096, Source: Source{Kind: Inline, ID: w.id()}}},
			Blocks:  []BlockDigest{{Block: off / blockhash.BlockBytes, Digest: blockhash.Digest{1}}},
		}, w, true)
		if err != nil {
			w.t.Fatal(err)
		}
		w.finish(w.execute(plan))
		*c = plan.Content
		written = 0
		for _, p := range plan.Pages {
			written += len(w.pages[p.ID])
		}
	}
	return written
}

// A content that one payload covers again is one run again.
func TestRewrittenContentIsOneRun(t *testing.T) {
	w := newWorld(t, 1)
	const size = 3*spanLevel1 + 12345
	c := w.run(size)
	w.smallEdits(&c, 50)
	whole := Source{Kind: Bare, ID: w.id()}
	plan, err := Apply(c, Edit{Size: size, Changes: []Extent{{Len: size, Source: whole}}}, w, true)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := plan.Content.Run(); !ok || got != whole || len(plan.Pages) != 0 {
		t.Fatalf("content %+v with %d new pages", plan.Content, len(plan.Pages))
	}
	w.finish(w.execute(plan))
	if len(w.pages) != 0 {
		t.Fatalf("%d pages left", len(w.pages))
	}
}

const spanLevel1 = 256 << 20

func TestApplyRefusesWhatMakesNoSense(t *testing.T) {
	w := newWorld(t, 1)
	run := Source{Kind: Blob, ID: 1}
	for name, e := range map[string]struct {
		edit Edit
		want error
	}{
		"beyond the size":    {Edit{Size: 10, Changes: []Extent{{Off: 5, Len: 6, Source: run}}}, objstore.ErrInvalid},
		"overlapping":        {Edit{Size: 10, Changes: []Extent{{Len: 6}, {Off: 5, Len: 1}}}, objstore.ErrInvalid},
		"empty change":       {Edit{Size: 10, Changes: []Extent{{Off: 5}}}, objstore.ErrInvalid},
		"source without id":  {Edit{Size: 10, Changes: []Extent{{Len: 6, Source: Source{Kind: Blob}}}}, objstore.ErrInvalid},
		"no digest":          {Edit{Size: 10, Changes: []Extent{{Len: 6, Source: run}}}, objstore.ErrInvalid},
		"over 16 TiB":        {Edit{Size: objstore.ObjectBytesMax + 1}, objstore.ErrTooLarge},
		"negative size":      {Edit{Size: -1}, objstore.ErrTooLarge},
		"unaligned, no hash": {Edit{Size: 10, Changes: []Extent{{Len: 10, Source: run.advance(1)}}}, objstore.ErrInvalid},
	} {
		if _, err := Apply(Content{}, e.edit, w, true); !errors.Is(err, e.want) {
			t.Errorf("%s: %v, want %v", name, err, e.want)
		}
	}
}

// Any bytes decode to a valid page that encodes to them again, or to an error.
func FuzzDecodePage(f *testing.F) {
	leaf := &Page{Extents: []Extent{{Off: 5, Len: 10, Source: Source{Inline, 9, 3}}, {Off: 4096, Len: 4096, Source: Source{Blob, 8, 0}}}}
	inner := &Page{Level: 1, Slots: make([]Slot, fanout)}
	inner.Slots[3] = Slot{Page: 77, Digest: blockhash.Digest{1, 2}}
	inner.Slots[4] = Slot{Source: Source{Bare, 5, 4 << 20}}
	f.Add(leaf.Encode(1))
	f.Add(inner.Encode(1))
	f.Fuzz(func(t *testing.T, b []byte) {
		sealed := resum(b)
		for _, b := range [][]byte{b, sealed} {
			p, err := DecodePage(1, b)
			if err != nil {
				if objstore.KindOf(err) == 0 {
					t.Fatalf("unclassified: %v", err)
				}
				continue
			}
			again, err := DecodePage(1, p.Encode(1))
			if err != nil || len(again.Extents) != len(p.Extents) || len(again.Slots) != len(p.Slots) {
				t.Fatalf("%+v decodes again as %+v, %v", p, again, err)
			}
		}
	})
}

func FuzzDecodeContent(f *testing.F) {
	f.Add(Content{}.Append(nil))
	f.Add(FromRun(1<<30, Source{Bare, 5, 0}).Append(nil))
	f.Add(Content{Size: 10, Root: Slot{Page: 4, Digest: blockhash.Digest{9}}}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, _, err := Decode(b)
		if err != nil {
			if objstore.KindOf(err) == 0 {
				t.Fatalf("unclassified: %v", err)
			}
			return
		}
		if again, rest, err := Decode(c.Append(nil)); err != nil || again != c || len(rest) != 0 {
			t.Fatalf("%+v decodes again as %+v, %v", c, again, err)
		}
	})
}

// A flipped bit anywhere in a page is seen (C11).
func TestFlippedBitsOfPagesAreSeen(t *testing.T) {
	p := &Page{Extents: []Extent{{Off: 5, Len: 10, Source: Source{Inline, 9, 3}}}}
	good := p.Encode(6)
	if _, err := DecodePage(7, good); !errors.Is(err, objstore.ErrCorrupt) {
		t.Errorf("page of another id: %v", err)
	}
	for bit := range len(good) * 8 {
		b := append([]byte(nil), good...)
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := DecodePage(6, b); !errors.Is(err, objstore.ErrCorrupt) {
			t.Errorf("bit %d: %v", bit, err)
		}
	}
}
