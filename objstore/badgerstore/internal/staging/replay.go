package staging

import (
	"cmp"
	"errors"
	"io/fs"
	"math"
	"slices"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// replay makes a stage of its log. Nobody else has the stage yet.
type replay struct {
	st    *Stage
	log   *foundLog
	files map[uint64]*layer
	// shared are those of files whose bytes are to be copied.
	shared map[*layer]bool
	whole  *layer // not yet applied
	limit  int64  // where a base that is lost would end for the stage; 0: it is not
	gone   view   // its segments are what files that are lost had
}

func (s *Session) newReplay(l *foundLog, base Base) *replay {
	st := s.NewStage(l.owner, base)
	st.found, st.log.muted = l, true
	r := &replay{st: st, log: l, files: make(map[uint64]*layer), shared: make(map[*layer]bool), gone: newView(nil)}
	if base == nil {
		r.limit = l.baseSize
	}
	return r
}

// lost is what is not there any more.
func (r *replay) lost() (all []Range) {
	pos := int64(0)
	r.st.view.segments(0, r.limit, func(s segment) bool {
		all = append(all, Range{pos, s.off})
		pos = s.end()
		return true
	})
	all = append(all, Range{pos, r.limit})
	r.gone.segments(0, r.st.view.size, func(s segment) bool {
		all = append(all, Range{s.off, s.end()})
		return true
	})
	return joined(all)
}

// joined orders ranges that do not overlap, leaves out those that are empty, and joins neighbours.
func joined(all []Range) (left []Range) {
	slices.SortFunc(all, func(a, b Range) int { return cmp.Compare(a.Off, b.Off) })
	for _, r := range all {
		if n := len(left); n > 0 && left[n-1].End == r.Off {
			left[n-1].End = r.End
		} else if r.Off < r.End {
			left = append(left, r)
		}
	}
	return left
}

// put enters n bytes of a layer.
func (r *replay) put(off, n int64, l *layer, src int64) {
	r.st.put(off, n, l, src)
	r.gone.remove(off, off+n)
}

// miss enters that n bytes are lost and reads them as zeros, but for those that were in the log
// before they were moved.
func (r *replay) miss(off, n int64) {
	r.gone.put(segment{off: off, n: n})
	r.gone.size = max(r.gone.size, off+n)
	r.st.view.segments(off, off+n, func(s segment) bool {
		if s.layer != nil && s.layer.file == nil {
			r.gone.remove(s.off, s.end())
		}
		return true
	})
	r.gone.segments(off, off+n, func(s segment) bool {
		r.st.put(s.off, s.n, nil, 0)
		return true
	})
}

func (r *replay) run() error {
	v := &r.st.view
	v.size = r.log.baseSize
	v.limit = min(v.limit, v.size)
	for _, record := range r.log.records {
		if err := r.record(record); err != nil {
			return err
		}
		r.st.changes++
	}
	if err := r.applyWhole(math.MaxInt64); err != nil {
		return err
	}
	if err := r.detach(); err != nil {
		return err
	}
	for _, l := range r.files {
		if !r.shared[l] {
			l.summer.Found(0, l.end)
		}
	}
	r.st.checkInvariants()
	return nil
}

func (r *replay) record(rec logRecord) error {
	st, off, n := r.st, int64(rec.a), int64(rec.b)
	switch rec.kind {
	case recordData:
		src := r.memory(rec.data)
		r.put(off, int64(len(rec.data)), st.current, src)
	case recordRange:
		return r.rangeOf(rec.c, off, n, int64(rec.d))
	case recordWhole:
		l, err := r.file(rec.c)
		r.whole = l
		return err
	case recordSize:
		st.view.truncate(off)
		r.limit = min(r.limit, off)
		r.gone.truncate(off)
	case recordZero:
		return r.zero(off, off+n)
	case recordSeal:
		if rec.d != 0 {
			return r.applyWhole(int64(rec.d))
		}
	}
	return nil
}

// rangeOf enters a range of a layer's file.
func (r *replay) rangeOf(id uint64, off, n, src int64) error {
	l, err := r.file(id)
	if err != nil {
		return err
	}
	there := int64(0)
	if l != nil {
		info, err := l.file.Stat()
		if err != nil {
			return disk.Error("sweep staging", err)
		}
		there = min(n, max(info.Size-src, 0)) // power may have been cut
	}
	if there > 0 {
		l.end = max(l.end, src+there)
		r.put(off, there, l, src)
	}
	if there < n {
		r.miss(off+there, n-there)
	}
	return nil
}

func (r *replay) zero(from, to int64) error {
	r.gone.remove(from, to)
	if err := r.st.view.zero(from, to, r.st.epoch, false); err != nil {
		return err
	}
	if to = min(to, r.limit); from < to { // whatever the base had there
		r.st.view.put(segment{off: from, n: to - from, epoch: r.st.epoch})
	}
	return nil
}

// memory adds data to the one memory layer and returns its place there.
func (r *replay) memory(p []byte) int64 {
	st := r.st
	if st.current == nil {
		st.current = new(layer)
		st.layers = append(st.layers, st.current)
	}
	return st.current.remember(p)
}

// file is the layer of that number; nil if its file is gone, as after a move that failed.
func (r *replay) file(id uint64) (*layer, error) {
	if l := r.files[id]; l != nil {
		return l, nil
	}
	name := layerName(r.log.dir, id)
	info, err := r.st.session.fs.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, disk.Error("sweep staging", err)
	}
	f, err := r.st.session.files.Reopen(name)
	if err != nil {
		return nil, disk.Error("sweep staging", err)
	}
	l := &layer{session: r.st.session, file: f, found: true, frozen: true, summer: blob.NewSummer()}
	if isToBeCopied(info) {
		r.shared[l] = true
	}
	r.files[id] = l
	r.st.layers = append(r.st.layers, l)
	return l, nil
}

// detach leaves nothing that is in a file others have, or another sweep may need as it is.
func (r *replay) detach() error {
	for l := range r.shared {
		var seen []segment
		r.st.view.segments(0, r.st.view.size, func(s segment) bool {
			if s.layer == l {
				seen = append(seen, s)
			}
			return true
		})
		if err := r.st.session.detach(l, seen); err != nil {
			return disk.Error("sweep staging", err)
		}
	}
	return nil
}

// applyWhole enters what a whole layer's file has below end.
func (r *replay) applyWhole(end int64) error {
	l := r.whole
	if l == nil {
		return nil
	}
	r.whole = nil
	info, err := l.file.Stat()
	if err != nil {
		return disk.Error("sweep staging", err)
	}
	end = min(end, info.Size, straightChunks*chunkBytes)
	for pos := int64(0); pos < end; {
		data, hole, err := dataFrom(l.file, pos, end)
		if err != nil {
			return disk.Error("sweep staging", err)
		}
		if data < hole {
			r.put(data, hole-data, l, data)
		}
		pos = hole
	}
	l.end = max(l.end, end)
	if end > r.st.view.size {
		r.st.view.truncate(end)
	}
	return nil
}
