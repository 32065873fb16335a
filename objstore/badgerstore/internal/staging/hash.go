package staging

import (
	"context"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/zeebo/xxh3"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// pieceBytes is how much is read at once to be hashed.
const pieceBytes = 256 << 10

// blockSize is the length of block k of the view.
func (v *view) blockSize(k int64) int64 { return min(blockBytes, v.size-k*blockBytes) }

// dirty are the blocks that differ from the base in bytes or length, but for such as are all zeros.
func (v *view) dirty() []int64 {
	var ks []int64
	for k, b := range v.blocks {
		if len(b.segments) > 0 {
			ks = append(ks, k)
		}
	}
	// The block in which what is seen of the base ends.
	edge := v.limit / blockBytes
	differs := v.limit < v.baseSize() || v.size != v.baseSize()
	if b := v.blocks[edge]; v.limit%blockBytes != 0 && differs && (b == nil || len(b.segments) == 0) {
		ks = append(ks, edge)
	}
	slices.Sort(ks)
	return ks
}

// hashBlocks finds the digests of all dirty blocks, into explicit.
func (s *sealing) hashBlocks(ctx context.Context) error {
	var unknown []int64
	for _, k := range s.view.dirty() {
		if d, ok := s.knownDigest(k); ok {
			s.explicit[k] = d
		} else {
			unknown = append(unknown, k)
		}
	}
	digests, err := s.readDigests(ctx, unknown)
	if err != nil {
		return err
	}
	for i, k := range unknown {
		s.explicit[k] = digests[i]
	}
	for k, d := range s.explicit {
		if b := s.view.blocks[k]; b != nil { // shared, so the stage does not look at it now
			b.digest, b.digestBytes = d, s.view.blockSize(k)
		}
	}
	return nil
}

// knownDigest is the digest of block k if it takes no reading.
func (s *sealing) knownDigest(k int64) (blockhash.Digest, bool) {
	b, n := s.view.blocks[k], s.view.blockSize(k)
	if b != nil && b.digestBytes == n {
		return b.digest, true
	}
	if d, ok := s.tail.digest(k, n); ok {
		return d, true
	}
	if b.zeros(k, n) {
		return blockhash.Zeros(n), true
	}
	return blockhash.Digest{}, false
}

// readDigests reads blocks and hashes them, with as many hands as the session has to spare: what many small changes cost
// at their commit is this.
func (s *sealing) readDigests(ctx context.Context, blocks []int64) ([]blockhash.Digest, error) {
	digests := make([]blockhash.Digest, len(blocks))
	var (
		wg    sync.WaitGroup
		next  atomic.Int64
		first atomic.Pointer[error]
	)
	work := func() {
		for first.Load() == nil {
			i := int(next.Add(1)) - 1
			if i >= len(blocks) {
				return
			}
			var err error
			if digests[i], err = s.hashBlock(ctx, blocks[i], s.view.blockSize(blocks[i])); err != nil {
				first.CompareAndSwap(nil, &err)
			}
		}
	}
	for range s.session.takeHands(len(blocks) - 1) {
		wg.Go(func() {
			defer s.session.giveHand()
			work()
		})
	}
	work()
	wg.Wait()
	if err := first.Load(); err != nil {
		return nil, *err
	}
	return digests, nil
}

// takeHands takes up to n of the hands that are free, each of which is a goroutine that reads and hashes.
func (s *Session) takeHands(n int) (taken int) {
	for taken < n {
		select {
		case s.hands <- struct{}{}:
			taken++
		default:
			return taken
		}
	}
	return taken
}

func (s *Session) giveHand() { <-s.hands }

// zeros reports whether a change made all n bytes of block k zeros.
func (b *block) zeros(k, n int64) bool {
	return b != nil && len(b.segments) == 1 && b.segments[0] == segment{
		off: k * blockBytes, n: n, epoch: b.segments[0].epoch}
}

// hashBlock reads a block and hashes it. If it is the last, the stage goes on from there.
func (s *sealing) hashBlock(ctx context.Context, k, n int64) (blockhash.Digest, error) {
	buf := s.session.pieces.Get().(*[]byte)
	defer s.session.pieces.Put(buf)
	var hashed stream
	hashed.begin(k)
	for hashed.filled < n {
		p := (*buf)[:min(n-hashed.filled, pieceBytes)]
		if m, err := s.view.readAt(ctx, p, k*blockBytes+hashed.filled); m < len(p) {
			return blockhash.Digest{}, readError(err)
		}
		hashed.hash.Write(p) // never fails
		hashed.filled += int64(len(p))
	}
	sum := hashed.sum() // before the stage has it and hashes more
	if k*blockBytes+n == s.view.size && n < blockBytes {
		s.stage.resume(hashed, s.changes)
	}
	return sum, nil
}

// readError is err, or that the content ended early.
func readError(err error) error {
	if err == nil || err == io.EOF {
		return &objstore.Error{Op: "seal stage", Kind: objstore.ErrCorrupt, Err: io.ErrUnexpectedEOF}
	}
	return err
}

// resume lets the stage go on hashing where a seal has hashed the last block, unless it has changed.
func (st *Stage) resume(hashed stream, changes uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.changes == changes {
		st.stream = hashed
	}
}

// digestsAtOnce is how many digests of unchanged blocks are taken at once.
const digestsAtOnce = 4096

// hashContent makes the hash of the content of the digests of all its blocks.
func (s *sealing) hashContent() error {
	count := blockhash.BlockCount(s.Size)
	h := contentHash{view: &s.view}
	for _, k := range slices.Sorted(maps.Keys(s.explicit)) {
		if err := h.unchanged(k); err != nil {
			return err
		}
		h.add(s.explicit[k])
	}
	if err := h.unchanged(count); err != nil {
		return err
	}
	switch count {
	case 0:
		s.Hash = blockhash.Of(nil)
	case 1:
		s.Hash = h.last
	default:
		s.Hash = blockhash.Digest(h.hash.Sum128().Bytes())
	}
	return nil
}

// contentHash is blockhash.Content without having all digests at once.
type contentHash struct {
	view *view
	hash xxh3.Hasher
	next int64 // block
	last blockhash.Digest
}

func (h *contentHash) add(digests ...blockhash.Digest) {
	buf := make([]byte, 0, len(digests)*len(h.last))
	for i := range digests {
		buf = append(buf, digests[i][:]...)
	}
	h.hash.Write(buf) // never fails
	h.next += int64(len(digests))
	h.last = digests[len(digests)-1]
}

// unchanged adds the digests of the blocks up to one: those of the base, then zeros.
func (h *contentHash) unchanged(to int64) error {
	for below := min(to, blockhash.BlockCount(h.view.limit)); h.next < below; {
		n := min(digestsAtOnce, below-h.next)
		digests, err := h.view.base.Digests(h.next, n)
		if err != nil {
			return err
		}
		if int64(len(digests)) != n {
			return readError(nil)
		}
		h.add(digests...)
	}
	zeros := make([]blockhash.Digest, min(digestsAtOnce, max(to-h.next, 0)))
	for i := range zeros {
		zeros[i] = blockhash.Zeros(blockBytes)
	}
	for h.next < to {
		n := min(digestsAtOnce, to-h.next)
		if h.next+n == blockhash.BlockCount(h.view.size) {
			zeros[n-1] = blockhash.Zeros(h.view.blockSize(h.next + n - 1))
		}
		h.add(zeros[:n]...)
	}
	return nil
}
