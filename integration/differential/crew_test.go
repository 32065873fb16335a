package differential

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// crew are the processes of one side.
type crew struct {
	dir    string
	actors [processes]*process
}

// process is an actor as the test has it.
type process struct {
	in  *json.Encoder
	out *json.Decoder
}

func newCrew(t *testing.T, dir string) *crew {
	t.Helper()
	c := &crew{dir: dir}
	for i := range c.actors {
		cmd := mounttest.Command(t, "act")
		c.actors[i] = start(t, cmd)
	}
	return c
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	in, out := mounttest.StartPiped(t, cmd)
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("a process of the test: %v", err)
		}
	})
	return &process{in: json.NewEncoder(in), out: json.NewDecoder(out)}
}

// ask has an op carried out.
func (c *crew) ask(o op) answer {
	p := c.actors[o.Actor]
	var a answer
	if err := p.in.Encode(o); err != nil {
		return answer{Said: "the process is gone: " + err.Error()}
	}
	if err := p.out.Decode(&a); err != nil {
		return answer{Said: "the process is gone: " + err.Error()}
	}
	return a
}

// begin makes an empty directory, goes there and gives up what the sequence before has left.
func (c *crew) begin(number int) error {
	dir := filepath.Join(c.dir, strconv.Itoa(number))
	if err := os.MkdirAll(filepath.Join(dir, "d"), 0o755); err != nil {
		return err
	}
	for i := range c.actors {
		if a := c.ask(op{Actor: i, Do: "begin", Name: dir}); a.Said != "ok" {
			return fmt.Errorf("begin: %s", a.Said)
		}
	}
	return os.RemoveAll(filepath.Join(c.dir, strconv.Itoa(number-1)))
}

// pair is a sequence's two sides.
type pair struct {
	native, mounted *crew
	runs            int
}

// difference is where the sides part.
type difference struct {
	at              int
	op              op
	native, mounted string
}

// run carries out a sequence, and returns where the sides part, nil if they do not.
// overlapping reports whether a file was open for writing by two processes.
func (p *pair) run(t *testing.T, ops []op) (d *difference, overlapping bool) {
	t.Helper()
	p.runs++
	for _, c := range []*crew{p.native, p.mounted} {
		if err := c.begin(p.runs); err != nil {
			t.Fatal(err)
		}
	}
	var writes [processes][]uint64
	for i, o := range append(ops[:len(ops):len(ops)], last()...) {
		native, mounted := p.native.ask(o), p.mounted.ask(o)
		if native.Said != mounted.Said {
			return &difference{i, o, native.Said, mounted.Said}, overlapping
		}
		writes[o.Actor] = native.Writes
		overlapping = overlapping || overlap(writes[:])
	}
	return nil, overlapping
}

// overlap reports whether an inode is in two of several lists.
func overlap(lists [][]uint64) bool {
	in := make(map[uint64]int)
	for i, inodes := range lists {
		for _, inode := range inodes {
			if first, ok := in[inode]; ok && first != i {
				return true
			}
			in[inode] = i
		}
	}
	return false
}

// last are the calls that look at all that is left: before and after everything is closed.
func last() (ops []op) {
	look := func(actor int) {
		ops = append(ops, op{Actor: actor, Do: "list"})
		for _, name := range []string{"a", "b", "d/c"} {
			ops = append(ops, op{Actor: actor, Do: "stat", Name: name}, op{Actor: actor, Do: "cat", Name: name})
		}
	}
	look(0)
	for actor := range processes {
		for slot := range descriptors {
			ops = append(ops, op{Actor: actor, Do: "close", Slot: slot})
		}
		for slot := range mappings {
			ops = append(ops, op{Actor: actor, Do: "unmap", Slot: slot})
		}
	}
	look(1)
	return ops
}

// shrink leaves out calls as long as what is left still parts the sides.
func (p *pair) shrink(t *testing.T, ops []op) []op {
	t.Helper()
	return shrunk(ops, func(ops []op) bool {
		d, _ := p.run(t, ops)
		return d != nil
	})
}

// shrunk is a part of ops that still fails, from which neither a call nor two can be taken away.
// Two at once, because a call names its descriptor by a number: without one of two opens that do not matter it may mean another file,
// without both the right one again.
func shrunk(ops []op, fails func([]op) bool) []op {
	for {
		ops = withoutRuns(ops, fails)
		rest := withoutTwo(ops, fails)
		if len(rest) == len(ops) {
			return ops
		}
		ops = rest
	}
}

// withoutRuns takes away calls that follow each other, fewer and fewer, until no single call can be.
func withoutRuns(ops []op, fails func([]op) bool) []op {
	for size := max(len(ops)/2, 1); size > 0; {
		less := false
		for from := 0; from < len(ops); {
			rest := slices.Concat(ops[:from], ops[min(from+size, len(ops)):])
			if fails(rest) {
				ops, less = rest, true
			} else {
				from += size
			}
		}
		if !less {
			size /= 2
		}
	}
	return ops
}

// withoutTwo takes away the first two calls that are not needed together; none if there are no such.
func withoutTwo(ops []op, fails func([]op) bool) []op {
	for second := range ops {
		for first := range second {
			if rest := slices.Concat(ops[:first], ops[first+1:second], ops[second+1:]); fails(rest) {
				return rest
			}
		}
	}
	return ops
}

// What fails if two calls are both there or both not is taken to neither of them, however far apart they are.
func TestCallsThatMatterOnlyByTheirNumberAreTakenAway(t *testing.T) {
	var ops []op
	for slot := range 9 {
		ops = append(ops, op{Do: "open", Slot: slot})
	}
	short := shrunk(ops, func(left []op) bool {
		has := func(slot int) bool { return slices.ContainsFunc(left, func(o op) bool { return o.Slot == slot }) }
		return has(4) && has(1) == has(7)
	})
	if len(short) != 1 || short[0].Slot != 4 {
		t.Errorf("it is shrunk to\n%s", listed(short))
	}
}

// listed are calls for people, a line each.
func listed(ops []op) string {
	var lines []string
	for _, o := range ops {
		lines = append(lines, o.String())
	}
	return strings.Join(lines, "\n")
}
