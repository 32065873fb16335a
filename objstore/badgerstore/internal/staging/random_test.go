package staging

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// Random operations on a stage, with commits that succeed and fail, writes while they run, and
// deaths of the process: reads, sizes, hashes and committed contents are always those of the oracle, a slice.
func TestRandomOperationsMatchTheOracle(t *testing.T) {
	n := uint64(24)
	if testing.Short() {
		n = 8
	}
	for _, seed := range seeds(n) {
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { newPlay(t, seed).run(60) }) {
			t.Fatalf("rerun with -seed=%d", seed)
		}
	}
}

// play is one random run.
type play struct {
	t     *testing.T
	rng   *rand.Rand
	e     *engine
	st    *Stage
	base  *committed // nil: none
	saved []byte     // of base
	want  []byte
	lent  *loan  // some content; nil: none yet
	taken []byte // of lent
	small bool   // few bytes at a time
	pos   int64
}

func newPlay(t *testing.T, seed uint64) *play {
	p := &play{t: t, rng: rand.New(rand.NewPCG(seed, 3)), e: newEngineOf(t, disk.OS{}, t.TempDir(), int(seed%2))}
	p.small = p.rng.IntN(3) == 0
	p.st = p.e.session.NewStage(objstore.Owner{Path: "a/b", Object: 7}, nil)
	return p
}

func (p *play) run(n int) {
	for range n {
		p.e.crowd()
		switch k := p.rng.IntN(23); {
		case k == 22:
			p.spray()
		case k < 9:
			p.write()
		case k >= 20:
			p.borrow()
		case k < 11:
			p.truncate()
		case k < 14:
			p.allocate()
		case k < 18:
			p.commit(k)
		case k == 18:
			p.crash()
		default:
			p.restart()
		}
		p.check()
	}
	p.commit(14)
	p.check()
}

func (p *play) max() int64 {
	if p.small {
		return 40 << 10
	}
	return 3*blockBytes + 1000
}

func (p *play) write() {
	n := 1 + p.rng.IntN(5000)
	if !p.small && p.rng.IntN(3) == 0 {
		n = 1 + p.rng.IntN(blockBytes+70000)
	}
	switch p.rng.IntN(4) {
	case 0:
		p.pos = p.rng.Int64N(p.max())
	case 1:
		p.pos = int64(len(p.want))
	case 2:
		p.pos -= p.pos % 4096
	}
	if p.pos+int64(n) > p.max()+blockBytes {
		p.pos = 0
	}
	b := randomBytes(p.rng, n)
	p.e.write(p.st, p.pos, b)
	p.want = grown(p.want, p.pos+int64(n))
	p.pos += int64(copy(p.want[p.pos:], b))
}

// spray writes a little at many places.
func (p *play) spray() {
	p.e.session.checks = false // once is enough
	defer func() { p.e.session.checks = true }()
	for range gatherPiecesMin + 6 {
		p.pos = p.rng.Int64N(p.max())
		b := randomBytes(p.rng, 1+p.rng.IntN(700))
		p.e.write(p.st, p.pos, b)
		p.want = grown(p.want, p.pos+int64(len(b)))
		copy(p.want[p.pos:], b)
	}
}

func grown(p []byte, size int64) []byte {
	if size > int64(len(p)) {
		p = append(p, make([]byte, size-int64(len(p)))...)
	}
	return p
}

func (p *play) truncate() {
	size := p.rng.Int64N(p.max())
	if p.rng.IntN(4) == 0 {
		size = 0
	}
	if err := p.st.Truncate(context.Background(), size); err != nil {
		p.t.Fatal(err)
	}
	p.want = grown(p.want, size)[:size:size]
}

func (p *play) allocate() {
	off, n := p.rng.Int64N(p.max()), 1+p.rng.Int64N(p.max()/2)
	mode := []objstore.AllocateMode{
		objstore.AllocateGrow, objstore.AllocateKeepSize, objstore.PunchHole, objstore.ZeroRange,
	}[p.rng.IntN(4)]
	if err := p.st.Allocate(context.Background(), off, n, mode); err != nil {
		p.t.Fatal(err)
	}
	if mode == objstore.AllocateGrow || mode == objstore.ZeroRange {
		p.want = grown(p.want, off+n)
	}
	if end := min(off+n, int64(len(p.want))); (mode == objstore.PunchHole || mode == objstore.ZeroRange) && off < end {
		clear(p.want[off:end])
	}
}

// borrow makes a part of a content that was committed before one of the stage's, at places that fit or not.
func (p *play) borrow() {
	if p.base == nil || len(p.saved) == 0 {
		return
	}
	if p.lent == nil || p.rng.IntN(3) == 0 {
		p.lent, p.taken = &loan{committed: p.base}, p.saved
	}
	l := &loan{committed: p.lent.committed}
	from, to := p.rng.Int64N(int64(len(p.taken))), p.rng.Int64N(p.max())
	if p.rng.IntN(2) == 0 {
		from, to = from/4096*4096, to/blockBytes*blockBytes+from%blockBytes/4096*4096
	}
	n, err := p.st.Borrow(context.Background(), l, from, 1+p.rng.Int64N(p.max()), to)
	if err != nil || n == 0 {
		p.t.Fatalf("borrowed %d from %d to %d: %v", n, from, to, err)
	}
	p.want = grown(p.want, to+n)
	copy(p.want[to:], p.taken[from:from+n])
}

// commit seals; sometimes there are changes meanwhile, and before the outcome, which may be failure, or the death of the process.
func (p *play) commit(k int) {
	sealed := bytes.Clone(p.want)
	se, err := p.e.during(p.st, p.change)
	if err != nil {
		p.t.Fatal(err)
	}
	c := p.e.build(se, p.base)
	p.e.check(c, se.Hash, sealed)
	p.checkAppended(se, sealed)
	p.change()
	switch k {
	case 16:
		p.crash()
		return
	case 15:
		se.Failed()
		return
	}
	if err := se.Committed(objstore.Owner{Path: "c", Object: 7, Base: "5"}, c); err != nil {
		p.t.Fatal(err)
	}
	if p.st.Changed() != !bytes.Equal(sealed, p.want) && !p.st.Changed() {
		p.t.Fatal("changed since the seal, and not Changed")
	}
	p.base, p.saved = c, sealed
}

// change changes this and that, or nothing.
func (p *play) change() {
	for range p.rng.IntN(3) {
		[]func(){p.write, p.truncate, p.allocate, p.borrow, p.spray}[p.rng.IntN(5)]()
		p.check()
	}
}

// checkAppended: what is said to be appended to is there unchanged.
func (p *play) checkAppended(se *Sealed, sealed []byte) {
	if se.Appended && (p.base == nil || len(sealed) <= len(p.saved) || !bytes.Equal(sealed[:len(p.saved)], p.saved)) {
		p.t.Fatal("sealed as appended")
	}
}

// crash lets the process die: a changed stage is found, as it was.
func (p *play) crash() {
	changed := p.st.Changed()
	owner := p.st.Owner()
	p.e.crash()
	found := 0
	err := p.e.session.Sweep(keeper{func(f Found) (Base, error) {
		if f.Owner != owner {
			p.t.Errorf("found a stage of %+v, want %+v", f.Owner, owner)
		}
		return p.baseOrNil(), nil
	}, func(_ Found, st *Stage) error {
		found++
		if !changed {
			return nil
		}
		p.checkStage(st)
		se := p.e.seal(st)
		c := p.e.build(se, p.base)
		p.e.check(c, se.Hash, p.want)
		p.base, p.saved = c, bytes.Clone(p.want)
		return se.Committed(st.Owner(), c)
	}})
	// An allocation that had nothing to do is a change of which nothing can be lost.
	if err != nil || found > 1 || changed && found != 1 && !bytes.Equal(p.want, p.saved) {
		p.t.Fatalf("found %d stages of a process that died with changed=%v: %v", found, changed, err)
	}
	if !changed {
		p.want = bytes.Clone(p.saved)
	}
	p.st = p.e.session.NewStage(owner, p.baseOrNil())
}

// restart is another writer of the content.
func (p *play) restart() {
	if err := p.st.Close(); err != nil {
		p.t.Fatal(err)
	}
	p.want = bytes.Clone(p.saved)
	p.st = p.e.session.NewStage(objstore.Owner{Path: "a/b", Object: 7}, p.baseOrNil())
}

func (p *play) baseOrNil() Base {
	if p.base == nil {
		return nil
	}
	return p.base
}

func (p *play) check() { p.t.Helper(); p.checkStage(p.st) }

func (p *play) checkStage(st *Stage) {
	p.t.Helper()
	if st.Size() != int64(len(p.want)) {
		p.t.Fatalf("size %d, want %d", st.Size(), len(p.want))
	}
	got := make([]byte, len(p.want)+1)
	n, err := st.ReadAt(context.Background(), got, 0)
	if n != len(p.want) || err != io.EOF {
		p.t.Fatalf("read %d of %d: %v", n, len(p.want), err)
	}
	if !bytes.Equal(got[:n], p.want) {
		p.t.Fatalf("differs at %d of %d", diff(got[:n], p.want), n)
	}
	if len(p.want) > 0 {
		off := p.rng.IntN(len(p.want))
		part := got[:p.rng.IntN(len(p.want)-off+1)]
		if n, err := st.ReadAt(context.Background(), part, int64(off)); err != nil || !bytes.Equal(part[:n], p.want[off:off+len(part)]) {
			p.t.Fatalf("read %d at %d: %d, %v", len(part), off, n, err)
		}
	}
	p.checkHoles(st)
}

// checkHoles walks by NextData and NextHole: what is a hole reads as zeros.
func (p *play) checkHoles(st *Stage) {
	p.t.Helper()
	size := int64(len(p.want))
	for pos := int64(0); pos < size; {
		data, err := st.NextData(context.Background(), pos)
		if errors.Is(err, objstore.ErrRange) {
			data, err = size, nil
		}
		if err != nil || data < pos || !allZero(p.want[pos:data]) {
			p.t.Fatalf("next data from %d: %d, %v", pos, data, err)
		}
		if pos = data; pos == size {
			break
		}
		if pos, err = st.NextHole(context.Background(), data); err != nil || pos <= data || pos > size {
			p.t.Fatalf("next hole from %d: %d, %v", data, pos, err)
		}
	}
	if _, err := st.NextHole(context.Background(), size); !errors.Is(err, objstore.ErrRange) {
		p.t.Fatalf("next hole from the end: %v", err)
	}
}

func allZero(p []byte) bool {
	return !slices.ContainsFunc(p, func(b byte) bool { return b != 0 })
}
