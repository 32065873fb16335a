package mounts

import (
	"bufio"
	"encoding/json"
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

	"github.com/etagfs/etagfs/integration/mounttest"
)

// handedLines is how often a content repeats the line it consists of.
const handedLines = 3000

func handed(line string) string { return strings.Repeat(line+"\n", handedLines) }

// lineOf is the line a content consists of, if it is whole.
func lineOf(content string) (line string, whole bool) {
	line, _, _ = strings.Cut(content, "\n")
	return line, content == handed(line)
}

// writeHanded replaces OWN and changes SHARED again and again, as TAG, until its input ends. It says of each what became of
// it: the file, the line it wrote, the one it replaced, and how that ended.
func writeHanded(args []string) error {
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
		fmt.Println("own", line, "-", fate(os.WriteFile(own, []byte(handed(line)), 0o644)))
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
	base, whole := lineOf(string(content))
	if err == nil && !whole {
		fmt.Println("torn", line, base, "torn")
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(handed(line)), 0)
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
		if string(content) == handed(line) {
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

// handedChange is what a writer says.
type handedChange struct{ file, line, base, end string }

// handedWriter is a process that writes on one mount.
type handedWriter struct {
	cmd  *exec.Cmd
	in   io.Closer
	tag  string
	said []handedChange
}

// startHanded starts a writer. Whatever it commits is told to committed.
func startHanded(t *testing.T, m *mounttest.Mount, tag string, committed chan<- string, running *sync.WaitGroup) *handedWriter {
	t.Helper()
	w := &handedWriter{cmd: mounttest.Command(t, "hand", m.Path("work", "own-"+tag), m.Path("work", "shared"), tag), tag: tag}
	in, err := w.cmd.StdinPipe()
	out, also := w.cmd.StdoutPipe()
	if err := errors.Join(err, also, w.cmd.Start()); err != nil {
		t.Fatal(err)
	}
	w.in = in
	running.Go(func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var c handedChange
			if _, err := fmt.Sscan(lines.Text(), &c.file, &c.line, &c.base, &c.end); err != nil {
				t.Errorf("%q: %v", lines.Text(), err)
			}
			w.said = append(w.said, c)
			if c.end == "ok" {
				committed <- tag
			}
		}
		if err := w.cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// ownerAmong is the mount that has the store.
func ownerAmong(t *testing.T, mounts []*mounttest.Mount) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(mounts[0].Store, "lock"))
	var owner struct{ PID int }
	if err := errors.Join(err, json.Unmarshal(text, &owner)); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(mounts, func(m *mounttest.Mount) bool { return m.PID() == owner.PID })
	if i < 0 {
		t.Fatalf("process %d has the store, which is no mount", owner.PID)
	}
	return i
}

// C1, C3, C4, C8: whoever has the store is killed again and again while processes on all mounts write. Another takes over, nothing
// acknowledged is lost or done twice, nothing is torn, and what lost is kept.
func TestOwnersAreKilledUnderWriters(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	m := together(t, "socket", 3)
	if err := os.Mkdir(m[0].Path("work"), 0o755); err != nil { // which is not there where nothing is mounted
		t.Fatal(err)
	}
	put(t, m[0].Path("work", "shared"), handed("first"))
	committed := make(chan string, 1<<20)
	var running sync.WaitGroup
	var writers []*handedWriter
	for i := range m {
		writers = append(writers, startHanded(t, m[i], fmt.Sprintf("w%d", i), committed, &running))
	}
	commits := func(count int, of func(tag string) bool) {
		for count > 0 {
			if of(<-committed) {
				count--
			}
		}
	}
	for range rounds(3, 30) {
		commits(rng.IntN(20)+1, func(string) bool { return true })
		at := ownerAmong(t, m)
		m[at].Kill()
		for len(committed) > 0 {
			<-committed
		}
		commits(2+rng.IntN(5), func(tag string) bool { return tag != writers[at].tag }) // through another
		m[at].Restart()
		commits(1, func(tag string) bool { return tag == writers[at].tag })
	}
	for _, w := range writers {
		w.in.Close()
	}
	running.Wait()
	checkHanded(t, m, writers)
}

func checkHanded(t *testing.T, mounts []*mounttest.Mount, writers []*handedWriter) {
	t.Helper()
	followed := make(map[string]string) // by the line that was replaced
	for _, w := range writers {
		// The file of its own has what was acknowledged last, or what came after that and had no answer.
		var may []string
		for _, c := range w.said {
			switch {
			case c.end == "torn" || c.end == "unkept":
				t.Errorf("%+v", c)
			case c.end == "ok" && c.file == "shared":
				if other := followed[c.base]; other != "" {
					t.Errorf("%s and %s both replaced %s", other, c.line, c.base)
				}
				followed[c.base] = c.line
			case c.end == "ok":
				may = []string{c.line}
			case c.file == "own":
				may = append(may, c.line)
			}
		}
		for _, m := range mounts {
			content, err := os.ReadFile(m.Path("work", "own-"+w.tag))
			if line, whole := lineOf(string(content)); err != nil || !whole || !slices.Contains(may, line) {
				t.Errorf("%s has %d bytes of %q (%v), none of %q", w.tag, len(content), line, err, may)
			}
		}
	}
	for _, m := range mounts {
		content, err := os.ReadFile(m.Path("work", "shared"))
		if line, whole := lineOf(string(content)); err != nil || !whole || followed[line] != "" {
			t.Errorf("at last there are %d bytes of %q, which %q replaced: %v", len(content), line, followed[line], err)
		}
		for _, content := range kept(t, m) {
			if line, whole := lineOf(content); !whole && content != "" {
				t.Errorf("a copy of %q has %d bytes", line, len(content))
			}
		}
	}
}
