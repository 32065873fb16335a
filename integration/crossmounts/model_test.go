package crossmounts

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// groupMax is how many names a partition of the model has at most.
const groupMax = 3

// names is the state of the model: what a reader finds at the names of a group.
type names struct {
	at [groupMax]string
	// detached are the files that lost their name, each with the mount that took it. A handle of that mount goes its own
	// way. A file is named by the first content it had.
	detached string
}

// model is the sequential specification. origins is the first content of the file a content was written to, by content.
type model struct {
	group   int
	origins map[string]string
}

// checkTime is how long a history may take to be checked. Those that are sound take a moment; to find that no order
// explains one may take hours. In showTime that of a part of it is decided.
const (
	checkTime = time.Minute
	showTime  = 2 * time.Second
)

// linearizable is whether the calls can be put into one order in which each gives its answer, and which no call
// leaves that had ended before another began. Calls without an answer may take effect at any time after they began.
func linearizable(calls []call, group int) porcupine.CheckResult {
	return explained(calls, group, checkTime)
}

// explained is linearizable within a time. What is not decided by then is unknown.
func explained(calls []call, group int, most time.Duration) porcupine.CheckResult {
	m := model{group: group, origins: make(map[string]string)}
	for _, c := range calls {
		if c.Op == opEdit {
			m.origins[c.Value] = c.Base
		}
	}
	operations := make([]porcupine.Operation, 0, len(calls))
	for _, c := range calls {
		c.Moving = slices.ContainsFunc(calls, c.meets)
		operations = append(operations, operationsOf(c)...)
	}
	return porcupine.CheckOperationsTimeout(porcupine.Model{
		Partition: m.partition,
		Init: func() any {
			var n names
			for i := range n.at {
				n.at[i] = gone
			}
			return n
		},
		Step: func(state, input, output any) (bool, any) {
			n := state.(names)
			ok := m.step(&n, input.(call), output.(string))
			return ok, n
		},
	}, operations, most)
}

// operationsOf is a call as the checker knows it: a read without an answer is none, and a put without one
// may have left its truncation.
func operationsOf(c call) []porcupine.Operation {
	operation := func(c call) porcupine.Operation {
		return porcupine.Operation{ClientId: c.Client, Input: c, Call: c.Began, Output: c.Answer, Return: c.Ended}
	}
	if c.Answer != unknown {
		return []porcupine.Operation{operation(c)}
	}
	c.Ended = math.MaxInt64
	switch c.Op {
	case opRead, opStat:
		return nil
	case opPut:
		truncated := c
		truncated.Value = ""
		return []porcupine.Operation{operation(truncated), operation(c)}
	}
	return []porcupine.Operation{operation(c)}
}

// partition is by groups: no call is about two of them.
func (m model) partition(all []porcupine.Operation) [][]porcupine.Operation {
	var parts [][]porcupine.Operation
	for _, o := range all {
		i := o.Input.(call).Name / m.group
		for len(parts) <= i {
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], o)
	}
	return parts
}

// step makes a call and reports whether it can have had that answer. What was not answered is done as if it had succeeded:
// that it was not done is the same as if it were the last of all.
func (m model) step(n *names, c call, answer string) bool {
	i, to := c.Name%m.group, c.To%m.group
	at := n.at[i]
	switch c.Op {
	case opRead:
		return answer == at || c.Moving && answer != gone && slices.Contains(n.at[:], answer)
	case opStat:
		return (answer == gone) == (at == gone)
	case opEdit:
		return m.edit(n, c, answer)
	case opPut:
		if answer != busy {
			n.at[i] = c.Value
		}
		return answer == done || answer == busy || answer == unknown
	case opInstall:
		m.replace(n, i, c.Value, c.Mount)
		return answer == done || answer == unknown
	case opCreate:
		if at == gone {
			n.at[i] = ""
		}
		return fits(answer, at == gone, exists)
	case opUnlink:
		m.replace(n, i, gone, c.Mount)
		return fits(answer, at != gone, gone) || answer == done && c.Moving
	case opMove:
		if at != gone {
			m.move(n, i, to, c.Mount)
		}
		return fits(answer, at != gone, gone) || answer == done && c.Moving && n.at[to] != gone
	case opMoveNew:
		free := n.at[to] == gone
		if at != gone && free {
			m.move(n, i, to, c.Mount)
			return answer == done || answer == unknown
		}
		return answer == unknown || answer == gone && at == gone || answer == exists && !free && (at != gone || c.Moving)
	}
	return false
}

// fits is whether an answer is right of a call that succeeds or is refused.
func fits(answer string, succeeds bool, refusal string) bool {
	if succeeds {
		return answer == done || answer == unknown
	}
	return answer == refusal || answer == unknown
}

// edit is a commit of a handle: it succeeds if and only if the file still has the content the handle began with. If its own mount
// has taken the file's name it succeeds, and nobody sees it.
func (m model) edit(n *names, c call, answer string) bool {
	at := slices.Index(n.at[:], c.Base)
	switch {
	case at >= 0 && answer != busy:
		n.at[at] = c.Value
		return answer == done || answer == unknown
	case at >= 0:
		return false
	case answer == done:
		return c.Moving || strings.Contains(n.detached, m.trace(c.Base, c.Mount))
	}
	return answer == busy || answer == unknown
}

// trace is an entry of names.detached.
func (m model) trace(value string, mount int) string {
	for m.origins[value] != "" {
		value = m.origins[value]
	}
	return fmt.Sprintf("<%s by %d>", value, mount)
}

// replace gives a name another content, and takes it from the file that had it.
func (m model) replace(n *names, i int, value string, mount int) {
	if isWritten(n.at[i]) {
		all := append(strings.SplitAfter(n.detached, ">"), m.trace(n.at[i], mount))
		slices.Sort(all)
		n.detached = strings.Join(slices.Compact(all), "")
	}
	n.at[i] = value
}

// move is a rename.
func (m model) move(n *names, from, to int, mount int) {
	m.replace(n, to, n.at[from], mount)
	n.at[from] = gone
}

// firstWrong is the shortest beginning of a history that is not found to be linearizable in a moment: what had been answered until then, by
// time. It is nil if all of it is.
func firstWrong(calls []call, group int) []call {
	wrong := func(calls []call) bool { return explained(calls, group, showTime) != porcupine.Ok }
	if !wrong(calls) {
		return nil
	}
	var ends []int64
	for _, c := range calls {
		if c.Answer != unknown {
			ends = append(ends, c.Ended)
		}
	}
	slices.Sort(ends)
	i := sort.Search(len(ends)-1, func(i int) bool { return wrong(until(calls, ends[i])) })
	known := until(calls, ends[i])
	slices.SortFunc(known, func(a, b call) int { return cmp.Compare(a.Began, b.Began) })
	return known
}

// meets reports whether another call moves what this one is about meanwhile, so that it may see more than one state.
//
// A read looks up the name and then opens what it stood for, which may have a later content by then, at another name. Of
// a rename, Linux looks up the old name and then the new one. If another mount has made the same rename in between, it
// finds the same file twice, and answers that nothing is left to do.
//
// The file of a handle in a bucket is its key: if its own mount takes the key away the handle goes its own way, even if another mount had
// replaced the object before.
//
// Where deletes have no condition all who unlink a file at once may be told that they did.
func (c call) meets(other call) bool {
	moves := other.moves()
	atOnce := other.Began <= c.Ended && (c.Began <= other.Ended || other.Answer == unknown)
	switch c.Op {
	case opEdit:
		takes := other.Op == opUnlink || other.Op == opInstall
		whileOpen := other.Began <= c.Ended && (c.Opened <= other.Ended || other.Answer == unknown)
		return c.Opened != 0 && takes && whileOpen && other.Name == c.Name && other.Mount == c.Mount
	case opUnlink:
		return c.Blind && atOnce && other.Op == opUnlink && other.Name == c.Name && other.Client != c.Client
	case opRead:
		return moves && atOnce && other.Name == c.Name
	case opMove, opMoveNew:
		return moves && atOnce && other.To == c.To && other.Mount != c.Mount
	}
	return false
}

// settled leaves out what a mount whose kernel remembers names has seen of another mount's changes before these were
// acknowledged: until then they may have reached one mount and not yet another. Only looks and refusals are left out. What changed
// something, and a commit that lost, was decided by the store.
func settled(calls []call) (left []call) {
	for _, c := range calls {
		looked := c.Op == opRead || c.Op == opStat || c.Op != opEdit && (c.Answer == gone || c.Answer == exists)
		c.Opened = 0 // files are no keys
		if !looked || !slices.ContainsFunc(calls, c.overtakes) {
			left = append(left, c)
		}
	}
	return left
}

// lateTime is how long after an error that says nothing of its outcome a change may still be on its way: the daemon that asked for
// it was killed, and the server is about to make it, when it comes to that, and to tell some mounts of it a lease, which is a
// second, before others. Of a client that was killed the kernel waits for the answer.
const lateTime = int64(30 * time.Second)

// overtakes reports whether another mount was changing a name of this call meanwhile.
func (c call) overtakes(other call) bool {
	if other.Answer == unknown && other.Problem != "" {
		other.Ended += lateTime
	}
	changes := other.Op != opRead && other.Op != opStat && other.Answer != gone && other.Answer != exists
	touches := func(name int) bool { return name == c.Name || name == c.To && c.moves() }
	return changes && other.Mount != c.Mount && other.Began <= c.Ended && c.Began <= other.Ended &&
		(touches(other.Name) || other.moves() && touches(other.To))
}

func (c call) moves() bool { return c.Op == opMove || c.Op == opMoveNew }

// until is what was known of a history at a time.
func until(calls []call, end int64) (known []call) {
	for _, c := range calls {
		if c.Began > end {
			continue
		}
		if c.Ended > end {
			c.Answer = unknown
		}
		known = append(known, c)
	}
	return known
}

// String is one line of a report.
func (c call) String() string {
	s := fmt.Sprintf("%d..%d mount %d client %d %s %s", c.Began, c.Ended, c.Mount, c.Client, c.Op, nameOf(c.Name))
	switch c.Op {
	case opMove, opMoveNew:
		s += " to " + nameOf(c.To)
	case opEdit:
		s += " from " + c.Base + " to " + c.Value
	case opPut, opInstall:
		s += " " + c.Value
	}
	return fmt.Sprintf("%s: %q %s", s, c.Answer, c.Problem)
}
