package mounts

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// ways are how several mounts share a store: one owns it and the others use it through its socket, or a
// server owns it and all reach it over HTTP.
func ways() []string { return []string{"socket", "http"} }

// together are n mounts of one store.
func together(t testing.TB, way string, n int) []*mounttest.Mount {
	t.Helper()
	return togetherWith(t, way, n, "")
}

// togetherWith are n mounts of one store with the same options.
func togetherWith(t testing.TB, way string, n int, words string) []*mounttest.Mount {
	t.Helper()
	mounttest.Need(t, "fuse")
	mounttest.Need(t, "binary")
	if way == "http" {
		url := server(t, filepath.Join(t.TempDir(), "store"))
		mounts := make([]*mounttest.Mount, n)
		for i := range mounts {
			mounts[i] = mounttest.Start(t, mounttest.Options{Source: url + "/main", Mount: words})
		}
		return mounts
	}
	mounts := []*mounttest.Mount{mounttest.Start(t, mounttest.Options{Mount: words})}
	for len(mounts) < n {
		mounts = append(mounts, mounttest.Start(t, mounttest.Options{Source: mounts[0].Store, Mount: words}))
	}
	return mounts
}

// server serves a store as long as the test, to anybody, and returns where.
func server(t testing.TB, store string) string {
	t.Helper()
	cmd := exec.Command(mounttest.Binary(), "serve", store, "--json", "--listen", "127.0.0.1:0", "--anonymous", "admin")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ URL string }
	if err := json.Unmarshal([]byte(line), &said); err != nil {
		t.Fatal(err)
	}
	return said.URL
}

// forEachWay runs a test on n mounts of one store, in every way there is.
func forEachWay(t *testing.T, n int, test func(t *testing.T, mounts []*mounttest.Mount)) {
	for _, way := range ways() {
		t.Run(way, func(t *testing.T) { test(t, together(t, way, n)) })
	}
}

// C3, C4: of two handles on two mounts the second to close gets EBUSY, and its bytes are kept, seen from both.
func TestSecondCloseOnAnotherMountLosesAndIsKept(t *testing.T) {
	forEachWay(t, 2, func(t *testing.T, m []*mounttest.Mount) {
		put(t, m[0].Path("f"), "base")
		a, b := open(t, m[0].Path("f"), os.O_WRONLY), open(t, m[1].Path("f"), os.O_WRONLY)
		write(t, a, "AAAA")
		write(t, b, "BBBB")
		wants(t, "first close", a.Close(), 0)
		wants(t, "second close", b.Close(), syscall.EBUSY)
		for _, m := range m {
			check(t, m.Path("f"), "AAAA")
			checkKept(t, m, "BBBB")
		}
		c, d := open(t, m[0].Path("f"), os.O_WRONLY), open(t, m[1].Path("f"), os.O_WRONLY)
		write(t, c, "CCCC")
		write(t, d, "DDDD")
		wants(t, "close on the second", d.Close(), 0)
		wants(t, "close on the first", c.Close(), syscall.EBUSY)
		check(t, m[0].Path("f"), "DDDD")
	})
}

// C2: a reader on one mount keeps its version whatever is done on the other.
func TestReaderIsPinnedAcrossMounts(t *testing.T) {
	forEachWay(t, 2, func(t *testing.T, m []*mounttest.Mount) {
		old := strings.Repeat("old content ", 100_000)
		put(t, m[1].Path("f"), old)
		f := open(t, m[1].Path("f"), os.O_RDONLY)
		put(t, m[0].Path("f"), "new")
		if err := os.Remove(m[0].Path("f")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(old))
		if n, err := f.ReadAt(got, 0); n != len(old) || string(got) != old {
			t.Errorf("read %d bytes (%v), and they are not the old ones", n, err)
		}
		wants(t, "close", f.Close(), 0)
	})
}

// C3: no increment is lost, whichever mount it was made on.
func TestCounterOnFourMounts(t *testing.T) {
	forEachWay(t, 4, func(t *testing.T, m []*mounttest.Mount) {
		put(t, m[0].Path("counter"), "0")
		each := rounds(10, 100)
		var all []*exec.Cmd
		for _, m := range m {
			all = append(all, times(t, 8, "increment", m.Path("counter"), strconv.Itoa(each))...)
		}
		run(t, all...)
		for _, m := range m {
			check(t, m.Path("counter"), strconv.Itoa(4*8*each))
		}
	})
}

// appendOften appends lines that begin with TAG to FILE, COUNT times, opening it anew for each.
func appendOften(args []string) error {
	count, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	for i := range count {
		f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(f, "%s %d\n", args[1], i); err != nil {
			return errors.Join(err, f.Close())
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// C3: purely appended lines are merged: each is there exactly once, and those of one process in their order.
func TestAppendsFromTwoMounts(t *testing.T) {
	lines := rounds(100, 1000)
	forEachWay(t, 2, func(t *testing.T, m []*mounttest.Mount) {
		put(t, m[0].Path("log"), "")
		tags := []string{"a", "b", "c", "d"}
		var all []*exec.Cmd
		for i, tag := range tags {
			all = append(all, mounttest.Command(t, "append", m[i%2].Path("log"), tag, strconv.Itoa(lines)))
		}
		run(t, all...)
		got, err := os.ReadFile(m[1].Path("log"))
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[string][]string)
		for line := range strings.Lines(string(got)) {
			tag, number, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			seen[tag] = append(seen[tag], number)
		}
		want := make([]string, lines)
		for i := range want {
			want[i] = strconv.Itoa(i)
		}
		for _, tag := range tags {
			if !slices.Equal(seen[tag], want) {
				t.Errorf("%s: %d lines, not each once and in order: %q", tag, len(seen[tag]), seen[tag])
			}
		}
	})
}

// C5: what one mount has made is there for the other at once, although that has just seen that it was not; so are
// removals, and directories under new names.
func TestOtherMountsAreFresh(t *testing.T) {
	count := rounds(500, 10_000)
	forEachWay(t, 2, func(t *testing.T, m []*mounttest.Mount) {
		for i := range count {
			a, b := m[i%2], m[(i+1)%2]
			name := "f" + strconv.Itoa(i%7)
			if _, err := os.Stat(b.Path(name)); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("round %d: before it is made: %v", i, err)
			}
			put(t, a.Path(name), strconv.Itoa(i))
			check(t, b.Path(name), strconv.Itoa(i))
			if err := os.Remove(b.Path(name)); err != nil {
				t.Fatalf("round %d: %v", i, err)
			}
			if _, err := os.Stat(a.Path(name)); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("round %d: after it was removed: %v", i, err)
			}
		}
		freshDirectories(t, m)
	})
}

func freshDirectories(t *testing.T, m []*mounttest.Mount) {
	t.Helper()
	if err := os.Mkdir(m[0].Path("d0"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, m[0].Path("d0", "f"), "content")
	for i := range rounds(100, 10_000) {
		a, b := m[i%2], m[(i+1)%2]
		from, to := "d"+strconv.Itoa(i), "d"+strconv.Itoa(i+1)
		if _, err := os.Stat(b.Path(to, "f")); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("round %d: before the rename: %v", i, err)
		}
		if err := os.Rename(a.Path(from), a.Path(to)); err != nil {
			t.Fatal(err)
		}
		check(t, b.Path(to, "f"), "content")
		if _, err := os.Stat(b.Path(from)); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("round %d: the old name after the rename: %v", i, err)
		}
	}
}

// C10: when the owner is gone, who uses the store through it is told so, and goes on when it is back.
func TestAttachedMountSurvivesItsOwner(t *testing.T) {
	owner, other, _ := ownerAndOther(t)
	m := []*mounttest.Mount{owner, other}
	put(t, m[1].Path("f"), "content")
	m[0].Signal(syscall.SIGKILL)
	m[0].Wait()
	if _, err := os.ReadFile(m[1].Path("f")); err == nil {
		t.Error("a file can be read though nobody has the store")
	}
	m[0].Restart()
	check(t, m[1].Path("f"), "content")
	put(t, m[1].Path("g"), "more")
	check(t, m[0].Path("g"), "more")
}

// closeLater writes to FILE, says so, and closes it when it is told to. It ends with what close said.
func closeLater(args []string) error {
	flags := os.O_WRONLY
	if args[1] == "truncate" {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(args[0], flags, 0)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte("MINE"), 0); err != nil {
		return err
	}
	fmt.Println("written")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	closed := f.Close()
	fmt.Println(errors.Is(closed, syscall.EBUSY), closed == nil)
	return nil
}

// changed is another process that has changed a file. What it returns closes the file and tells what close said.
func changed(t *testing.T, path, how string) (closes func() string) {
	t.Helper()
	cmd := mounttest.Command(t, "later", path, how)
	in, out := mounttest.StartPiped(t, cmd)
	said := bufio.NewReader(out)
	if line, err := said.ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	return func() string {
		fmt.Fprintln(in, "close")
		line, err := said.ReadString('\n')
		if err := errors.Join(err, cmd.Wait()); err != nil {
			t.Error(err)
		}
		switch strings.TrimSpace(line) {
		case "true false":
			return "EBUSY"
		case "false true":
			return "success"
		default:
			return "another error"
		}
	}
}

// C3, C4: what a handle has changed while the owner was gone is committed if nobody was first, and loses to who was: never
// silence. The handles are those of other processes: a descriptor
// that a new daemon inherits would have to be committed before it begins.
func TestChangedHandlesOutliveTheOwner(t *testing.T) {
	owner, other, _ := ownerAndOther(t)
	m := []*mounttest.Mount{owner, other}
	base := strings.Repeat("base ", 50_000)
	closes := make(map[string]func() string)
	for name, how := range map[string]string{"wins": "keep", "loses": "truncate", "partly": "keep"} {
		put(t, m[0].Path(name), base)
		closes[name] = changed(t, m[1].Path(name), how)
	}
	m[0].Signal(syscall.SIGKILL)
	m[0].Wait()
	m[0].Restart()
	put(t, m[0].Path("loses"), "other")
	put(t, m[0].Path("partly"), "other")
	for name, want := range map[string]string{"wins": "success", "loses": "EBUSY", "partly": "EBUSY"} {
		if got := closes[name](); got != want {
			t.Errorf("%s: close is %s instead of %s", name, got, want)
		}
	}
	check(t, m[0].Path("wins"), "MINE"+base[4:])
	check(t, m[0].Path("loses"), "other")
	check(t, m[0].Path("partly"), "other")
	checkKept(t, m[0], "MINE", "MINE"+base[4:])
}

// Commands on a store that is mounted use it through its owner; what they do is seen in the mount at once.
func TestCommandsOnAMountedStore(t *testing.T) {
	m := together(t, "socket", 1)[0]
	etagfs := func(input string, args ...string) string {
		t.Helper()
		cmd := exec.Command(mounttest.Binary(), args...)
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("etagfs %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	put(t, m.Path("f"), "content")
	if got := etagfs("", "cat", m.Store, "f"); got != "content" {
		t.Errorf("cat: %q", got)
	}
	for i := range 20 {
		text := "put " + strconv.Itoa(i)
		etagfs(text, "put", m.Store, "f", "-")
		check(t, m.Path("f"), text)
	}
	if got := etagfs("", "ls", m.Store); !strings.Contains(got, "f") {
		t.Errorf("ls: %q", got)
	}
	etagfs("", "mv", m.Store, "f", "g")
	check(t, m.Path("g"), "put 19")
	etagfs("", "rm", m.Store, "g")
	if _, err := os.Stat(m.Path("g")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after rm: %v", err)
	}
}
