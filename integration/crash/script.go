package crash

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// mix says what calls a lane makes.
type mix struct {
	Durable    float64 // share of calls that ask for durability
	Sizes      []int64 // one is the largest content of a call
	Keys       bool    // the target is also a flat store
	Holds      bool    // the target stages, and keeps what lost
	Increments bool    // the target commits conditionally
}

// script thinks up the calls of one lane. Each is valid on the state all
// before have made.
type script struct {
	mix   mix
	rng   *rand.Rand
	lane  int
	seq   int
	state laneState
}

// laneRoot is the directory of a lane.
func laneRoot(lane int) string { return fmt.Sprintf("l%d/", lane) }

// weights is how often each kind is drawn; one that finds nothing to work on is drawn again.
var weights = []struct {
	kind   opKind
	weight int
}{
	{opWrite, 40}, {opEdit, 14}, {opTruncate, 4}, {opRename, 14}, {opRemove, 10}, {opMkdir, 4},
	{opSync, 2}, {opHold, 3}, {opRelease, 3}, {opIncrement, 6},
}

// next is the call to make now. The lane's first is always the mkdir of its root.
func (s *script) next() op {
	s.seq++
	if _, ok := s.state.tree[laneRoot(s.lane)]; !ok {
		return op{Lane: s.lane, Seq: s.seq, Kind: opMkdir, Path: laneRoot(s.lane), Durable: true}
	}
	for {
		o := op{Lane: s.lane, Seq: s.seq, Kind: s.kind(), Durable: s.rng.Float64() < s.mix.Durable}
		if s.fill(&o) {
			o.ByKey = s.mix.Keys && s.rng.IntN(2) == 0
			return o
		}
	}
}

func (s *script) kind() opKind {
	total := 0
	for _, w := range weights {
		total += w.weight
	}
	n := s.rng.IntN(total)
	for _, w := range weights {
		if n -= w.weight; n < 0 {
			return w.kind
		}
	}
	return opSync
}

// fill completes o with names and sizes, if there is something for it to do
// and it makes a difference.
func (s *script) fill(o *op) bool {
	switch o.Kind {
	case opWrite:
		o.Path, o.Size = s.name(), s.size()
		now := s.state.tree[o.Path]
		return o.Size > 0 || now == nil || len(now.bytes) > 0
	case opEdit, opTruncate:
		files := s.files()
		if o.Kind == opTruncate { // the close of a mount may put it off while its process has the file open elsewhere
			files = s.free(files)
		}
		path, ok := s.pick(files)
		if !ok {
			return false
		}
		o.Path, o.Size = path, s.size()
		now := int64(len(s.state.tree[path].bytes))
		if o.Kind == opTruncate {
			return o.Size != now
		}
		o.Size, o.Off = 8+o.Size/4, s.rng.Int64N(now+1)
		return o.Off+o.Size <= 2*slices.Max(s.mix.Sizes)
	case opRename:
		return s.fillRename(o)
	case opRemove:
		path, ok := s.pick(s.free(s.files()))
		o.Path = path
		return ok
	case opMkdir:
		path, ok := s.pick(s.dirs(false))
		o.Path = path
		return ok
	case opHold:
		o.Path, o.Size = s.heldName(), s.size()
		_, already := s.state.held[o.Path]
		return s.mix.Holds && !already && o.Size > 0
	case opRelease:
		path, ok := s.pick(slices.Sorted(maps.Keys(s.state.held)))
		o.Path = path
		return ok
	case opIncrement:
		o.Path = counterPath
		return s.mix.Increments
	}
	return true
}

func (s *script) fillRename(o *op) bool {
	dir, haveDir := s.pick(s.dirs(true))
	to, haveTo := s.pick(s.dirs(false))
	if haveDir && haveTo && s.rng.IntN(4) == 0 {
		o.Path, o.To = dir, to
		return true
	}
	path, ok := s.pick(s.free(s.files()))
	o.Path, o.To = path, s.name()
	_, toHeld := s.state.held[o.To]
	return ok && o.To != o.Path && !toHeld
}

// name is a name for a file: in the root of the lane or one of its directories.
func (s *script) name() string {
	dirs := append(s.dirs(true), laneRoot(s.lane), laneRoot(s.lane))
	dir, _ := s.pick(dirs)
	if dir == laneRoot(s.lane) && s.mix.Holds && s.rng.IntN(6) == 0 {
		return s.heldName()
	}
	return fmt.Sprintf("%sf%d", dir, s.rng.IntN(4))
}

// heldName is a name for what is held. It may be written, never moved or removed.
func (s *script) heldName() string { return fmt.Sprintf("%sh%d", laneRoot(s.lane), s.rng.IntN(2)) }

// dirs are the directories of the lane that exist, or those that could.
func (s *script) dirs(exist bool) (dirs []string) {
	for i := range 3 {
		dir := fmt.Sprintf("%sd%d/", laneRoot(s.lane), i)
		if _, ok := s.state.tree[dir]; ok == exist {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func (s *script) files() (files []string) {
	for path := range s.state.tree {
		if !strings.HasSuffix(path, "/") {
			files = append(files, path)
		}
	}
	slices.Sort(files)
	return files
}

// free leaves out what has a name that may be held.
func (s *script) free(files []string) []string {
	return slices.DeleteFunc(files, func(path string) bool {
		return strings.HasPrefix(path, laneRoot(s.lane)+"h")
	})
}

func (s *script) pick(from []string) (string, bool) {
	if len(from) == 0 {
		return "", false
	}
	return from[s.rng.IntN(len(from))], true
}

// size is at most one of the mix's sizes: often exactly that, or one more or
// less. It is never so small that random bytes could repeat.
func (s *script) size() int64 {
	size := s.mix.Sizes[s.rng.IntN(len(s.mix.Sizes))]
	if s.rng.IntN(3) == 0 {
		size += s.rng.Int64N(3) - 1
	} else {
		size = s.rng.Int64N(size + 1)
	}
	if size <= 0 {
		return 0
	}
	return max(8, size)
}
