package posix

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// What is found by its handle is the object the handle was made of, by whatever name it goes; of what is gone it is stale. With
// isolation=handle there are none: an answer is EOPNOTSUPP.
func TestObjectsByTheirHandles(t *testing.T) {
	mounttest.Need(t, "root")
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		opened(t, dir, unix.O_RDONLY|unix.O_DIRECTORY, func(mount int) {
			for thing, make := range things() {
				for _, after := range []string{"nothing", "a rename", "a second name", "its removal"} {
					make(t, dir+"/x")
					h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, dir+"/x", 0)
					text := outcome(err)
					if err == nil {
						befall(t, dir, after)
						text += found(t, mount, dir, h)
					}
					all.add(t, sprint("%s after %s", thing, after), text)
					empty(t, dir)
				}
			}
			put(t, dir+"/x")
			for _, f := range []flag{{"unknown", 1 << 20}, {"empty path", unix.AT_EMPTY_PATH}, {"no link", unix.AT_SYMLINK_NOFOLLOW}} {
				_, _, err := unix.NameToHandleAt(unix.AT_FDCWD, dir+"/x", f.bits)
				all.add(t, "flag "+f.name, outcome(err))
			}
			empty(t, dir)
		})
		return all
	})
}

// befall does to x what is to be seen through its handle.
func befall(t *testing.T, dir, what string) {
	t.Helper()
	switch what {
	case "a rename":
		must(t, os.Rename(dir+"/x", dir+"/y"))
	case "a second name":
		if err := unix.Link(dir+"/x", dir+"/y"); err != unix.EPERM { // of a directory
			must(t, err)
			must(t, unix.Unlink(dir+"/x"))
		}
	case "its removal":
		must(t, os.RemoveAll(dir+"/x"))
	}
}

// found is what a handle opens.
func found(t *testing.T, mount int, dir string, h unix.FileHandle) (text string) {
	t.Helper()
	for _, way := range []flag{{"path", unix.O_PATH}, {"read", unix.O_RDONLY | unix.O_NONBLOCK}, {"write", unix.O_WRONLY | unix.O_NONBLOCK}} {
		fd, err := unix.OpenByHandleAt(mount, h, way.bits|unix.O_CLOEXEC)
		text += sprint(" %s: %s", way.name, outcome(err))
		if err != nil {
			continue
		}
		var st, at unix.Stat_t
		must(t, unix.Fstat(fd, &st))
		text += " " + kindOf(st.Mode)
		for _, name := range []string{"/x", "/y"} {
			if unix.Lstat(dir+name, &at) == nil {
				text += sprint(" is %s: %t", name, at.Ino == st.Ino)
			}
		}
		must(t, unix.Close(fd))
	}
	return text
}

// lessee is the role of another process that has a lease: it tells what came of taking it, and of the signal that breaks it, after which it
// gives it back.
const lessee = "lessee"

func holdLease(args []string) error {
	kind := unix.F_RDLCK
	if args[1] == "write" {
		kind = unix.F_WRLCK
	}
	fd, err := unix.Open(args[0], unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, unix.SIGIO)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, kind)
	had, _ := unix.FcntlInt(uintptr(fd), unix.F_GETLEASE, 0)
	fmt.Println("taken", outcome(err))
	told := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		told <- err
	}()
	select {
	case <-broken:
		giveBack(fd)
		return <-told
	case err := <-told:
		if has, _ := unix.FcntlInt(uintptr(fd), unix.F_GETLEASE, 0); has != had { // the signal is on its way
			<-broken
			giveBack(fd)
			return err
		}
		fmt.Println("unbroken")
		return err
	}
}

func giveBack(fd int) {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK)
	fmt.Println("broken", outcome(err))
}

// A lease of another process is broken by who opens the file against it, who does not wait if he must not, and by who cuts it.
func TestLeasesOfAnotherProcess(t *testing.T) {
	opens := []flag{
		{"read", unix.O_RDONLY}, {"write", unix.O_WRONLY}, {"both", unix.O_RDWR}, {"truncate", unix.O_WRONLY | unix.O_TRUNC}, {"path", unix.O_PATH},
		{"read, not waiting", unix.O_RDONLY | unix.O_NONBLOCK}, {"write, not waiting", unix.O_WRONLY | unix.O_NONBLOCK},
	}
	want := leases(t, native(t), opens)
	m := mounttest.Start(t, mounttest.Options{Mount: "isolation=mount"})
	t.Cleanup(m.ExpectNothingLeft)
	must(t, os.Mkdir(m.Path("w"), 0o777))
	judge(t, want, leases(t, reachable(t, m.Path("w")), opens))
}

func leases(t *testing.T, dir string, opens []flag) lines {
	all := make(lines)
	for _, kind := range []string{"read", "write"} {
		for _, way := range opens {
			put(t, dir+"/f")
			name := sprint("%s lease, open to %s", kind, way.name)
			all.add(t, name, leased(t, dir+"/f", kind, func() error {
				fd, err := unix.Open(dir+"/f", way.bits|unix.O_CLOEXEC, 0)
				must0(unix.Close(fd))
				return err
			}))
		}
		put(t, dir+"/f")
		all.add(t, kind+" lease, truncate", leased(t, dir+"/f", kind, func() error { return unix.Truncate(dir+"/f", 1) }))
		opened(t, dir+"/f", unix.O_RDWR, func(int) {
			all.add(t, kind+" lease beside a writer", leased(t, dir+"/f", kind, func() error { return nil }))
		})
	}
	must(t, os.Remove(dir+"/f"))
	return all
}

// leased is what came of a call while another process has a lease on a file, and what that process saw.
func leased(t *testing.T, path, kind string, call func() error) string {
	t.Helper()
	cmd := mounttest.Command(t, lessee, path, kind)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	said := bufio.NewScanner(out)
	said.Scan()
	text := said.Text()
	text += "; " + outcome(again(call))
	must(t, in.Close())
	for said.Scan() {
		text += "; " + said.Text()
	}
	must(t, cmd.Wait())
	return text
}
