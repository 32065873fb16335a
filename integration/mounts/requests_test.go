package mounts

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/internal/measure"
	"github.com/etagfs/etagfs/integration/mounttest"
)

// requests are what the kernel asked of a mount, by name.
type requests map[string]int

// waited is how many there were that somebody waited for.
func (r requests) waited() (n int) {
	for name, count := range r {
		if !slices.Contains([]string{"RELEASE", "RELEASEDIR", "FORGET", "BATCH_FORGET", "INTERRUPT"}, name) {
			n += count
		}
	}
	return n
}

// String lists them.
func (r requests) String() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r)) {
		all = append(all, fmt.Sprint(name, " ", r[name]))
	}
	return strings.Join(all, ", ")
}

// requestsOf counts what do has the kernel ask.
func requestsOf(t *testing.T, trace *measure.Trace, do func()) requests {
	t.Helper()
	if err := trace.Begin(); err != nil {
		t.Fatal(err)
	}
	do()
	text, whole, err := trace.End()
	if err != nil || !whole {
		t.Fatalf("not all was noted: %v", err)
	}
	counts := make(requests)
	for _, match := range regexp.MustCompile(`fuse_request_send: .* opcode \d+ \((?:FUSE_)?(\w+)\)`).FindAllSubmatch(text, -1) {
		counts[string(match[1])]++
	}
	return counts
}

// traceOf notes the requests of the mount of dir.
func traceOf(t *testing.T, dir string) *measure.Trace {
	t.Helper()
	mounttest.Need(t, "root")
	trace, err := measure.OpenTrace("fuse/fuse_request_send")
	if err != nil {
		t.Skipf("needs the kernel's trace of requests: %v", err)
	}
	t.Cleanup(func() { trace.Close() })
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil {
		t.Fatal(err)
	}
	if err := trace.Filter(fmt.Sprintf("connection == %d", stat.Dev)); err != nil {
		t.Fatal(err)
	}
	return trace
}

// everyday is a mount with files that the kernel remembers.
type everyday struct {
	*mounttest.Mount
	t       *testing.T
	content []byte
	made    int // files, by makes
}

const listedEntries = 200

func newEveryday(t *testing.T) *everyday {
	t.Helper()
	e := &everyday{Mount: mounttest.Start(t, mounttest.Options{}), t: t, content: make([]byte, 5000)}
	for _, name := range []string{"f", "read"} {
		put(t, e.Path(name), string(e.content))
	}
	e.must(os.Mkdir(e.Path("d"), 0o755))
	for i := range listedEntries {
		put(t, e.Path("d", fmt.Sprint(i)), "x")
	}
	return e
}

func (e *everyday) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// stats looks at a file and its directory, so that the kernel knows both.
func (e *everyday) stats(name string) func() {
	return func() {
		var stat unix.Stat_t
		e.must(unix.Stat(e.Dir, &stat))
		e.must(unix.Stat(e.Path(name), &stat))
	}
}

func (e *everyday) writes(name string, flags int) func() {
	return func() {
		fd, err := unix.Open(e.Path(name), flags, 0o644)
		e.must(err)
		_, err = unix.Write(fd, e.content)
		e.must(err)
		e.must(unix.Close(fd))
	}
}

// makes writes a new file.
func (e *everyday) makes(flags int) func() {
	return func() {
		e.made++
		e.writes(fmt.Sprint("new", e.made), flags|unix.O_CREAT)()
	}
}

func (e *everyday) reads(name string) func() {
	return func() {
		fd, err := unix.Open(e.Path(name), unix.O_RDONLY, 0)
		e.must(err)
		_, err = unix.Read(fd, make([]byte, len(e.content)+1))
		e.must(err)
		e.must(unix.Close(fd))
	}
}

// beside does something while somebody reads a file.
func (e *everyday) beside(name string, do func()) func() {
	return func() {
		reader, err := os.Open(e.Path(name))
		e.must(err)
		defer reader.Close()
		do()
	}
}

func (e *everyday) lists() {
	out, err := exec.Command("ls", "-l", e.Path("d")).Output()
	e.must(err)
	if lines := strings.Count(string(out), "\n"); lines != listedEntries+1 {
		e.t.Fatalf("ls shows %d lines", lines)
	}
}

// What programs do most costs so many requests that they wait for, and no more. What is more than the least that a transaction takes the kernel
// asks: for security.capability when a file is truncated or first written through the page cache (do_truncate and
// file_remove_privs in Linux 6.18, for each new node), for the attributes of a directory after each change of its names, when it is next walked
// through (fuse_dir_changed), which stats has it do before, and for those of a node that was made for a second attempt.
func TestRequestsOfEverydayCalls(t *testing.T) {
	e := newEveryday(t)
	trace := traceOf(t, e.Dir)
	known := e.stats("f")
	const attempts = 5 // what came before may still be about to end
	const truncate = unix.O_WRONLY | unix.O_TRUNC
	for _, trial := range []struct {
		name   string
		before func()
		do     func()
		most   int
	}{
		{"stat again", e.stats("read"), e.stats("read"), 0},
		{"open, read and close again", e.reads("read"), e.reads("read"), 1},
		{"create, write and close", known, e.makes(truncate), 4},
		{"create, write and close, exclusively", known, e.makes(unix.O_WRONLY | unix.O_EXCL), 4},
		{"create, write and close, to read too", known, e.makes(unix.O_RDWR), 5},
		{"write and close", known, e.writes("f", unix.O_WRONLY), 3},
		{"truncate, write and close", known, e.writes("f", truncate), 3 + 1},
		{"append and close", known, e.writes("f", unix.O_WRONLY|unix.O_APPEND), 3},
		{"write and close beside a reader", e.stats("read"), e.beside("read", e.writes("read", unix.O_WRONLY)), 1 + 6 + 1},
		{"truncate, write and close beside a reader", e.stats("read"), e.beside("read", e.writes("read", truncate)), 1 + 6 + 2},
		{"list what was listed", e.lists, e.lists, 8}, // none of the files
	} {
		t.Run(trial.name, func(t *testing.T) {
			var got requests
			for range attempts {
				trial.before()
				got = requestsOf(t, trace, trial.do)
				if t.Log(got); got.waited() <= trial.most {
					return
				}
			}
			t.Errorf("%d requests, want %d at most: %v", got.waited(), trial.most, got)
		})
	}
}
