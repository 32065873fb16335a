package hostile

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// victim is what a hostile user wants changed by somebody who may: a file and a directory of root's.
type victim struct {
	dir, file string
	before    string
}

func newVictim(t *testing.T) victim {
	t.Helper()
	v := victim{dir: filepath.Join(t.TempDir(), "victim")}
	v.file = filepath.Join(v.dir, "file")
	if err := os.Mkdir(v.dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(v.file, bytes.Repeat([]byte("precious\n"), 1000), 0o640); err != nil {
		t.Fatal(err)
	}
	v.before = v.state(t)
	return v
}

// state is all that an attack could change.
func (v victim) state(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(v.dir, func(name string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var stat unix.Stat_t
		if err := unix.Lstat(name, &stat); err != nil {
			return err
		}
		text, _ := os.ReadFile(name) // a directory has none
		fmt.Fprintf(&b, "%s %o %d:%d %d %.20q\n", strings.TrimPrefix(name, v.dir), stat.Mode, stat.Uid, stat.Gid, len(text), text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// trap is a way to plant a name.
type trap struct {
	name  string
	plant func(v victim, name string) error
}

// traps are made as the hostile user, who owns what is planted.
func traps() []trap {
	link := func(target, name string) error {
		if err := os.Symlink(target, name); err != nil {
			return err
		}
		return os.Lchown(name, nobody, nobody)
	}
	return []trap{
		{"a link to a file", func(v victim, name string) error { return link(v.file, name) }},
		{"a link to a directory", func(v victim, name string) error { return link(v.dir, name) }},
		{"a link to nothing yet", func(v victim, name string) error { return link(filepath.Join(v.dir, "new"), name) }},
		{"a pipe", func(_ victim, name string) error { return unix.Mkfifo(name, 0o666) }},
	}
}

// attempt mounts a store where something was planted, writes a little, and unmounts, as far as that is possible. It must come to an end.
func attempt(t *testing.T, store string) {
	t.Helper()
	point := filepath.Join(t.TempDir(), "mnt")
	if err := os.Mkdir(point, 0o700); err != nil {
		t.Fatal(err)
	}
	const script = `"$1" mount "$2" "$3" && { head -c 100000 /dev/zero >"$3/file"; "$1" unmount "$3"; }`
	cmd := exec.Command("sh", "-c", script, "sh", mounttest.Binary(), store, point)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out mounttest.Output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil && !strings.Contains(out.String(), "etagfs: ") { // who writes may have said something before
			t.Errorf("%v, without a sentence: %s", err, &out)
		}
	case <-time.After(patience):
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // etagfs mount ends the daemon that it waits for
		<-ended
		unix.Unmount(point, unix.MNT_DETACH)
		t.Errorf("it does not end\n%s", &out)
	}
}

// begun is a store that was mounted once and has a log.
func begun(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	store := filepath.Join(dir, "store")
	attempt(t, store)
	if _, err := os.Stat(filepath.Join(store, "etagfs.log")); err != nil {
		t.Fatal(err)
	}
	return store
}

// planted runs a test for every trap at every name.
func planted(t *testing.T, store string, names []string) {
	t.Helper()
	mounttest.Need(t, "fuse", "root", "binary")
	for _, name := range names {
		for _, trap := range traps() {
			t.Run(name+" is "+trap.name, func(t *testing.T) {
				v := newVictim(t)
				dir := filepath.Join(t.TempDir(), "store")
				if store == "" {
					if err := os.Mkdir(dir, 0o777); err != nil {
						t.Fatal(err)
					}
				} else if out, err := exec.Command("cp", "-a", store, dir).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				at := filepath.Join(dir, name)
				if err := os.RemoveAll(at); err != nil {
					t.Fatal(err)
				}
				if err := trap.plant(v, at); err != nil {
					t.Fatal(err)
				}
				attempt(t, dir)
				if after := v.state(t); after != v.before {
					t.Errorf("the victim was\n%sand is\n%s", v.before, after)
				}
			})
		}
	}
}

// Nobody who can make names in the directory that becomes a store has the program change what is another's, nor wait for ever.
func TestNamesPlantedWhereAStoreIsMadeDoNoHarm(t *testing.T) {
	planted(t, "", []string{"lock", "ballast", "FORMAT", "etagfs.log"})
}

// The same in a store that is there already.
func TestNamesPlantedInAStoreDoNoHarm(t *testing.T) {
	mounttest.Need(t, "fuse", "root", "binary")
	names := []string{"lock", "ballast", "marks", "clients", "etagfs.log", "etagfs.sock", "staging", "blobs/0", "badger/LOCK", "badger/DISCARD"}
	planted(t, begun(t), names)
}
