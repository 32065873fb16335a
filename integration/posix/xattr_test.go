package posix

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// xattrs lists the extended attributes of an object with their values, to one who may see them all.
func xattrs(path string) string {
	list := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, list)
	if err != nil {
		return outcome(err)
	}
	names := strings.Split(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00")
	slices.Sort(names)
	var text []string
	for _, name := range names {
		value := make([]byte, 64<<10)
		if n, err := unix.Lgetxattr(path, name, value); err == nil && name != "security.selinux" {
			text = append(text, sprint("%s=%.40q", name, value[:n]))
		}
	}
	return strings.Join(text, " ")
}

// setting is a change of an extended attribute.
type setting struct {
	name, value string
	flags       int
	remove      bool
}

func settings() []setting {
	return []setting{
		{"user.a", "1", 0, false}, {"user.a", "2", 0, false}, {"user.a", "3", unix.XATTR_CREATE, false}, {"user.a", "4", unix.XATTR_REPLACE, false},
		{"user.b", "1", unix.XATTR_REPLACE, false}, {"user.b", "", unix.XATTR_CREATE, false}, {"user.a", "", 0, true}, {"user.a", "", 0, true},
		{"trusted.t", "\x00\xff", 0, false}, {"security.s", "x", 0, false}, {"user.", "x", 0, false}, {"unknown.x", "x", 0, false},
		{"plain", "x", 0, false}, {"system.x", "x", 0, false}, {"", "x", 0, false}, {"user.c", "x", 8, false},
		{"user." + strings.Repeat("n", 250), "x", 0, false}, {"user." + strings.Repeat("n", 251), "x", 0, false},
		{"user.big", strings.Repeat("v", 2000), 0, false}, {"user.huge", strings.Repeat("v", 65537), 0, false},
		{"unknown.x", "", 0, true}, {"security.s", "", 0, true}, {"user.b", "new", 0, false},
	}
}

func (s setting) on(path string) error {
	if s.remove {
		return unix.Lremovexattr(path, s.name)
	}
	return unix.Lsetxattr(path, s.name, []byte(s.value), s.flags)
}

// Extended attributes of every namespace are set, replaced, read, listed and removed as on a local disk, on every kind of object and by everyone.
func TestExtendedAttributes(t *testing.T) {
	mounttest.Need(t, "root")
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		kinds := map[string]func(t *testing.T, path string){
			"file":      func(t *testing.T, path string) { put(t, path) },
			"directory": func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o755)) },
			"link":      func(t *testing.T, path string) { must(t, os.Symlink("x", path)) },
			"fifo":      func(t *testing.T, path string) { must(t, unix.Mkfifo(path, 0o644)) },
			"socket":    func(t *testing.T, path string) { must(t, unix.Mknod(path, unix.S_IFSOCK|0o666, 0)) },
			"device":    func(t *testing.T, path string) { must(t, unix.Mknod(path, unix.S_IFCHR|0o666, 0x103)) },
			"sticky":    func(t *testing.T, path string) { must(t, unix.Mkdir(path, 0)); must(t, unix.Chmod(path, 0o1777)) },
			"writable":  func(t *testing.T, path string) { put(t, path); must(t, unix.Chmod(path, 0o666)) },
		}
		for kind, make := range kinds {
			for _, who := range []user{root(), owner(), other()} {
				p := filepath.Join(dir, kind+who.name)
				make(t, p)
				must(t, unix.Lchown(p, ownerID, ownerID))
				for i, s := range settings() {
					err := as(t, who, func() error { return s.on(p) })
					all.add(t, sprint("%s of %s %d %.20s", who.name, kind, i, s.name), outcome(err)+" "+xattrs(p))
				}
				all.add(t, sprint("%s reads %s", who.name, kind), readBy(t, who, p))
			}
		}
		return all
	})
}

// readBy is what the calls that read answer, with room and without.
func readBy(t *testing.T, who user, path string) (text string) {
	must(t, ignoreUnsupported(unix.Lsetxattr(path, "user.r", []byte("value"), 0)))
	must(t, unix.Lsetxattr(path, "trusted.r", []byte("value"), 0))
	for _, room := range []int{0, 3, 100} {
		for _, name := range []string{"user.r", "user.none", "trusted.r", "unknown.x", "security.none"} {
			var n int
			err := as(t, who, func() (err error) { n, err = unix.Lgetxattr(path, name, make([]byte, room)); return err })
			text += sprint("%s %d %s;", name, n, outcome(err))
		}
	}
	list := make([]byte, 10000)
	var n int
	err := as(t, who, func() (err error) { n, err = unix.Llistxattr(path, list); return err })
	names := strings.Split(string(list[:max(n, 0)]), "\x00")
	slices.Sort(names)
	return text + sprint("list %q %s", names, outcome(err))
}

// ignoreUnsupported is for attributes that only files and directories have.
func ignoreUnsupported(err error) error {
	if err == unix.EPERM {
		return nil
	}
	return err
}

// What is set on a file that is open, made or unlinked is kept, and goes with it.
func TestExtendedAttributesOfOpenFiles(t *testing.T) {
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		p := dir + "/f"
		f, err := os.OpenFile(p, os.O_RDWR|os.O_CREATE, 0o644)
		must(t, err)
		fd := int(f.Fd())
		all.add(t, "set on what is made", outcome(unix.Fsetxattr(fd, "user.a", []byte("1"), 0)))
		all.add(t, "set by path", outcome(unix.Setxattr(p, "user.b", []byte("2"), 0))+xattrs(p))
		must(t, writeOne(fd))
		all.add(t, "removed", outcome(unix.Fremovexattr(fd, "user.a"))+xattrs(p))
		must(t, f.Close())
		all.add(t, "closed", xattrs(p))
		must(t, os.Rename(p, dir+"/g"))
		all.add(t, "renamed", xattrs(dir+"/g"))
		f, err = os.OpenFile(dir+"/g", os.O_RDWR|os.O_TRUNC, 0)
		must(t, err)
		must(t, os.Remove(dir+"/g"))
		fd = int(f.Fd())
		all.add(t, "set without a name", outcome(unix.Fsetxattr(fd, "user.c", []byte("3"), 0)))
		value := make([]byte, 10)
		n, err := unix.Fgetxattr(fd, "user.c", value)
		all.add(t, "read without a name", outcome(err)+string(value[:max(n, 0)]))
		_, err = unix.Fgetxattr(fd, "user.b", value)
		all.add(t, "another without a name", outcome(err))
		must(t, f.Close())
		return all
	})
}

// Capabilities of a program go when it is written, truncated or given away, and not when its mode or name changes.
func TestCapabilitiesGoWithAChange(t *testing.T) {
	mounttest.Need(t, "root")
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		capability := []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		for _, c := range clearings() {
			if strings.HasPrefix(c.name, "fallocate") || strings.HasPrefix(c.name, "rename") {
				continue
			}
			p := filepath.Join(dir, "f")
			put(t, p)
			must(t, unix.Setxattr(p, "security.capability", capability, 0))
			all.add(t, c.name, outcome(c.do(p))+" "+xattrs(p))
			empty(t, dir)
		}
		return all
	})
}

// access is an ACL in the form of the system call: tags, permissions, ids.
func access(entries ...[3]uint32) []byte {
	acl := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range entries {
		acl = binary.LittleEndian.AppendUint16(acl, uint16(e[0]))
		acl = binary.LittleEndian.AppendUint16(acl, uint16(e[1]))
		acl = binary.LittleEndian.AppendUint32(acl, e[2])
	}
	return acl
}

const noID = 0xffffffff

// acls are some by name. They name users and groups of the trials.
func acls() map[string][]byte {
	return map[string][]byte{
		"minimal":   access([3]uint32{1, 6, noID}, [3]uint32{4, 4, noID}, [3]uint32{32, 0, noID}),
		"other may": access([3]uint32{1, 7, noID}, [3]uint32{2, 7, otherID}, [3]uint32{4, 0, noID}, [3]uint32{16, 7, noID}, [3]uint32{32, 0, noID}),
		"masked":    access([3]uint32{1, 7, noID}, [3]uint32{2, 7, otherID}, [3]uint32{4, 7, noID}, [3]uint32{16, 4, noID}, [3]uint32{32, 0, noID}),
		"group may": access([3]uint32{1, 6, noID}, [3]uint32{4, 0, noID}, [3]uint32{8, 6, groupID}, [3]uint32{16, 6, noID}, [3]uint32{32, 0, noID}),
		"no mask":   access([3]uint32{1, 6, noID}, [3]uint32{2, 7, otherID}, [3]uint32{4, 0, noID}, [3]uint32{32, 0, noID}),
		"unsorted":  access([3]uint32{32, 0, noID}, [3]uint32{1, 6, noID}, [3]uint32{4, 0, noID}),
		"short":     bytes.Repeat([]byte{2, 0}, 3),
	}
}

const (
	accessName  = "system.posix_acl_access"
	defaultName = "system.posix_acl_default"
)

// ACLs decide who may do what, show in the mode, follow chmod(2), and are removed, as on a local disk.
func TestAccessControlLists(t *testing.T) {
	mounttest.Need(t, "root")
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for name, acl := range acls() {
			for _, kind := range []string{"file", "directory", "fifo"} {
				for _, mode := range []uint32{0o640, 0o2775} {
					p := filepath.Join(dir, "f")
					of(t, p, kind, mode)
					title := sprint("%s on %s %o", name, kind, mode)
					err := as(t, owner(), func() error { return unix.Setxattr(p, accessName, acl, 0) })
					all.add(t, title, outcome(err)+names(t, dir)+xattrs(p))
					for _, who := range everyone() {
						for _, a := range []uint32{unix.R_OK, unix.W_OK, unix.X_OK} {
							err := as(t, who, func() error { return unix.Access(p, a) })
							all.add(t, sprint("%s: access %d by %s", title, a, who.name), outcome(err))
						}
					}
					err = as(t, other(), func() error { return unix.Setxattr(p, accessName, acl, 0) })
					all.add(t, title+": set by another", outcome(err))
					must(t, unix.Chmod(p, 0o1751))
					all.add(t, title+": chmod", names(t, dir)+xattrs(p))
					all.add(t, title+": default", outcome(unix.Setxattr(p, defaultName, acl, 0))+xattrs(p))
					all.add(t, title+": removed", outcome(unix.Removexattr(p, accessName))+names(t, dir)+xattrs(p))
					all.add(t, title+": removed again", outcome(unix.Removexattr(p, accessName)))
					empty(t, dir)
				}
			}
		}
		return all
	})
}

// What is made in a directory with a default ACL inherits it, whatever the umask.
func TestInheritedAccessControlLists(t *testing.T) {
	mounttest.Need(t, "root")
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for name, acl := range acls() {
			parent := filepath.Join(dir, "d")
			must(t, os.Mkdir(parent, 0o2777))
			all.add(t, name, outcome(unix.Setxattr(parent, defaultName, acl, 0))+xattrs(parent))
			for _, m := range makers() {
				unix.Umask(0o027)
				p := filepath.Join(parent, "x")
				err := m.do(p)
				unix.Umask(0)
				all.add(t, name+": "+m.name, outcome(err)+names(t, parent)+xattrs(p))
				empty(t, parent)
			}
			empty(t, dir)
		}
		return all
	})
}
