package programs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

func TestMain(m *testing.M) { mounttest.Main(m, nil) }

// use is something people do with a program. In its script $TREE is a directory of files elsewhere, and $OUT an empty one.
type use struct {
	name   string
	needs  string // programs, beside a shell and the tools every system has
	script string
	// varies matches what differs from one run to the next on the native filesystem too.
	varies string
	long   bool
}

// useTime is how long one use may take: a script that hangs is ended.
const useTime = 2 * time.Minute

// environment makes runs alike.
func environment(tree, out string) []string {
	return append(os.Environ(), "LC_ALL=C", "GO_CACHE="+cacheOfGo(), "TZ=UTC", "TREE="+tree, "OUT="+out, "HOME="+out, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b",
		"GIT_AUTHOR_DATE=2001-02-03T04:05:06Z", "GIT_COMMITTER_DATE=2001-02-03T04:05:06Z")
}

// cacheOfGo is the build cache of who runs the tests, empty if there is none.
func cacheOfGo() string {
	dir, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(dir))
}

// outcome is what is compared.
type outcome struct {
	said string
	err  error
	left []string // a line for each file
}

// run carries out a use in a new directory below parent.
func run(t *testing.T, u use, parent, tree string) outcome {
	t.Helper()
	dir := filepath.Join(parent, strings.ReplaceAll(u.name, " ", "-"))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), useTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-eu", "-c", u.script)
	cmd.Dir, cmd.Env = dir, environment(tree, t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	return outcome{strings.ReplaceAll(said.String(), parent, ""), err, leftBelow(t, dir, u.varies)}
}

// leftBelow describes a tree, but for what varies.
func leftBelow(t *testing.T, dir, varies string) (lines []string) {
	t.Helper()
	skip := regexp.MustCompile(varies)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path) // it is below
		if err != nil || varies != "" && skip.MatchString(name) {
			return err
		}
		line, err := described(path, entry)
		lines = append(lines, name+" "+line)
		return err
	})
	if err != nil {
		t.Errorf("list what is left: %v", err)
	}
	return lines
}

func described(path string, entry fs.DirEntry) (string, error) {
	info, err := entry.Info()
	if err != nil {
		return "", err
	}
	links := info.Sys().(*syscall.Stat_t).Nlink
	switch {
	case info.Mode().IsRegular():
		content, err := os.ReadFile(path)
		return fmt.Sprintf("%v %d links, %d bytes, %x", info.Mode(), links, info.Size(), sha256.Sum256(content)), err
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(path)
		return fmt.Sprintf("%v to %s", info.Mode(), to), err
	default:
		return fmt.Sprintf("%v %d links", info.Mode(), links), nil
	}
}

// tree makes a directory of files of several sizes, links and programs.
func tree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	for d := range 3 {
		sub := filepath.Join(dir, fmt.Sprint(d))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range 10 {
			content := strings.Repeat(fmt.Sprintln("file", f, "of directory", d), 1<<(f+d)/4)
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprint(f)), []byte(content), os.FileMode(0o600|f%8*8|f%2*0o100)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("../0/1", filepath.Join(sub, "link")); err != nil {
			t.Fatal(err)
		}
	}
	makeOld(t, dir)
	return dir
}

// makeOld gives a tree times that no clock shows: some programs look at no more than seconds, rsync does of links. A few files are older.
func makeOld(t *testing.T, dir string) {
	t.Helper()
	older := []string{"0/1", "1/2", "2/3", "0", "1", "2"}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		when := time.Date(2002, 2, 3, 4, 5, 6, 0, time.UTC)
		if name, _ := filepath.Rel(dir, path); slices.Contains(older, name) { // it is below
			when = when.AddDate(-1, 0, 0)
		}
		stamp := unix.NsecToTimespec(when.UnixNano())
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{stamp, stamp}, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// need skips a use whose programs are not there, or that takes too long for now.
func need(t *testing.T, u use) {
	t.Helper()
	mounttest.Need(t, strings.Fields(u.needs)...)
	if u.long && os.Getenv("ETAGFS_LONG") == "" {
		t.Skip("long: run with ETAGFS_LONG=1")
	}
}

// uses are all of them.
func uses() []use {
	return slices.Concat(fileUses(), textUses(), editorUses(), attributeUses(), archiveUses(), copyUses(), developmentUses(), gitUses(), dataUses(), processUses())
}

func TestProgramsDoWhatTheyDoOnTheNativeFilesystem(t *testing.T) {
	native, files := t.TempDir(), tree(t)
	mounts := map[string]*mounttest.Mount{}
	for _, isolation := range []string{"handle", "mount"} {
		mounts[isolation] = mounttest.Start(t, mounttest.Options{Mount: "isolation=" + isolation, Deadline: 10 * time.Minute})
	}
	t.Run("uses", func(t *testing.T) {
		for _, u := range uses() {
			t.Run(u.name, func(t *testing.T) {
				t.Parallel()
				need(t, u)
				want := run(t, u, native, files)
				if want.err != nil {
					t.Fatalf("the native filesystem: %v\n%s", want.err, want.said)
				}
				for isolation, m := range mounts {
					compare(t, isolation, run(t, u, m.Dir, files), want)
				}
			})
		}
	})
	for isolation, m := range mounts {
		lost, err := filepath.Glob(m.Path(".etagfs", "conflicts", "*", "reason"))
		if err != nil || len(lost) > 0 {
			t.Errorf("isolation=%s: %d writes have lost (%v)\n%s", isolation, len(lost), err, m.Log())
		}
	}
}

// compare says where a mount parts from the native filesystem.
func compare(t *testing.T, isolation string, got, want outcome) {
	t.Helper()
	if got.err != nil || got.said != want.said {
		t.Errorf("isolation=%s: it ends with %v and says\n%s\nbut on the native filesystem\n%s", isolation, got.err, got.said, want.said)
	}
	for _, line := range got.left {
		if !slices.Contains(want.left, line) {
			t.Errorf("isolation=%s: only on the mount: %s", isolation, line)
		}
	}
	for _, line := range want.left {
		if !slices.Contains(got.left, line) {
			t.Errorf("isolation=%s: only on the native filesystem: %s", isolation, line)
		}
	}
}
