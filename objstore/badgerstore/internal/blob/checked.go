package blob

import (
	"context"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// checked notes which units of a blob were found to match their checksums, and since when.
type checked struct {
	// Constant.
	lasts time.Duration // how long a unit needs no other look
	now   func() time.Time

	mu    sync.Mutex
	since time.Time // GUARDED_BY(mu): when the first was noted
	units []uint64  // GUARDED_BY(mu): a bit for each
}

// newChecked is for a blob of so many bytes.
func newChecked(dataBytes int64, lasts time.Duration, now func() time.Time) *checked {
	const perWord = 64 * SumBytes
	return &checked{lasts: lasts, now: now, units: make([]uint64, (dataBytes+perWord-1)/perWord)}
}

// note comes after the units that the bytes from off on lie in were verified.
func (c *checked) note(off, length int64) {
	if c == nil {
		return
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.since) >= c.lasts {
		clear(c.units)
		c.since = now
	}
	for unit := off / SumBytes; unit*SumBytes < off+length; unit++ {
		c.units[unit/64] |= 1 << (unit % 64)
	}
}

// noteWhole comes after all units were verified, the first at since.
func (c *checked) noteWhole(since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = since
	for i := range c.units {
		c.units[i] = ^uint64(0)
	}
}

// holds reports whether all units of a range were verified lately.
func (c *checked) holds(off, length int64) bool {
	if c == nil {
		return false
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.since) >= c.lasts {
		return false
	}
	for unit := off / SumBytes; unit*SumBytes < off+length; unit++ {
		if c.units[unit/64]&(1<<(unit%64)) == 0 {
			return false
		}
	}
	return true
}

// LookBytesMax is the most that OpenChecked verifies itself.
const LookBytesMax = 4 << 20

// OpenChecked opens the file of a bare blob whose bytes from off to off+length were read and verified
// within CheckedLasts: they may leave it without another look, and without passing through this process.
// It is false if they were not, and are too many to be verified now, or are damaged: whoever reads them is told.
func (s *Store) OpenChecked(ctx context.Context, ref Ref, off, length int64) (file disk.File, ok bool) {
	if !ref.Bare || s.files.checkedLasts <= 0 {
		return nil, false
	}
	h, err := s.files.use(ref, s.Path(ref))
	if err != nil {
		return nil, false
	}
	defer s.files.done(h)
	if off < 0 || length < 0 || off+length > h.block.dataBytes || !h.look(ctx, off, length) {
		return nil, false
	}
	file, err = s.fs.Open(s.Path(ref))
	return file, err == nil
}

// look verifies what of a range was not verified lately, and reports whether all of it was or is.
func (h *handle) look(ctx context.Context, off, length int64) bool {
	if h.checked.holds(off, length) {
		return true
	}
	if length > LookBytesMax {
		return false
	}
	buf := h.units.buffers.Get().(*unitBuffer)
	defer h.units.buffers.Put(buf)
	for at := off - off%SumBytes; at < off+length; at += SumBytes {
		if h.checked.holds(at, 1) {
			continue
		}
		if _, err := h.readAt(ctx, buf[:min(SumBytes, h.block.dataBytes-at)], at); err != nil {
			return false
		}
	}
	return h.checked.holds(off, length)
}
