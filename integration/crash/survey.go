package crash

import (
	"fmt"
	"maps"
	"slices"
)

// survey is what is found after a crash.
type survey struct {
	Tree     tree
	Counter  counterAt
	Kept     []keptCopy
	Problems []string // what could not be read, what the store's own check found
}

// keptCopy is a conflict: bytes kept beside the tree.
type keptCopy struct {
	ID     string
	Path   string
	Reason string // for messages
	Digest digest
}

func newSurvey() survey { return survey{Tree: tree{}} }

// add takes in one file. The counter is read, not compared.
func (s *survey) add(path string, bytes []byte) {
	if path != counterPath {
		s.Tree[path] = newContent(bytes)
		return
	}
	c := &s.Counter
	if _, err := fmt.Sscanf(string(bytes), "%d %d %d", &c.Value, &c.Lane, &c.Seq); err != nil {
		s.problem("the counter holds %q", bytes)
	}
}

func (s *survey) addDir(path string) { s.Tree[path] = nil }

func (s *survey) problem(format string, args ...any) {
	s.Problems = append(s.Problems, fmt.Sprintf(format, args...))
}

// strangers are names that belong to no lane.
func (s *survey) strangers(lanes int) (paths []string) {
	rest := s.Tree.clone()
	for lane := range lanes {
		for path := range s.Tree.lane(lane) {
			delete(rest, path)
		}
	}
	return slices.Sorted(maps.Keys(rest))
}
