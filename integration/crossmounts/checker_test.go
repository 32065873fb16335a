package crossmounts

import (
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
)

// sequence makes calls that follow each other, each with an answer.
func sequence(calls ...call) []call {
	for i := range calls {
		calls[i].Began, calls[i].Ended = int64(10*i), int64(10*i+5)
	}
	return calls
}

// overlapping makes calls that all ran at once.
func overlapping(calls ...call) []call {
	for i := range calls {
		calls[i].Client, calls[i].Began, calls[i].Ended = i, int64(i), 1000
	}
	return calls
}

// install and reads are calls at the first name.
func install(value string) call { return call{Op: opInstall, Value: value, Answer: done} }
func reads(answer string) call  { return call{Op: opRead, Answer: answer} }
func edits(base, value, answer string) call {
	return call{Op: opEdit, Base: base, Value: value, Answer: answer}
}

// The checker takes what may happen, and nothing else.
func TestCheckerTellsSoundHistoriesFromOthers(t *testing.T) {
	unlinked := call{Op: opUnlink, Answer: done}
	blind := call{Op: opUnlink, Answer: done, Blind: true}
	elsewhere := call{Op: opUnlink, Answer: done, Mount: 1}
	moved := call{Op: opMove, To: 1, Answer: done}
	movedToo := call{Op: opMove, To: 1, Answer: done, Mount: 1}
	create := call{Op: opCreate, Answer: done}
	for _, c := range []struct {
		name  string
		calls []call
		sound bool
	}{
		{"edits one after the other", sequence(install("1.1"), edits("1.1", "1.2", done), edits("1.2", "1.3", done), reads("1.3")), true},
		{"a lost update", sequence(install("1.1"), edits("1.1", "1.2", done), edits("1.1", "1.3", done)), false},
		{"a lost update of calls at once", overlapping(install("1.1"), edits("1.1", "1.2", done), edits("1.1", "1.3", done)), false},
		{"one of two is busy", overlapping(install("1.1"), edits("1.1", "1.2", done), edits("1.1", "1.3", busy)), true},
		{"busy for nothing", sequence(install("1.1"), edits("1.1", "1.3", busy)), false},
		{"a stale read", sequence(install("1.1"), edits("1.1", "1.2", done), reads("1.1")), false},
		{"a read at once with an edit", append(sequence(install("1.1")), overlapping(edits("1.1", "1.2", done), reads("1.1"), reads("1.2"))...), true},
		{"a read back in time", sequence(install("1.1"), edits("1.1", "1.2", unknown), reads("1.2"), reads("1.1")), false},
		{"an edit without an answer that comes late", sequence(install("1.1"), edits("1.1", "1.2", unknown), reads("1.1"), reads("1.2")), true},
		{"an edit without an answer that never comes", sequence(install("1.1"), edits("1.1", "1.2", unknown), reads("1.1")), true},
		{"what nobody wrote", sequence(install("1.1"), reads("torn")), false},
		{"a name that is absent after it was made", sequence(install("1.1"), reads(gone)), false},
		{"two winners", overlapping(create, create), false},
		{"one winner", overlapping(create, call{Op: opCreate, Answer: exists}), true},
		{"an edit of what this mount unlinked", sequence(install("1.1"), unlinked, edits("1.1", "1.2", done), reads(gone)), true},
		{"an edit that brings it back", sequence(install("1.1"), unlinked, edits("1.1", "1.2", done), reads("1.2")), false},
		{"two unlinks at once", append(sequence(install("1.1")), overlapping(unlinked, elsewhere)...), false},
		{"two unlinks at once without a condition", append(sequence(install("1.1")), overlapping(blind, blind)...), true},
		{"two unlinks without a condition", sequence(install("1.1"), blind, blind), false},
		{"an edit of what another mount unlinked", sequence(install("1.1"), elsewhere, edits("1.1", "1.2", done)), false},
		{"an edit that follows", sequence(install("1.1"), moved, edits("1.1", "1.2", done), call{Op: opRead, Name: 1, Answer: "1.2"}), true},
		{"a name that moved and stayed", sequence(install("1.1"), moved, reads("1.1")), false},
		{"two moves of one file by one mount", append(sequence(install("1.1")), overlapping(moved, moved)...), false},
		{"two moves of one file by two mounts at once", append(sequence(install("1.1")), overlapping(moved, movedToo)...), true},
		{"two moves of one file one after the other", sequence(install("1.1"), moved, movedToo), false},
		{"a move that is busy", sequence(install("1.1"), call{Op: opMove, To: 1, Answer: busy}), false},
		{"a read of a file that moves and changes", append(sequence(install("1.1")), overlapping(reads("1.2"), moved, edits("1.1", "1.2", done))...), true},
		{"a read of a file that has moved", sequence(install("1.1"), moved, edits("1.1", "1.2", done), reads("1.2")), false},
		{"a put without an answer may have emptied the file", sequence(install("1.1"), call{Op: opPut, Value: "1.2", Answer: unknown}, reads(""), reads("1.2")), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			result := linearizable(c.calls, groupMax)
			if result == porcupine.Unknown || (result == porcupine.Ok) != c.sound {
				t.Errorf("%s", result)
			}
		})
	}
}

// A look that overlaps a change by another mount is left out; one after the change was acknowledged, or of the same mount, is not.
func TestOnlyOverlappingLooksAreLeftOut(t *testing.T) {
	change := call{Op: opInstall, Value: "1.1", Answer: done, Mount: 1}
	stale := reads(gone)
	ownStale := call{Op: opRead, Answer: gone, Mount: 1}
	for name, c := range map[string]struct {
		calls []call
		left  int
	}{
		"at once":                {overlapping(change, stale), 1},
		"at once, the own mount": {overlapping(change, ownStale), 2},
		"afterwards":             {sequence(change, stale), 2},
		"at once, a commit":      {overlapping(change, edits("1.0", "1.2", busy)), 2},
	} {
		if left := settled(c.calls); len(left) != c.left {
			t.Errorf("%s: %v are left", name, left)
		}
	}
}

// On a plain directory edits are lost and contents are mixed: the whole of recorder and checker sees that.
func TestPlainDirectoryIsNotLinearizable(t *testing.T) {
	seed := seedOf(t)
	dir := t.TempDir()
	s := scene{dirs: []string{dir, dir}, clients: 2, mix: stayingMix(), names: 1, group: 1, calls: 15}
	for round := range uint64(200) {
		s.seed = seed + round
		history := record(t, s)
		if linearizable(history, s.group) != porcupine.Illegal {
			continue
		}
		wrong := firstWrong(history, s.group)
		if len(wrong) == 0 || linearizable(wrong, s.group) != porcupine.Illegal {
			t.Errorf("the shortest wrong beginning has %d of %d calls, and is sound", len(wrong), len(history))
		}
		return
	}
	t.Error("every history is linearizable")
}

// One read of a sound history, made to show what was there before, is found.
func TestStaleReadInARecordedHistoryIsFound(t *testing.T) {
	seed := seedOf(t)
	dir := t.TempDir()
	s := scene{dirs: []string{dir}, clients: 1, mix: soloMix(), names: 1, group: 1, calls: 200, seed: seed}
	history := record(t, s)
	if result := linearizable(history, s.group); result != porcupine.Ok {
		t.Fatalf("what one client did: %s", result)
	}
	isRead := func(c call) bool { return c.Op == opRead && isWritten(c.Answer) }
	first := history[slices.IndexFunc(history, isRead)]
	for i := range slices.Backward(history) {
		if isRead(history[i]) && history[i].Answer != first.Answer {
			history[i].Answer = first.Answer
			break
		}
	}
	if result := linearizable(history, s.group); result != porcupine.Illegal {
		t.Errorf("with a stale read: %s", result)
	}
}
