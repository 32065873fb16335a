package crash

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// expectation is a kept copy that must or may be there.
type expectation struct {
	id     string // empty: any
	path   string
	digest digest // empty: any
	must   bool
	why    op
}

func (e expectation) fits(k keptCopy) bool {
	return e.path == k.Path && (e.id == "" || e.id == k.ID) && (e.digest == "" || e.digest == k.Digest)
}

// checkKept compares the kept copies a survey found with those the calls of
// the cut made and left behind.
func (h *history) checkKept(c cut, s survey, l loss) error {
	expected := h.keptBefore()
	for lane := range h.lanes {
		expected = append(expected, h.keptBy(lane, c.survived[lane], l)...)
	}
	problems := h.keptForNothing(s)
	rest := slices.Clone(s.Kept)
	for _, must := range []bool{true, false} {
		for _, e := range expected {
			if e.must != must {
				continue
			}
			i := slices.IndexFunc(rest, e.fits)
			switch {
			case i >= 0:
				rest = slices.Delete(rest, i, i+1)
			case must:
				problems = append(problems, fmt.Sprintf("not kept: the bytes of %s for %s", e.why, e.path))
			}
		}
	}
	for _, k := range rest {
		problems = append(problems, fmt.Sprintf("kept without a reason: %s for %s (%s), %s", k.ID, k.Path, k.Reason, h.origin(k, c)))
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "\n"))
	}
	return nil
}

// keptForNothing are copies made since the worker started of bytes that the file has: with none of them was anything lost.
func (h *history) keptForNothing(s survey) (problems []string) {
	for _, k := range s.Kept {
		before := slices.ContainsFunc(h.kept, func(old keptCopy) bool { return old.ID == k.ID })
		if now := s.Tree[k.Path]; now != nil && !before && k.Digest != digestOf(nil) && now.Digest == k.Digest {
			problems = append(problems, fmt.Sprintf("kept for nothing: %s has the bytes of %s (%s)", k.Path, k.ID, k.Reason))
		}
	}
	return problems
}

// origin tells whose bytes a kept copy has.
func (h *history) origin(k keptCopy, c cut) string {
	var origins []string
	for lane, calls := range h.lanes {
		h.replay(lane, len(calls), func(made int, state laneState) bool {
			if made == len(calls) || calls[made].op.Path != k.Path {
				return true
			}
			call := calls[made]
			if is := state.result(call.op); is != nil && is.Digest == k.Digest {
				origins = append(origins, fmt.Sprintf("the bytes of %s (answered: %t, in the cut: %t)", call.op, call.ended != 0, made < c.survived[lane]))
			}
			return true
		})
	}
	if len(origins) == 0 {
		return "bytes of no call"
	}
	return strings.Join(origins, ", ")
}

// keptBefore are the copies that were there when the worker started.
func (h *history) keptBefore() (expected []expectation) {
	for _, k := range h.kept {
		expected = append(expected, expectation{id: k.ID, path: k.Path, digest: k.Digest, must: !h.dropped[k.ID]})
	}
	return expected
}

// keptBy are the copies that a lane, cut after n calls, made or left behind.
func (h *history) keptBy(lane, n int, l loss) (expected []expectation) {
	calls := h.lanes[lane]
	state := h.base[lane].clone()
	for i, c := range calls {
		if c.ended == 0 {
			expected = append(expected, h.keptInFlight(c, state, n > i, l)...)
			break
		}
		if c.failed { // what it had staged went before it was answered; power may bring it back
			if l == lossPower {
				expected = append(expected, expectation{path: c.op.Path, why: c.op})
			}
			continue
		}
		if lost := state.apply(c.op); lost != nil {
			expected = append(expected, expectation{path: c.op.Path, digest: lost.Digest, must: true, why: c.op})
		} else if l == lossPower { // its stage may come back, though the call survived: who calls sync(2) makes durable what is staged at that moment
			expected = append(expected, expectation{path: c.op.Path, why: c.op})
		}
	}
	for path, kept := range state.held {
		e := expectation{path: path, digest: kept.content.Digest, must: !h.closing, why: kept.by}
		if l == lossPower {
			e.digest, e.must = "", false
		}
		expected = append(expected, e)
	}
	return expected
}

// keptInFlight are the copies a call in flight may have left. It is removed
// from the held ones of state, if it was to release one.
func (h *history) keptInFlight(c call, state laneState, in bool, l loss) []expectation {
	may := expectation{path: c.op.Path, why: c.op}
	if l == lossPower {
		return []expectation{may}
	}
	switch c.op.Kind {
	case opRelease:
		mine := state.held[c.op.Path]
		delete(state.held, c.op.Path)
		if in && !mine.lost {
			return nil
		}
		return []expectation{{path: c.op.Path, digest: mine.content.Digest, must: true, why: c.op}}
	case opWrite, opEdit, opTruncate:
		if in || c.op.Kind == opWrite && c.op.ByKey { // a put is nobody's to keep
			return nil
		}
		if c.staged && !c.failed { // else a part of it may still be there
			c := state.result(c.op)
			may.digest, may.must = c.Digest, len(c.bytes) > 0 // nothing is lost with an empty one
		}
		return []expectation{may}
	case opHold, opIncrement:
		return []expectation{may}
	}
	return nil
}
