package mounttest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// replacedLines is how often a content repeats the line it consists of.
const replacedLines = 3000

func replacementOf(line string) string { return strings.Repeat(line+"\n", replacedLines) }

// lineOf is the line a content consists of, if it is whole.
func lineOf(content string) (line string, whole bool) {
	line, _, _ = strings.Cut(content, "\n")
	return line, content == replacementOf(line)
}

// Replace is a program: it replaces OWN and changes SHARED again and again, as TAG, until its input ends. It says of each
// what became of it: the file, the line it wrote, the one it replaced, and how that ended. The arguments are OWN, SHARED and TAG.
func Replace(args []string) error {
	own, shared, tag := args[0], args[1], args[2]
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	for n := 1; ; n++ {
		select {
		case <-stop:
			return nil
		case <-time.After(rand.N(5 * time.Millisecond)):
		}
		line := fmt.Sprintf("%s-%d", tag, n)
		fmt.Println("own", line, "-", fate(os.WriteFile(own, []byte(replacementOf(line)), 0o644)))
		base, err := changeShared(shared, line)
		end := fate(err)
		if end == "busy" && !isKept(shared, line) {
			end = "unkept"
		}
		fmt.Println("shared", line, base, end)
	}
}

// changeShared replaces what it reads.
func changeShared(path, line string) (base string, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "-", err
	}
	content, err := io.ReadAll(f)
	if err != nil { // who has the store was killed
		return "-", errors.Join(err, f.Close())
	}
	base, whole := lineOf(string(content))
	if !whole {
		fmt.Println("torn", line, base+"-", "torn")
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(replacementOf(line)), 0)
	}
	return base, errors.Join(err, f.Close())
}

// fate is how a change ended: ok, busy, or error, which it may be although the change was made.
func fate(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, syscall.EBUSY):
		return "busy"
	default:
		return "error"
	}
}

// isKept reports whether a line is among the kept copies. Who cannot tell now is believed.
func isKept(path, line string) bool {
	paths, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(path)), ".etagfs", "conflicts", "*", "mine"))
	if err != nil || len(paths) == 0 {
		return err != nil || !reachable(path)
	}
	unsure := false
	for _, p := range paths {
		content, err := os.ReadFile(p)
		if string(content) == replacementOf(line) {
			return true
		}
		unsure = unsure || err != nil
	}
	return unsure || !reachable(path)
}

func reachable(path string) bool {
	_, err := os.ReadFile(path)
	return err == nil
}

// replacement is what [Replace] says.
type replacement struct{ file, line, base, end string }

// Replacers are processes that run [Replace], one on each of some mounts of a store.
type Replacers struct {
	t         *testing.T
	mounts    []*Mount
	committed chan int // indices of mounts
	inputs    []io.Closer
	said      [][]replacement
	running   sync.WaitGroup
}

const (
	replacersDir  = "work" // which is not there where nothing is mounted
	replacersFile = "shared"
	firstLine     = "first"
)

// StartReplacers starts them. The program must have [Replace] as its role "replace".
func StartReplacers(t *testing.T, mounts []*Mount) *Replacers {
	t.Helper()
	r := &Replacers{t: t, mounts: mounts, committed: make(chan int, 1<<20), said: make([][]replacement, len(mounts))}
	shared := mounts[0].Path(replacersDir, replacersFile)
	if err := os.Mkdir(filepath.Dir(shared), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(shared, []byte(replacementOf(firstLine)), 0o644); err != nil {
		t.Fatal(err)
	}
	for i, m := range mounts {
		cmd := r.command(i, m)
		in, out := StartPiped(t, cmd)
		r.inputs = append(r.inputs, in)
		r.running.Go(func() {
			r.listen(i, out)
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s: %v", tagOf(i), err)
			}
		})
	}
	return r
}

func tagOf(i int) string { return fmt.Sprintf("w%d", i) }

func ownOf(m *Mount, i int) string { return m.Path(replacersDir, "own-"+tagOf(i)) }

func (r *Replacers) command(i int, m *Mount) *exec.Cmd {
	return Command(r.t, "replace", ownOf(m, i), m.Path(replacersDir, replacersFile), tagOf(i))
}

func (r *Replacers) listen(i int, out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var c replacement
		if _, err := fmt.Sscan(lines.Text(), &c.file, &c.line, &c.base, &c.end); err != nil {
			r.t.Errorf("%q: %v", lines.Text(), err)
		}
		r.said[i] = append(r.said[i], c)
		if c.end == "ok" {
			r.committed <- i
		}
	}
}

// Await returns after count commits, by those on mounts that are in.
func (r *Replacers) Await(count int, in func(mount int) bool) {
	for count > 0 {
		if in(<-r.committed) {
			count--
		}
	}
}

// Forget leaves commits so far out of what is awaited.
func (r *Replacers) Forget() {
	for len(r.committed) > 0 {
		<-r.committed
	}
}

// Finish ends the processes and checks what they were told: nothing acknowledged was lost, nothing was done twice or torn, what
// was refused was not done, and is kept.
func (r *Replacers) Finish() {
	r.t.Helper()
	for _, in := range r.inputs {
		in.Close()
	}
	r.running.Wait()
	r.checkOwn()
	r.checkShared()
	for _, m := range r.mounts {
		r.checkKept(m)
	}
}

// checkOwn checks that the file of each has what was acknowledged last, or what came after that and had no answer.
func (r *Replacers) checkOwn() {
	r.t.Helper()
	for i, said := range r.said {
		var may []string
		for _, c := range said {
			switch {
			case c.file == "own" && c.end == "ok":
				may = []string{c.line}
			case c.file == "own":
				may = append(may, c.line)
			}
		}
		for _, m := range r.mounts {
			content, err := os.ReadFile(ownOf(m, i))
			if line, whole := lineOf(string(content)); err != nil || !whole || !slices.Contains(may, line) {
				r.t.Errorf("%s has %d bytes of %q (%v), none of %q", tagOf(i), len(content), line, err, may)
			}
		}
	}
}

// checkShared checks that the changes of the file of all are one after the other.
func (r *Replacers) checkShared() {
	r.t.Helper()
	last := r.lastShared()
	followed := make(map[string]string) // by the line that was replaced
	seen := map[string]bool{last: true}
	var all []replacement
	for _, said := range r.said {
		for _, c := range said {
			if c.file == "own" {
				continue
			}
			all = append(all, c)
			seen[c.base] = true
			if other := followed[c.base]; other != "" && c.end == "ok" {
				r.t.Errorf("%s and %s both replaced %s", other, c.line, c.base)
			}
			if c.end == "ok" {
				followed[c.base] = c.line
			}
		}
	}
	for _, c := range all {
		switch {
		case c.end == "torn" || c.end == "unkept":
			r.t.Errorf("%+v", c)
		case c.end == "ok" && !seen[c.line]:
			r.t.Errorf("%s was acknowledged, and nobody has seen it", c.line)
		case c.end == "busy" && seen[c.line]:
			r.t.Errorf("%s was refused, and was there", c.line)
		}
	}
	if followed[last] != "" {
		r.t.Errorf("at last there is %s, which %s replaced", last, followed[last])
	}
}

// lastShared is the line of the file of all, which every mount must have.
func (r *Replacers) lastShared() (last string) {
	r.t.Helper()
	for i, m := range r.mounts {
		content, err := os.ReadFile(m.Path(replacersDir, replacersFile))
		line, whole := lineOf(string(content))
		if err != nil || !whole || i > 0 && line != last {
			r.t.Errorf("at last there are %d bytes of %q, after %q: %v", len(content), line, last, err)
		}
		last = line
	}
	return last
}

// isBegun reports whether a content is what a write of a line is after its first pages: the kernel may send the rest in a request of
// its own, which a daemon that is killed does not get.
func isBegun(content, line string) bool {
	return len(content)%os.Getpagesize() == 0 && strings.HasPrefix(replacementOf(line), content)
}

func (r *Replacers) checkKept(m *Mount) {
	r.t.Helper()
	paths, err := filepath.Glob(m.Path(".etagfs", "conflicts", "*", "mine"))
	if err != nil {
		r.t.Error(err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if line, whole := lineOf(string(content)); err != nil || !whole && !isBegun(string(content), line) {
			r.t.Errorf("a copy of %q has %d bytes: %v", line, len(content), err)
		}
	}
}
