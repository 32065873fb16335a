package posix

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// deeds are calls that somebody may not be allowed to make, on d/f, which may be a file or a directory.
func deeds() []clearing {
	open := func(flags int) func(string) error {
		return func(p string) error { return through(p, flags, func(int) error { return nil }) }
	}
	when := []unix.Timespec{{Sec: 5}, {Sec: 6}}
	return []clearing{
		{"read", open(unix.O_RDONLY)}, {"write", open(unix.O_WRONLY)}, {"truncate", open(unix.O_WRONLY | unix.O_TRUNC)},
		{"read without atime", open(unix.O_RDONLY | unix.O_NOATIME)}, {"path", open(unix.O_PATH)}, {"create", open(unix.O_WRONLY | unix.O_CREAT)},
		{"truncate by path", func(p string) error { return unix.Truncate(p, 1) }},
		{"access r", func(p string) error { return unix.Access(p, unix.R_OK) }},
		{"access w", func(p string) error { return unix.Access(p, unix.W_OK) }},
		{"access x", func(p string) error { return unix.Access(p, unix.X_OK) }},
		{"access f", func(p string) error { return unix.Access(p, unix.F_OK) }},
		{"stat", func(p string) error { return unix.Lstat(p, &unix.Stat_t{}) }},
		{"chmod", func(p string) error { return unix.Chmod(p, 0o4711) }},
		{"chown", func(p string) error { return unix.Chown(p, otherID, -1) }},
		{"chown to the same", func(p string) error { return unix.Chown(p, ownerID, -1) }},
		{"chgrp", func(p string) error { return unix.Chown(p, -1, groupID) }},
		{"chgrp to others", func(p string) error { return unix.Chown(p, -1, 77) }},
		{"utimes", func(p string) error { return unix.UtimesNanoAt(unix.AT_FDCWD, p, when, 0) }},
		{"utimes now", func(p string) error { return unix.UtimesNanoAt(unix.AT_FDCWD, p, nil, 0) }},
		{"unlink", unix.Unlink}, {"rmdir", unix.Rmdir},
		{"rename", func(p string) error { return unix.Rename(p, p+"2") }},
		{"rename away", func(p string) error { return unix.Rename(p, filepath.Dir(p)+"/../away") }},
		{"rename over", func(p string) error { return unix.Rename(filepath.Dir(p)+"/mine", p) }},
		{"exchange", func(p string) error {
			return unix.Renameat2(unix.AT_FDCWD, p, unix.AT_FDCWD, filepath.Dir(p)+"/mine", unix.RENAME_EXCHANGE)
		}},
		{"link", func(p string) error { return unix.Link(p, p+"2") }},
		{"link away", func(p string) error { return unix.Link(p, filepath.Dir(p)+"/../away") }},
		{"mkdir", func(p string) error { return unix.Mkdir(p+"2", 0o777) }},
		{"symlink", func(p string) error { return unix.Symlink("t", p+"2") }},
		{"below", func(p string) error { return unix.Lstat(p+"/x", &unix.Stat_t{}) }},
		{"make below", func(p string) error { return unix.Mkdir(p+"/x", 0o777) }},
		{"enter", changeTo},
		{"setxattr", func(p string) error { return unix.Setxattr(p, "user.a", []byte("1"), 0) }},
		{"getxattr", func(p string) error { _, err := unix.Getxattr(p, "user.a", nil); return err }},
		{"trusted xattr", func(p string) error { return unix.Setxattr(p, "trusted.a", []byte("1"), 0) }},
	}
}

// parents are the modes and owners of the directory something is in.
func parents() []struct {
	name     string
	uid, gid int
	mode     uint32
} {
	return []struct {
		name     string
		uid, gid int
		mode     uint32
	}{
		{"open", 0, 0, 0o777}, {"sticky", 0, 0, 0o1777}, {"own sticky", otherID, groupID, 0o1777},
		{"unwritable", 0, 0, 0o555}, {"unsearchable", 0, 0, 0o666}, {"group's", 0, groupID, 0o770}, {"owner's", ownerID, 0, 0o700},
	}
}

// Who may do what is decided as on a local disk, by owner, group, supplementary group, other, sticky bit and root, for objects and for directories.
func TestWhoMayDoWhat(t *testing.T) {
	mounttest.Need(t, "root")
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for _, parent := range parents() {
			for _, mode := range modesIn(parent.name) {
				for _, kind := range kindsIn(parent.name, mode) {
					for _, d := range deeds() {
						inside := filepath.Join(dir, "d")
						must(t, os.Mkdir(inside, 0o777))
						tryDeed(t, all, sprint("%s %o %s %s", parent.name, mode, kind, d.name), d, func() {
							empty(t, inside)
							of(t, inside+"/f", kind, mode)
							put(t, inside+"/mine")
							must(t, unix.Chown(inside+"/mine", otherID, otherID))
							must(t, unix.Chown(inside, parent.uid, parent.gid))
							must(t, unix.Chmod(inside, parent.mode))
						}, dir)
					}
				}
			}
		}
		return all
	})
}

// modesIn are the modes of what is in a directory. They matter in one that forbids nothing.
func modesIn(parent string) []uint32 {
	switch {
	case parent != "open":
		return []uint32{0o777}
	case long():
		return []uint32{0o777, 0, 0o400, 0o200, 0o100, 0o040, 0o020, 0o010, 0o004, 0o002, 0o001, 0o1777}
	default:
		return []uint32{0o777, 0, 0o400, 0o020, 0o001}
	}
}

func kindsIn(parent string, mode uint32) []string {
	if long() || mode != 0o777 || parent == "open" || parent == "sticky" {
		return []string{"file", "directory"}
	}
	return []string{"file"}
}

// tryDeed is done by everyone. What is there is made anew after it succeeded.
func tryDeed(t *testing.T, all lines, name string, d clearing, prepare func(), dir string) {
	t.Helper()
	prepare()
	was := names(t, dir)
	for _, who := range everyone() {
		err := as(t, who, func() error { return d.do(dir + "/d/f") })
		text := outcome(err)
		if now := names(t, dir); now != was {
			text += " " + now
			os.RemoveAll(dir + "/away")
			prepare()
		}
		all.add(t, name+" by "+who.name, text)
	}
	empty(t, dir)
}
