package posix

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// started runs a program that lasts, and returns what ends it.
func started(t *testing.T, program string) (end func()) {
	t.Helper()
	cmd := exec.Command(program, "1000")
	must(t, cmd.Start())
	return func() {
		must(t, cmd.Process.Kill())
		cmd.Wait() // it says that it was killed
	}
}

// runs says what comes of running a program.
func runs(program string) string {
	return outcome(exec.Command(program, "0").Run())
}

// change is what may take set-user-id and set-group-id off a file.
type clearing struct {
	name string
	do   func(path string) error
}

func clearings() []clearing {
	return []clearing{
		{"nothing", func(string) error { return nil }},
		{"write", func(p string) error { return through(p, unix.O_WRONLY, writeOne) }},
		{"write of nothing", func(p string) error {
			return through(p, unix.O_WRONLY, func(fd int) error { _, err := unix.Write(fd, nil); return err })
		}},
		{"write and read", func(p string) error { return through(p, unix.O_RDWR, writeOne) }},
		{"append", func(p string) error { return through(p, unix.O_WRONLY|unix.O_APPEND, writeOne) }},
		{"open to truncate", func(p string) error { return through(p, unix.O_WRONLY|unix.O_TRUNC, func(int) error { return nil }) }},
		{"ftruncate", func(p string) error {
			return through(p, unix.O_WRONLY, func(fd int) error { return unix.Ftruncate(fd, 2) })
		}},
		{"truncate", func(p string) error { return unix.Truncate(p, 2) }},
		{"fallocate", func(p string) error {
			return through(p, unix.O_WRONLY, func(fd int) error { return unix.Fallocate(fd, 0, 0, 100) })
		}},
		{"chown to itself", func(p string) error { return unix.Chown(p, ownerID, groupID) }},
		{"chown of nothing", func(p string) error { return unix.Chown(p, -1, -1) }},
		{"chgrp", func(p string) error { return unix.Chown(p, -1, ownerID) }},
		{"chown", func(p string) error { return unix.Chown(p, otherID, -1) }},
		{"lchown", func(p string) error { return unix.Lchown(p, otherID, otherID) }},
		{"chmod", func(p string) error { return unix.Chmod(p, 0o6711) }},
		{"fchmod", func(p string) error {
			return through(p, unix.O_RDONLY, func(fd int) error { return unix.Fchmod(fd, 0o6711) })
		}},
		{"fchown", func(p string) error {
			return through(p, unix.O_RDONLY, func(fd int) error { return unix.Fchown(fd, -1, ownerID) })
		}},
		{"write and fchmod", func(p string) error {
			return through(p, unix.O_RDWR, func(fd int) error { return errors.Join(writeOne(fd), unix.Fchmod(fd, 0o6711)) })
		}},
		{"link", func(p string) error { return unix.Link(p, p+".link") }},
		{"rename", func(p string) error { return unix.Rename(p, p+".new") }},
		{"utimes", func(p string) error { return unix.UtimesNanoAt(unix.AT_FDCWD, p, nil, 0) }},
	}
}

func writeOne(fd int) error {
	_, err := unix.Write(fd, []byte("x"))
	return err
}

// through does something with an open file.
func through(path string, flags int, do func(fd int) error) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	err = do(fd)
	if closed := unix.Close(fd); err == nil {
		err = closed
	}
	return err
}

// Set-user-id and set-group-id go when a local disk takes them off, whoever changes what.
func TestSetIDBits(t *testing.T) {
	mounttest.Need(t, "root")
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for i, c := range clearings() {
			for _, mode := range []uint32{0o6755, 0o6777, 0o6766, 0o2755, 0o2767, 0o4777, 0o1777} {
				for _, who := range []user{root(), {"owner", ownerID, ownerID, []uint32{groupID}}, {"owner, not member", ownerID, ownerID, nil}, other()} {
					for _, kind := range []string{"file", "directory", "fifo", "socket"} {
						if kind != "file" && mode != 0o6777 {
							continue
						}
						p := filepath.Join(dir, sprint("%d.%o.%s.%s", i, mode, who.name, kind))
						of(t, p, kind, mode)
						err := as(t, who, func() error { return c.do(p) })
						s := stateOf(t, dir)
						delete(s, "")
						all.add(t, sprint("%s %s of %s %o", who.name, c.name, kind, mode), outcome(err)+" "+strings.ReplaceAll(s.since(s), filepath.Base(p), "it"))
						empty(t, dir)
					}
				}
			}
		}
		return all
	})
}

// of makes something that belongs to the owner and the group of the trials.
func of(t *testing.T, path, kind string, mode uint32) {
	t.Helper()
	switch kind {
	case "directory":
		must(t, os.Mkdir(path, 0o700))
	case "fifo":
		must(t, unix.Mkfifo(path, 0o600))
	case "socket":
		must(t, unix.Mknod(path, unix.S_IFSOCK|0o600, 0))
	default:
		put(t, path)
	}
	must(t, unix.Chown(path, ownerID, groupID))
	must(t, unix.Chmod(path, mode))
}

// makers make a name.
func makers() []clearing {
	return []clearing{
		{"creat", func(p string) error {
			return through(p, unix.O_CREAT|unix.O_WRONLY, func(int) error { return nil })
		}},
		{"create", func(p string) error {
			fd, err := unix.Open(p, unix.O_CREAT|unix.O_RDWR|unix.O_EXCL|unix.O_CLOEXEC, 0o6777)
			if err != nil {
				return err
			}
			return unix.Close(fd)
		}},
		{"create pending", func(p string) error {
			fd, err := unix.Open(p, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o3767)
			if err != nil {
				return err
			}
			return unix.Close(fd)
		}},
		{"create, write and fchmod", func(p string) error {
			fd, err := unix.Open(p, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
			if err != nil {
				return err
			}
			return errors.Join(writeOne(fd), unix.Fchmod(fd, 0o6755), unix.Close(fd))
		}},
		{"mkdir", func(p string) error { return unix.Mkdir(p, 0o7777) }},
		{"mkdir 0", func(p string) error { return unix.Mkdir(p, 0) }},
		{"mkfifo", func(p string) error { return unix.Mkfifo(p, 0o7777) }},
		{"mknod", func(p string) error { return unix.Mknod(p, unix.S_IFREG|0o7777, 0) }},
		{"mknod device", func(p string) error { return unix.Mknod(p, unix.S_IFCHR|0o666, 0x103) }},
		{"symlink", func(p string) error { return unix.Symlink("t", p) }},
	}
}

// What is made gets its owner, group, mode and umask as on a local disk: beside who makes it these depend on the directory.
func TestAttributesOfWhatIsMade(t *testing.T) {
	mounttest.Need(t, "root")
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for _, mode := range []uint32{0o777, 0o1777, 0o2777, 0o3777, 0o6777, 0o755, 0o775} {
			for _, umask := range []int{0, 0o022, 0o077, 0o777} {
				parent := filepath.Join(dir, sprint("%o.%o", mode, umask))
				of(t, parent, "directory", mode)
				for _, who := range everyone() {
					tryMakers(t, all, parent, umask, who)
				}
				must(t, os.RemoveAll(parent))
			}
		}
		return all
	})
}

func tryMakers(t *testing.T, all lines, parent string, umask int, who user) {
	t.Helper()
	for _, m := range makers() {
		p := filepath.Join(parent, "x")
		unix.Umask(umask)
		err := as(t, who, func() error { return m.do(p) })
		unix.Umask(0)
		all.add(t, sprint("%s: %s %s %s", filepath.Base(parent), who.name, m.name, strconv.FormatInt(int64(umask), 8)), outcome(err)+" "+names(t, parent))
		empty(t, parent)
	}
}
