package differential

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// The second comparison is with a model that knows ETags: descriptors of two mounts, two processes on each, isolation=handle. Every
// descriptor that writes has the version it was opened on; of two that change a file the second to commit must
// lose, and only that. It has no appending descriptors and no names that change: those are in package fs's model.

// version is what was committed to a file.
type version struct{ content []byte }

// described is an open file in the model.
type described struct {
	file          int
	base          *version
	writes        bool
	content       []byte // of one that writes
	changed, lost bool
	kept          []byte // what its last refused commit had
}

// etags is the model of one sequence.
type etags struct {
	files   [2]*version
	history [2][]*version
	open    [2 * perMount][descriptors]*described
	losers  []*described
}

const perMount = 2 // processes

func newETags() *etags {
	m := &etags{}
	for f := range m.files {
		m.commit(f, nil)
	}
	return m
}

func (m *etags) commit(file int, content []byte) *version {
	v := &version{bytes.Clone(content)}
	m.files[file] = v
	m.history[file] = append(m.history[file], v)
	return v
}

// used is the number an actor uses for a slot, as the actor itself finds it; negative if it has nothing open.
func (m *etags) used(o op) int {
	for i := range descriptors {
		if at := (o.Slot + i) % descriptors; m.open[o.Actor][at] != nil {
			return at
		}
	}
	return -1
}

// writing reports whether a process has changed a file and not committed: what it opens then shows that.
func (m *etags) writing(actor, file int) bool {
	for _, d := range m.open[actor] {
		if d != nil && d.file == file && d.changed {
			return true
		}
	}
	return false
}

// predict carries out an op in the model and returns the answers that are right. With none of them the op is left out.
func (m *etags) predict(o op) []string {
	if o.Do == "open" {
		return m.predictOpen(o)
	}
	if o.Do == "cat" {
		file := fileOf(o.Name)
		if m.writing(o.Actor, file) {
			return nil
		}
		return []string{read(m.files[file].content)}
	}
	at := m.used(o)
	if at < 0 {
		return nil
	}
	d := m.open[o.Actor][at]
	switch o.Do {
	case "pread":
		return m.predictRead(d, o)
	case "pwrite":
		if !d.writes {
			return []string{"EBADF"}
		}
		d.write(o)
		return []string{fmt.Sprint("ok ", o.Len)}
	case "ftruncate":
		if !d.writes {
			return []string{"EINVAL"}
		}
		d.resize(o.Len)
		return []string{"ok"}
	case "close":
		m.open[o.Actor][at] = nil
	}
	return []string{m.predictCommit(d)}
}

func (m *etags) predictOpen(o op) []string {
	file := fileOf(o.Name)
	writes := o.Flags&unix.O_ACCMODE != unix.O_RDONLY
	if !writes && m.writing(o.Actor, file) {
		return nil
	}
	for at, d := range m.open[o.Actor] {
		if d == nil {
			v := m.files[file]
			m.open[o.Actor][at] = &described{file: file, base: v, writes: writes, content: bytes.Clone(v.content)}
			return []string{fmt.Sprint("ok ", len(v.content))}
		}
	}
	return []string{"in use"}
}

// predictRead allows a reader to see its file grow.
func (m *etags) predictRead(d *described, o op) (right []string) {
	if d.writes {
		return []string{part(d.content, o)}
	}
	later := false
	for _, v := range m.history[d.file] {
		later = later || v == d.base
		if later && bytes.HasPrefix(v.content, d.base.content) {
			right = append(right, part(v.content, o))
		}
	}
	return right
}

// predictCommit is what a close or fsync answers.
func (m *etags) predictCommit(d *described) string {
	switch {
	case d.lost:
		d.kept = bytes.Clone(d.content)
		return "EBUSY"
	case !d.changed:
		return "ok"
	case m.files[d.file] != d.base:
		d.lost, d.kept = true, bytes.Clone(d.content)
		m.losers = append(m.losers, d)
		return "EBUSY"
	}
	d.base, d.changed = m.commit(d.file, d.content), false
	return "ok"
}

func (d *described) write(o op) {
	if o.Len == 0 {
		return
	}
	d.resize(max(int64(len(d.content)), o.Off+o.Len))
	copy(d.content[o.Off:], bytes.Repeat([]byte{o.Fill}, int(o.Len)))
}

func (d *described) resize(size int64) {
	d.changed = true
	content := make([]byte, size)
	copy(content, d.content)
	d.content = content
}

func fileOf(name string) int { return strings.Index("ab", name) }

func read(content []byte) string { return fmt.Sprint("ok ", len(content), " ", sum(content)) }

func part(content []byte, o op) string {
	from := min(o.Off, int64(len(content)))
	return read(content[from:min(from+o.Len, int64(len(content)))])
}

// etagOps are the calls of a sequence.
func etagOps(seed uint64) []op {
	d := draw{rand.New(rand.NewPCG(seed, 1))}
	ops := make([]op, sequenceLength)
	for i := range ops {
		ops[i] = op{
			Actor: d.IntN(2 * perMount), Slot: d.IntN(descriptors), Name: []string{"a", "b"}[d.IntN(2)],
			Do:  strings.Fields("open open open pwrite pwrite pwrite pread pread pread ftruncate fsync close close cat")[d.IntN(14)],
			Off: d.offset(spaceBytes), Len: d.length(), Fill: byte(1 + d.IntN(250)),
			Flags: []int{unix.O_RDONLY, unix.O_RDWR, unix.O_RDWR}[d.IntN(3)],
		}
		if ops[i].Do == "ftruncate" {
			ops[i].Len = ops[i].Off
		}
	}
	return ops
}

// C1, C2, C3, C4, C5, C9 for two processes on each of two mounts: no lost update, no torn read, the right loser.
func TestC3DescriptorsOfTwoMountsAreAsTheModelSays(t *testing.T) {
	mounttest.Need(t, "binary")
	first := mounttest.Start(t, mounttest.Options{Deadline: duration() + 5*time.Minute})
	second := mounttest.Start(t, mounttest.Options{Source: first.Store, Deadline: duration() + 5*time.Minute})
	crews := [2]*crew{newCrew(t, first.Dir), newCrew(t, second.Dir)}
	seed, runs, losers, until := seedGiven(t, rand.Uint64()), 0, 0, time.Now().Add(duration())
	for ; !t.Failed() && time.Now().Before(until); runs++ {
		lost := compare(t, crews, runs+1, etagOps(seed+uint64(runs)))
		losers += lost
		if t.Failed() {
			t.Logf("run again with ETAGFS_SEED=%d go test ./integration/differential -run %s", seed+uint64(runs), t.Name())
		}
	}
	t.Logf("%d calls in %d sequences, %d losers", runs*sequenceLength, runs, losers)
}

// compare runs a sequence in a new directory and returns how many descriptors lost.
func compare(t *testing.T, crews [2]*crew, number int, ops []op) (losers int) {
	t.Helper()
	for _, c := range crews {
		if err := c.begin(number); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(crews[0].dir, fmt.Sprint(number))
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := newETags()
	for _, o := range append(ops, closing()...) {
		right := m.predict(o)
		if len(right) == 0 {
			continue
		}
		asked := o
		asked.Actor = o.Actor / 2
		said := crews[o.Actor%2].ask(asked).Said
		found := false
		for _, r := range right {
			found = found || r == said
		}
		if !found {
			t.Errorf("%v: it says %q, which is none of %q", o, said, right)
			return len(m.losers)
		}
	}
	checkKept(t, crews[1].dir, number, m.losers)
	return len(m.losers)
}

// closing closes everything and looks at both files from all sides.
func closing() (ops []op) {
	for actor := range 2 * perMount {
		for range descriptors {
			ops = append(ops, op{Actor: actor, Do: "close"})
		}
	}
	for actor := range 2 * perMount {
		ops = append(ops, op{Actor: actor, Do: "cat", Name: "a"}, op{Actor: actor, Do: "cat", Name: "b"})
	}
	return ops
}

// checkKept looks for what each loser had. There is one copy for each, and of a file the newest ten are there.
func checkKept(t *testing.T, dir string, number int, losers []*described) {
	t.Helper()
	perFile := map[int]int{}
	for _, d := range losers {
		perFile[d.file]++
	}
	mine, err := filepath.Glob(filepath.Join(dir, ".etagfs", "conflicts", "*", "mine"))
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]bool{}
	for _, path := range mine {
		if content, err := os.ReadFile(path); err == nil { // else it has been pruned meanwhile
			kept[string(content)] = true
		}
	}
	for _, d := range losers {
		if perFile[d.file] <= 10 && !kept[string(d.kept)] {
			t.Errorf("sequence %d: what a loser of file %d had, %d bytes, is not kept", number, d.file, len(d.kept))
		}
	}
}
