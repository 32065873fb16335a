package mounts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// C5: what is asked by path after a close returned shows that close, though the kernel
// was asked before and may remember.
func TestPathsAreFreshAfterClose(t *testing.T) {
	m := start(t)
	path := m.Path("f")
	put(t, path, "start")
	reader := open(t, path, os.O_RDONLY) // keeps the first version's node alive
	for i := range 200 {
		content := strings.Repeat("x", i+1)
		put(t, path, content)
		if info, err := os.Stat(path); err != nil || info.Size() != int64(i+1) {
			t.Fatalf("stat after close %d: size %d (%v)", i, info.Size(), err)
		}
		check(t, path, content)
	}
	if info, err := reader.Stat(); err != nil || info.Size() != 5 {
		t.Errorf("the first reader sees size %d (%v)", info.Size(), err)
	}
}

// C5: names that came and names that went are seen at once, in listings too.
func TestNamesAreFresh(t *testing.T) {
	m := start(t)
	for i := range 100 {
		name := m.Path(fmt.Sprint("f", i))
		if _, err := os.Stat(name); !os.IsNotExist(err) {
			t.Fatalf("before it was made: %v", err)
		}
		put(t, name, "x")
		if _, err := os.Stat(name); err != nil {
			t.Fatalf("after it was made: %v", err)
		}
		listed(t, m.Dir, i%2+1)
		if i%2 == 1 {
			for _, old := range []string{fmt.Sprint("f", i-1), fmt.Sprint("f", i)} {
				if err := os.Remove(m.Path(old)); err != nil {
					t.Fatal(err)
				}
				if _, err := os.Stat(m.Path(old)); !os.IsNotExist(err) {
					t.Fatalf("after it was removed: %v", err)
				}
			}
			listed(t, m.Dir, 0)
		}
	}
}

func listed(t *testing.T, dir string, want int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != want {
		t.Fatalf("%d names are listed (%v), want %d", len(entries), err, want)
	}
}

// C5: a directory's times follow what is done in it.
func TestDirectoryTimesAreFresh(t *testing.T) {
	m := start(t)
	stamp := func() string { return shell(t, m, "stat -c '%y %z' .") }
	before := stamp()
	f := open(t, m.Path("f"), os.O_WRONLY|os.O_CREATE)
	during := stamp()
	write(t, f, "x")
	wants(t, "close", f.Close(), 0)
	after := stamp()
	if before == after {
		t.Errorf("times did not move: %s", after)
	}
	put(t, m.Path("g"), "")
	if err := os.Remove(m.Path("g")); err != nil {
		t.Fatal(err)
	}
	if stamp() == after || during == "" {
		t.Error("times did not move for a name that came and went")
	}
}

// An empty file is there for everybody as soon as its command is done.
func TestEmptyFilesAreVisibleAtOnce(t *testing.T) {
	m := start(t)
	out := shell(t, m, `touch f; : > u; echo -n > v; for n in f u v; do stat -c %n-%s $n; done; sh -c 'ls'`)
	if out != "f-0\nu-0\nv-0\nf\nu\nv\n" {
		t.Errorf("%q", out)
	}
}

// A file that is not closed yet can be handed to another process by its name.
func TestFileHandedByNameBeforeClose(t *testing.T) {
	m := start(t)
	path := m.Path("script")
	f := open(t, path, os.O_RDWR|os.O_CREATE)
	write(t, f, "echo from the script\n")
	out, err := exec.Command("sh", path).CombinedOutput()
	if err != nil || string(out) != "from the script\n" {
		t.Errorf("%q (%v)", out, err)
	}
	temp, err := os.CreateTemp(m.Dir, "temp") // O_EXCL: an empty file is there already
	if err != nil {
		t.Fatal(err)
	}
	defer temp.Close()
	write(t, temp, "lines\nof\ntext\n")
	out, err = exec.Command("wc", "-l", temp.Name()).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "3 ") {
		t.Errorf("%q (%v)", out, err)
	}
}

// C5: descriptors marked O_CLOEXEC are closed, and so committed, before the new program runs.
func TestExecCommitsWhatItCloses(t *testing.T) {
	m := start(t)
	path := m.Path("f")
	put(t, path, "old")
	program := mounttest.Command(t, "exec", path)
	in, inErr := program.StdinPipe()
	out, outErr := program.StdoutPipe()
	if err := errors.Join(inErr, outErr, program.Start()); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "running\n" {
		t.Fatalf("%q (%v)", line, err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "written before exec" {
		t.Errorf("while the new program runs: %q (%v)", got, err)
	}
	if err := errors.Join(in.Close(), program.Wait()); err == nil {
		t.Error("the shell read a line nobody wrote")
	}
}

// C2: tail -f beside a long-lived appender sees each line it commits.
func TestTailFollowsAnAppender(t *testing.T) {
	m := start(t)
	path := m.Path("log")
	put(t, path, "line 0\n")
	tail := exec.Command("tail", "-f", "-n", "+1", "-s", "0.02", path)
	out, err := tail.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		tail.Process.Kill()
		tail.Wait() // it was killed
	}()
	lines := bufio.NewReader(out)
	expect := func(want string) {
		t.Helper()
		got, err := lines.ReadString('\n')
		if err != nil || got != want {
			t.Fatalf("tail shows %q (%v), want %q", got, err, want)
		}
	}
	expect("line 0\n")
	f := open(t, path, os.O_WRONLY|os.O_APPEND)
	for i := range 20 {
		line := fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", 1000*i))
		write(t, f, line)
		wants(t, "fsync", f.Sync(), 0)
		expect(line)
	}
}

// C2: a reader in the middle of a page that grows never sees what is not there.
func TestGrowingFileHasNoHoles(t *testing.T) {
	m := start(t)
	path := m.Path("log")
	put(t, path, "")
	r := open(t, path, os.O_RDONLY)
	f := open(t, path, os.O_WRONLY|os.O_APPEND)
	want := ""
	for i := range 300 {
		line := fmt.Sprintf("%04d %s\n", i, strings.Repeat("y", i%67))
		want += line
		write(t, f, line)
		wants(t, "fsync", f.Sync(), 0)
		info, err := r.Stat()
		if err != nil || info.Size() != int64(len(want)) {
			t.Fatalf("fstat: %d (%v), want %d", info.Size(), err, len(want))
		}
		got, err := io.ReadAll(io.NewSectionReader(r, 0, 1<<20))
		if err != nil || string(got) != want {
			t.Fatalf("after line %d: %d bytes read (%v), want %d", i, len(got), err, len(want))
		}
	}
}
