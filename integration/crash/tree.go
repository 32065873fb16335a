package crash

import (
	"fmt"
	"maps"
	"strings"
)

// content is the bytes of a file. It is never changed. Told by another
// process it is the digest alone.
type content struct {
	bytes  []byte
	Digest digest
}

func newContent(b []byte) *content { return &content{b, digestOf(b)} }

func (c *content) equal(d *content) bool {
	return c == nil && d == nil || c != nil && d != nil && c.Digest == d.Digest
}

// tree is what the names of a lane stand for, as the lane's calls make it.
// Directories end in "/" and have no content. It is the model the survivors
// are compared with.
type tree map[string]*content

func (t tree) clone() tree { return maps.Clone(t) }

func (t tree) equal(u tree) bool { return maps.EqualFunc(t, u, (*content).equal) }

// lane is the part of the tree that belongs to a lane.
func (t tree) lane(lane int) tree {
	mine := tree{}
	for path, c := range t {
		if strings.HasPrefix(path, laneRoot(lane)) {
			mine[path] = c
		}
	}
	return mine
}

// held is what a lane has staged for a path and not committed.
type held struct {
	content *content
	by      op
	lost    bool // the path was written since: the commit will lose
}

// laneState is a tree and what is held beside it.
type laneState struct {
	tree tree
	held map[string]held
}

func newLaneState() laneState { return laneState{tree{}, map[string]held{}} }

func (s laneState) clone() laneState { return laneState{s.tree.clone(), maps.Clone(s.held)} }

// result is the content a call gives to its path, or stages for it; nil if it writes none.
func (s laneState) result(o op) *content {
	switch o.Kind {
	case opWrite, opHold:
		return newContent(o.bytes())
	case opEdit:
		b := make([]byte, max(int64(len(s.tree[o.Path].bytes)), o.Off+o.Size))
		copy(b, s.tree[o.Path].bytes)
		copy(b[o.Off:], o.bytes())
		return newContent(b)
	case opTruncate:
		b := make([]byte, o.Size)
		copy(b, s.tree[o.Path].bytes)
		return newContent(b)
	case opRelease:
		return s.held[o.Path].content
	}
	return nil
}

// apply makes the call happen. It returns the content the call keeps as a conflict, if it does.
func (s laneState) apply(o op) (kept *content) {
	switch o.Kind {
	case opWrite, opEdit, opTruncate:
		s.tree[o.Path] = s.result(o)
		if h, ok := s.held[o.Path]; ok {
			h.lost = true
			s.held[o.Path] = h
		}
	case opRename:
		s.rename(o.Path, o.To)
	case opRemove:
		delete(s.tree, o.Path)
	case opMkdir:
		s.tree[o.Path] = nil
	case opHold:
		s.held[o.Path] = held{content: s.result(o), by: o}
	case opRelease:
		h := s.held[o.Path]
		delete(s.held, o.Path)
		if h.lost {
			return h.content
		}
		s.tree[o.Path] = h.content
	case opSync, opIncrement:
	default:
		panic(fmt.Sprintf("crash: no such call: %s", o))
	}
	return nil
}

func (s laneState) rename(from, to string) {
	if !strings.HasSuffix(from, "/") {
		s.tree[to] = s.tree[from]
		delete(s.tree, from)
		return
	}
	moved := tree{}
	for path, c := range s.tree {
		if rest, below := strings.CutPrefix(path, from); below {
			moved[to+rest] = c
			delete(s.tree, path)
		}
	}
	maps.Copy(s.tree, moved)
}
