package extent

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/zeebo/xxh3"

	"github.com/etagfs/etagfs/objstore/blockhash"
)

// flat is the oracle: a content as one list of extents, holes left out.
type flat struct {
	size    int64
	extents []Extent
	zeros   func(n int64) blockhash.Digest
}

// zeroDigests is blockhash.Zeros, remembering that of a whole block.
func zeroDigests() func(n int64) blockhash.Digest {
	whole := blockhash.Zeros(blockhash.BlockBytes)
	return func(n int64) blockhash.Digest {
		if n == blockhash.BlockBytes {
			return whole
		}
		return blockhash.Zeros(n)
	}
}

// in lists the extents of [from, to), holes left out, neighbours joined.
func (f flat) in(from, to int64) []Extent {
	var out []Extent
	i := sort.Search(len(f.extents), func(i int) bool { return f.extents[i].End() > from })
	for ; i < len(f.extents) && f.extents[i].Off < to && from < to; i++ {
		e := f.extents[i].clip(from, to)
		if n := len(out); n > 0 && out[n-1].continues(e) {
			out[n-1].Len += e.Len
			continue
		}
		out = append(out, e)
	}
	return out
}

func (f flat) apply(size int64, changes []Extent) flat {
	out := flat{size: size, zeros: f.zeros}
	pos := int64(0)
	for _, c := range changes {
		out.extents = append(out.extents, f.in(pos, min(c.Off, size))...)
		if c.Source.Kind != Hole {
			out.extents = append(out.extents, c)
		}
		pos = c.End()
	}
	out.extents = append(out.extents, f.in(pos, size)...)
	out.extents = out.in(0, size)
	return out
}

// digest stands for the hash of a block: equal if and only if bytes and length are.
func (f flat) digest(block int64) blockhash.Digest {
	start := block * blockhash.BlockBytes
	end := min(start+blockhash.BlockBytes, f.size)
	extents := f.in(start, end)
	if len(extents) == 0 {
		return f.zeros(end - start)
	}
	if len(extents) == 1 && extents[0].Len == end-start && extents[0].Source.Off%blockhash.BlockBytes == 0 {
		return runDigest(extents[0].Source)
	}
	return blockhash.Of(fmt.Append(nil, end-start, extents))
}

// runDigest is the digest of a block that a payload has whole.
func runDigest(s Source) blockhash.Digest { return blockhash.Of(fmt.Append(nil, s)) }

// world is a store's worth of contents that share pages and payloads, with the
// account of references a store keeps.
type world struct {
	t      *testing.T
	rng    *rand.Rand
	pages  map[PageID][]byte
	counts map[Ref]int
	freed  map[PageID]*pending // what will remove them
	nextID uint64
	sizes  map[uint64]int64 // of payloads
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), pages: make(map[PageID][]byte),
		counts: make(map[Ref]int), freed: make(map[PageID]*pending), sizes: make(map[uint64]int64),
	}
}

func (w *world) id() uint64 {
	w.nextID++
	return w.nextID
}

func (w *world) Page(id PageID) (*Page, error) {
	b, ok := w.pages[id]
	if !ok {
		return nil, corrupt("page %d is gone", id)
	}
	return DecodePage(id, b)
}

func (w *world) State(id PageID) (PageState, error) {
	switch {
	case w.freed[id] != nil:
		return Freed, nil
	case w.counts[Ref{RefPage, uint64(id)}] > 1:
		return Shared, nil
	default:
		return Owned, nil
	}
}

func (w *world) NewPageID() PageID { return PageID(w.id()) }

func (w *world) BlockDigests(s Source, n int64) ([]blockhash.Digest, error) {
	var out []blockhash.Digest
	for i := range n {
		out = append(out, runDigest(s.advance(i*blockhash.BlockBytes)))
	}
	return out, nil
}

// pending is what ends with a replaced content.
type pending struct {
	dropped []Ref
	freed   []PageID
}

// execute does what plan asks and returns what has to wait.
func (w *world) execute(plan *Plan) *pending {
	for _, p := range plan.Pages {
		w.pages[p.ID] = p.Page.Encode(p.ID)
		w.counts[Ref{RefPage, uint64(p.ID)}]++
	}
	for _, ref := range plan.Gained {
		w.counts[ref]++
	}
	for _, id := range plan.Revived {
		removal := w.freed[id]
		removal.freed = slices.DeleteFunc(removal.freed, func(other PageID) bool { return other == id })
		delete(w.freed, id)
		w.counts[Ref{RefPage, uint64(id)}]++
	}
	p := &pending{plan.Dropped, plan.Freed}
	for _, id := range plan.Freed {
		w.freed[id] = p
		w.counts[Ref{RefPage, uint64(id)}]--
	}
	return p
}

// finish ends what a replaced content kept.
func (w *world) finish(p *pending) {
	for _, id := range p.freed {
		delete(w.freed, id)
		w.remove(id)
	}
	for _, ref := range p.dropped {
		w.drop(ref)
	}
}

func (w *world) remove(id PageID) {
	ref := Ref{RefPage, uint64(id)}
	if w.counts[ref] != 0 {
		w.t.Fatalf("removing page %d with %d references", id, w.counts[ref])
	}
	delete(w.counts, ref)
	delete(w.pages, id)
}

func (w *world) drop(ref Ref) {
	w.counts[ref]--
	switch {
	case w.counts[ref] < 0:
		w.t.Fatalf("%v dropped once too often", ref)
	case w.counts[ref] > 0:
		return
	case ref.Kind != RefPage:
		delete(w.counts, ref)
		return
	}
	page, err := w.Page(PageID(ref.ID))
	if err != nil {
		w.t.Fatal(err)
	}
	w.remove(PageID(ref.ID))
	for _, child := range page.Refs() {
		w.drop(child)
	}
}

// checkCounts compares the account with the references there are.
func (w *world) checkCounts(records []Content) {
	want := make(map[Ref]int)
	for _, c := range records {
		for _, ref := range c.Refs() {
			want[ref]++
		}
	}
	for id := range w.pages {
		page, err := w.Page(id)
		if err != nil {
			w.t.Fatal(err)
		}
		if w.freed[id] != nil {
			continue
		}
		for _, ref := range page.Refs() {
			want[ref]++
		}
	}
	maps.DeleteFunc(w.counts, func(_ Ref, n int) bool { return n == 0 })
	if !maps.Equal(want, w.counts) {
		w.t.Fatalf("references: have %v, want %v", w.counts, want)
	}
}

// run is a content of one new payload.
func (w *world) run(size int64) Content {
	c := FromRun(size, Source{Kind: Bare, ID: w.id()})
	w.counts[c.Refs()[0]]++
	return c
}

// version is a content with its oracle.
type version struct {
	content Content
	flat    flat
}

// edit makes a random edit of v.
func (w *world) edit(v version) (Edit, flat) {
	size := w.size(v.flat.size)
	var changes []Extent
	if cut := v.flat.size; w.rng.IntN(8) == 0 && cut > 0 && size > 0 { // truncated and grown again
		from := w.rng.Int64N(min(cut, size))
		changes = append(changes, Extent{Off: from, Len: min(cut, size) - from})
	}
	for pos := int64(0); len(changes) < 4 && size > 0; {
		e := w.change(size)
		if e.Off < pos || len(changes) > 0 && changes[0].End() > e.Off {
			if w.rng.IntN(3) == 0 {
				break
			}
			continue
		}
		changes = append(changes, e)
		pos = e.End()
		if w.rng.IntN(2) == 0 {
			break
		}
	}
	next := v.flat.apply(size, changes)
	return Edit{Size: size, Changes: changes, Blocks: w.blocks(v.flat, next, changes)}, next
}

func (w *world) size(old int64) int64 {
	const block = blockhash.BlockBytes
	switch w.rng.IntN(6) {
	case 0:
		return w.rng.Int64N(2 * block)
	case 1:
		return w.rng.Int64N(80) * block
	case 2:
		return w.rng.Int64N(140 * block)
	default:
		return old
	}
}

func (w *world) change(size int64) Extent {
	const block = blockhash.BlockBytes
	e := Extent{Off: w.rng.Int64N(size)}
	length := 1 + w.rng.Int64N(10000)
	if w.rng.IntN(2) == 0 { // whole blocks
		e.Off -= e.Off % block
		length = (1 + w.rng.Int64N(140)) * block
	}
	e.Len = min(length, size-e.Off)
	switch w.rng.IntN(5) {
	case 0:
	case 1, 2:
		e.Source = Source{Kind: Inline, ID: w.id(), Off: w.rng.Int64N(100)}
	default:
		e.Source = Source{Kind: Bare, ID: w.id(), Off: w.rng.Int64N(3) * block}
	}
	w.sizes[e.Source.ID] = e.Source.Off + e.Len
	return e
}

// blocks are the digests an edit must bring: of blocks that differ, unless a
// payload that ends with the content or beyond the block has them.
func (w *world) blocks(old, next flat, changes []Extent) []BlockDigest {
	var out []BlockDigest
	for b := range blockhash.BlockCount(next.size) {
		start := b * blockhash.BlockBytes
		end := min(start+blockhash.BlockBytes, next.size)
		oldEnd := min(start+blockhash.BlockBytes, old.size)
		if end == oldEnd && slices.Equal(old.in(start, end), next.in(start, end)) && !touched(changes, start, end) {
			continue
		}
		i := slices.IndexFunc(changes, func(c Extent) bool { return c.Off <= start && c.End() >= end })
		if i >= 0 && changes[i].Source.advance(start-changes[i].Off).Off%blockhash.BlockBytes == 0 {
			continue
		}
		out = append(out, BlockDigest{b, next.digest(b)})
	}
	return out
}

func touched(changes []Extent, start, end int64) bool {
	return slices.ContainsFunc(changes, func(c Extent) bool { return c.Off < end && c.End() > start })
}

// check compares a content with its oracle.
func (w *world) check(v version) {
	w.t.Helper()
	pos := int64(0)
	var got []Extent
	err := v.content.Extents(w, 0, v.flat.size, func(e Extent) error {
		if e.Off != pos || e.Len <= 0 {
			w.t.Fatalf("extent %+v at %d", e, pos)
		}
		pos = e.End()
		if e.Source.Kind != Hole {
			got = append(got, e)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if pos != v.flat.size || !slices.Equal(got, v.flat.extents) {
		w.t.Fatalf("extents of %d bytes:\n%+v\nwant of %d bytes\n%+v", pos, got, v.flat.size, v.flat.extents)
	}
	w.checkDigests(v)
	w.checkEncoding(v.content)
}

func (w *world) checkDigests(v version) {
	n := blockhash.BlockCount(v.flat.size)
	digests, err := v.content.Digests(w, w, 0, n)
	if err != nil {
		w.t.Fatal(err)
	}
	for b := range n {
		if digests[b] != v.flat.digest(b) {
			w.t.Fatalf("digest of block %d of %d differs: %+v", b, n, v.flat.in(b<<22, (b+1)<<22))
		}
	}
}

func (w *world) checkEncoding(c Content) {
	got, rest, err := Decode(append(c.Append(nil), 7))
	if err != nil || got != c || len(rest) != 1 {
		w.t.Fatalf("decode: %+v, %d left, %v; want %+v", got, len(rest), err, c)
	}
}

// resum gives bytes the right checksum, so that fuzzing gets past it.
func resum(b []byte) []byte {
	body := slices.Clone(b[:max(0, len(b)-checksumBytes)])
	return binary.BigEndian.AppendUint64(body, xxh3.HashSeed(body, 1))
}
