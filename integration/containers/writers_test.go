package containers

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// rounds is n, or more in the long form.
func rounds(n, more int) int {
	if long() {
		return more
	}
	return n
}

// onEach makes a command in a role for each host, with its name as the last argument.
func onEach(hosts []*host, role string, args ...string) (all []*exec.Cmd) {
	for _, h := range hosts {
		var own []string
		for _, a := range args {
			own = append(own, strings.ReplaceAll(a, "{mnt}", h.path("mnt")))
		}
		all = append(all, h.role(role, append(own, h.name)...))
	}
	return all
}

// Programs of three hosts write to the same files.
func TestThreeHostsWrite(t *testing.T) {
	s := newSite(t)
	hosts := s.mounts(s.serve(spec{}))
	for _, c := range []struct {
		name string
		test func(t *testing.T, dir string, hosts []*host)
	}{
		{"and no increment is lost", countTogether},
		{"and lock files exclude", lockTogether},
		{"and a file replaced by rename is always there", replaceTogether},
		{"and a directory swapped by rename is one of theirs", swapTogether},
		{"and appended lines are there once and in order", appendTogether},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := strings.ReplaceAll(c.name, " ", "-")
			hosts[0].hands().do(order{Call: "mkdir", Path: hosts[0].file(dir)})
			c.test(t, dir, hosts)
		})
	}
}

// C3.
func countTogether(t *testing.T, dir string, hosts []*host) {
	each := rounds(20, 500)
	eyes := hosts[0].hands()
	eyes.put(hosts[0].file(dir, "counter"), "0")
	run(t, append(onEach(hosts, "increment", "{mnt}/"+dir+"/counter", strconv.Itoa(each)),
		onEach(hosts, "increment", "{mnt}/"+dir+"/counter", strconv.Itoa(each))...)...)
	eyes.expect(hosts[0].file(dir, "counter"), strconv.Itoa(6*each))
}

// C6: what is done under a file made with O_EXCL never meets, and each sees what the one before it did (C5).
func lockTogether(t *testing.T, dir string, hosts []*host) {
	each := rounds(15, 300)
	eyes := hosts[0].hands()
	eyes.put(hosts[0].file(dir, "counter"), "0")
	run(t, onEach(hosts, "locked", "{mnt}/"+dir, strconv.Itoa(each))...)
	eyes.expect(hosts[0].file(dir, "counter"), strconv.Itoa(3*each))
}

// C1, C7: it is whole, too.
func replaceTogether(t *testing.T, dir string, hosts []*host) {
	hosts[0].hands().put(hosts[0].file(dir, "current"), string(whole("first", 0)))
	run(t, onEach(hosts, "replace", "{mnt}/"+dir, strconv.Itoa(rounds(40, 1000)))...)
}

// C7: it has all files of one of them.
func swapTogether(t *testing.T, dir string, hosts []*host) {
	w := hosts[0].hands()
	w.do(order{Call: "mkdir", Path: hosts[0].file(dir, "current")})
	for _, name := range []string{"a", "b"} {
		w.put(hosts[0].file(dir, "current", name), "first 0")
	}
	run(t, onEach(hosts, "swap", "{mnt}/"+dir, strconv.Itoa(rounds(20, 500)))...)
}

// C3.
func appendTogether(t *testing.T, dir string, hosts []*host) {
	if unknown := appendLines(t, hosts, dir, rounds(30, 500)); unknown != 0 {
		t.Errorf("%d closes have not answered", unknown)
	}
}

// appendLines has each host append to one file, and checks what is in it. It returns how many closes have not said what became of
// their line.
func appendLines(t *testing.T, hosts []*host, dir string, lines int) (unknown int) {
	t.Helper()
	hosts[0].hands().put(hosts[0].file(dir, "log"), "") // of two that make a file one loses, even if both would append
	all := onEach(hosts, "append", "{mnt}/"+dir+"/log", strconv.Itoa(lines))
	said := make([]bytes.Buffer, len(all))
	for i := range all {
		all[i].Stdout = &said[i]
	}
	run(t, all...)
	file := hosts[0].hands().get(hosts[0].file(dir, "log"))
	for i, h := range hosts {
		unknown += mounttest.CheckAppended(t, h.name, lines, said[i].String(), file)
	}
	return unknown
}

// countLocked adds one to DIR/counter, COUNT times, holding the file DIR/lock.
func countLocked(args []string) error {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	lock := filepath.Join(args[0], "lock")
	for range count {
		for {
			f, err := os.OpenFile(lock, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
			if err == nil {
				if err := f.Close(); err != nil {
					return fmt.Errorf("close the lock: %w", err)
				}
				break
			}
			if !errors.Is(err, syscall.EEXIST) {
				return err
			}
			<-time.After(time.Millisecond)
		}
		if err := errors.Join(addOne(filepath.Join(args[0], "counter")), os.Remove(lock)); err != nil {
			return err
		}
	}
	return nil
}

// addOne is what only one process does at a time: it may not be told that another was first.
func addOne(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(path, strconv.AppendInt(nil, int64(n+1), 10), 0o644)
}

// whole is a content that can be recognised.
func whole(tag string, n int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%s %d\n", tag, n), 1000)
}

// replaceOften replaces DIR/current by rename, COUNT times, and reads it each time.
func replaceOften(args []string) error {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	current, own := filepath.Join(args[0], "current"), filepath.Join(args[0], "new-"+args[2])
	for i := range count {
		if err := os.WriteFile(own, whole(args[2], i), 0o644); err != nil {
			return err
		}
		if err := os.Rename(own, current); err != nil {
			return err
		}
		got, err := os.ReadFile(current)
		if err != nil {
			return err
		}
		line, _, _ := bytes.Cut(got, []byte("\n"))
		if !bytes.Equal(got, bytes.Repeat(append(line, '\n'), 1000)) {
			return fmt.Errorf("%d bytes that nobody wrote, beginning with %q", len(got), line)
		}
	}
	return nil
}

// swapOften makes a directory with two files that say the same, and exchanges it with DIR/current, COUNT times. Whoever has that open
// meanwhile finds both, or finds that they are being removed.
func swapOften(args []string) error {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	current, own := filepath.Join(args[0], "current"), filepath.Join(args[0], "new-"+args[2])
	for i := range count {
		if err := os.Mkdir(own, 0o755); err != nil {
			return err
		}
		for _, name := range []string{"a", "b"} {
			if err := os.WriteFile(filepath.Join(own, name), fmt.Appendf(nil, "%s %d", args[2], i), 0o644); err != nil {
				return err
			}
		}
		if err := unix.Renameat2(unix.AT_FDCWD, own, unix.AT_FDCWD, current, unix.RENAME_EXCHANGE); err != nil {
			return fmt.Errorf("exchange: %w", err)
		}
		if err := errors.Join(sameInBoth(current), os.RemoveAll(own)); err != nil {
			return err
		}
	}
	return nil
}

// sameInBoth reads both files of the directory that a path names now.
func sameInBoth(path string) error {
	dir, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	a, errA := dir.ReadFile("a")
	b, errB := dir.ReadFile("b")
	if err := errors.Join(errA, errB); errors.Is(err, os.ErrNotExist) {
		return nil // another host has exchanged it already, and removes it
	} else if err != nil {
		return err
	}
	if !bytes.Equal(a, b) {
		return fmt.Errorf("a directory of two: %q and %q", a, b)
	}
	return nil
}
