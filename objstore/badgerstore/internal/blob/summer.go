package blob

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"maps"
	"math"
	"math/bits"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// BareBytes is the content size from which a blob is bare: large enough to be
// worth serving by the kernel alone, and a second file costs little beside it.
const BareBytes = 1 << 20

// Summer keeps the checksums of a file while it is written. Bytes written in
// order are summed as they pass; others are read again when it is finished, without the holes around them. It is not safe for
// concurrent use.
type Summer struct {
	groups map[int64]*sumGroup // of groupUnits units each
	// The unit being written in order: tailBytes of it have passed.
	tail      int64
	tailBytes int
	tailHash  xxh3.Hasher
}

const groupUnits = 256

type sumGroup struct {
	sums   [groupUnits]uint64
	states [groupUnits]sumState
	pages  [groupUnits]pageSet
}

// pageSet are the pages of a unit that may have bytes, a bit for each. The others are holes.
type pageSet uint16

const (
	pageBytes = SumBytes / 16
	allPages  = ^pageSet(0)
)

// pagesOf are the pages of n bytes from at on.
func pagesOf(at, n int) pageSet {
	first, last := at/pageBytes, (at+n-1)/pageBytes
	return allPages << first & (allPages >> (15 - last))
}

type sumState uint8

const (
	sumNone    sumState = iota // no bytes in the unit
	sumUnknown                 // to be read
	sumKnown
)

// NewSummer returns a Summer for an empty file.
func NewSummer() *Summer { return &Summer{groups: make(map[int64]*sumGroup), tail: -1} }

// Wrote notes that p was written at off.
func (s *Summer) Wrote(p []byte, off int64) {
	for len(p) > 0 {
		unit, at := off/SumBytes, int(off%SumBytes)
		part := p[:min(len(p), SumBytes-at)]
		s.wrote(unit, at, part)
		p, off = p[len(part):], off+int64(len(part))
	}
}

func (s *Summer) wrote(unit int64, at int, p []byte) {
	defer s.touch(unit, pagesOf(at, len(p)))
	if len(p) == SumBytes {
		s.set(unit, sumKnown, xxh3.Hash(p))
		return
	}
	if at == 0 && s.state(unit) == sumNone {
		s.set(unit, sumUnknown, 0)
		s.tail, s.tailBytes = unit, 0
		s.tailHash.Reset()
	}
	if unit != s.tail || at != s.tailBytes {
		s.set(unit, sumUnknown, 0)
		return
	}
	s.tailHash.Write(p) // never fails
	if s.tailBytes += len(p); s.tailBytes == SumBytes {
		s.set(unit, sumKnown, s.tailHash.Sum64())
	}
}

// touch notes which pages of a unit may have bytes.
func (s *Summer) touch(unit int64, pages pageSet) {
	s.group(unit).pages[unit%groupUnits] |= pages
}

// set sets the state of a unit, which is no longer the tail.
func (s *Summer) set(unit int64, state sumState, value uint64) {
	if s.tail == unit {
		s.tail = -1
	}
	g := s.group(unit)
	g.states[unit%groupUnits], g.sums[unit%groupUnits] = state, value
}

// group is the one unit is in, made at need.
func (s *Summer) group(unit int64) *sumGroup {
	g := s.groups[unit/groupUnits]
	if g == nil {
		g = new(sumGroup)
		s.groups[unit/groupUnits] = g
	}
	return g
}

func (s *Summer) state(unit int64) sumState {
	if g := s.groups[unit/groupUnits]; g != nil {
		return g.states[unit%groupUnits]
	}
	return sumNone
}

// used are the units of [from, to) with bytes in them, in order.
func (s *Summer) used(from, to int64) []int64 {
	var units []int64
	for _, i := range slices.Sorted(maps.Keys(s.groups)) {
		for j, state := range s.groups[i].states {
			if unit := i*groupUnits + int64(j); state != sumNone && unit >= from && unit < to {
				units = append(units, unit)
			}
		}
	}
	return units
}

// Cut notes that the file now ends at size.
func (s *Summer) Cut(size int64) { s.Zeroed(size, math.MaxInt64) }

// Zeroed notes that [from, to) has no bytes any more.
func (s *Summer) Zeroed(from, to int64) {
	for _, unit := range s.used(from/SumBytes, to/SumBytes+1) {
		switch start, end := unit*SumBytes, (unit+1)*SumBytes; {
		case start >= from && end <= to:
			s.set(unit, sumNone, 0) // and what may have bytes still may: a hole reads as zeros, too
		case start < to && end > from:
			s.set(unit, sumUnknown, 0)
		}
	}
}

// Doubt notes that bytes in [from, to) may have changed.
func (s *Summer) Doubt(from, to int64) {
	for unit := from / SumBytes; unit*SumBytes < to; unit++ {
		if s.state(unit) != sumNone {
			s.set(unit, sumUnknown, 0)
		}
		s.touch(unit, allPages)
	}
}

// Found notes that [from, to) has bytes from before; they are read when it is finished.
func (s *Summer) Found(from, to int64) {
	for unit := from / SumBytes; unit*SumBytes < to; unit++ {
		s.set(unit, sumUnknown, 0)
		s.touch(unit, allPages)
	}
}

// finish returns the units with bytes of the first dataBytes of f and their
// checksums; those not known are read.
func (s *Summer) finish(f disk.File, dataBytes int64) (runs []run, sums []byte, err error) {
	units := s.used(0, (dataBytes+SumBytes-1)/SumBytes)
	sums = make([]byte, 0, len(units)*sumEntry)
	var buf []byte
	for _, unit := range units {
		length := min(SumBytes, dataBytes-unit*SumBytes)
		value := s.groups[unit/groupUnits].sums[unit%groupUnits]
		switch {
		case s.state(unit) == sumKnown:
		case unit == s.tail && int64(s.tailBytes) == length:
			value = s.tailHash.Sum64()
		default:
			if buf == nil {
				buf = make([]byte, SumBytes)
			}
			if err := s.readUnit(f, unit, buf[:length]); err != nil {
				return nil, nil, disk.Error("checksum staged bytes", err)
			}
			value = xxh3.Hash(buf[:length])
		}
		sums = binary.BigEndian.AppendUint64(sums, value)
		runs = appendUnit(runs, unit)
	}
	return runs, sums, nil
}

// readUnit fills p with a unit. A hole is not read: the page cache would get a page for it, which costs more than its checksum.
func (s *Summer) readUnit(f disk.File, unit int64, p []byte) error {
	clear(p)
	pages := s.groups[unit/groupUnits].pages[unit%groupUnits]
	for pages != 0 {
		first := bits.TrailingZeros16(uint16(pages))
		n := bits.TrailingZeros16(^uint16(pages >> first))
		pages &^= pagesOf(first*pageBytes, n*pageBytes)
		from, to := first*pageBytes, min((first+n)*pageBytes, len(p))
		if from >= to {
			return nil
		}
		if _, err := f.ReadAt(p[from:to], unit*SumBytes+int64(from)); err != nil {
			return err
		}
	}
	return nil
}

func appendUnit(runs []run, unit int64) []run {
	if n := len(runs); n > 0 && runs[n-1].first+runs[n-1].n == unit {
		runs[n-1].n++
		return runs
	}
	return append(runs, run{unit, 1})
}

// Seal writes the checksum block of a payload file that is complete: f, whose content is the
// first dataBytes; what follows, of a seal that came to nothing, goes. digests are those of whole 4 MiB blocks
// of the file, by number. The file may be adopted then, and must not be written again.
func Seal(fsys disk.FS, f disk.File, id uint64, meta Meta, dataBytes int64, s *Summer,
	digests map[int64]blockhash.Digest) (Sealed, error) {
	b := block{id: id, meta: meta, dataBytes: dataBytes}
	var err error
	if b.sumRuns, b.sums, err = s.finish(f, dataBytes); err != nil {
		return Sealed{}, err
	}
	b.setDigests(digests)
	raw, check := b.encode()
	sealed := Sealed{
		Ref: Ref{ID: id, Bare: dataBytes >= BareBytes}, Path: f.Name(), DataBytes: dataBytes, Check: check,
	}
	if sealed.Ref.Bare {
		sealed.SumPath = f.Name() + sumSuffix
		err = errors.Join(cut(f, dataBytes), writeSums(fsys, sealed.SumPath, raw))
	} else if _, err = f.WriteAt(raw, dataBytes); err == nil {
		err = cut(f, dataBytes+int64(len(raw)))
	}
	return sealed, disk.Error("seal", err)
}

func (b *block) setDigests(digests map[int64]blockhash.Digest) {
	for _, k := range slices.Sorted(maps.Keys(digests)) {
		d := digests[k]
		b.digRuns = appendUnit(b.digRuns, k)
		b.digests = append(b.digests, d[:]...)
	}
}

// cut makes f size bytes long.
func cut(f disk.File, size int64) error {
	info, err := f.Stat()
	if err != nil || info.Size == size {
		return err
	}
	return f.Truncate(size)
}

// writeSums makes the file of a checksum block. What has that name is of an earlier seal, and
// may be a blob's by now: it is left alone.
func writeSums(fsys disk.FS, name string, raw []byte) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(raw, 0)
	return errors.Join(err, f.Close())
}
