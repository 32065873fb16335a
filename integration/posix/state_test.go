package posix

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// state is what lstat(2) says of a directory and everything below it, by relative path.
type state map[string]unix.Stat_t

// stateOf looks at every name.
func stateOf(t *testing.T, dir string) state {
	t.Helper()
	s := make(state)
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := again(func() error { return unix.Lstat(path, &st) }); err != nil {
			return err
		}
		s[strings.TrimPrefix(strings.TrimPrefix(path, dir), "/")] = st
		return nil
	})
	must(t, err)
	return s
}

// since describes s and how it differs from before.
func (s state) since(before state) string {
	old := make(map[uint64]string)
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if old[before[name].Ino] == "" {
			old[before[name].Ino] = name
		}
	}
	var text []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		st := s[name]
		text = append(text, name+" "+describe(st)+change(st, before, old, name))
	}
	return strings.Join(text, ", ")
}

// change says whether an object is new, had another name, and which of its times moved.
func change(st unix.Stat_t, before state, old map[uint64]string, name string) string {
	was, existed := old[st.Ino]
	if !existed {
		return " new"
	}
	text := ""
	if was != name && before[name].Ino != st.Ino {
		text = " was " + was
	}
	if before[was].Mtim != st.Mtim {
		text += " m"
	}
	if before[was].Ctim != st.Ctim {
		text += " c"
	}
	return text
}

// describe is what of a stat(2) does not depend on the filesystem.
func describe(st unix.Stat_t) string {
	text := sprint("%s%04o %d:%d n%d", kindOf(st.Mode), st.Mode&0o7777, st.Uid, st.Gid, st.Nlink)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFLNK:
		text += sprint(" %d", st.Size)
	case unix.S_IFCHR, unix.S_IFBLK:
		text += sprint(" %d,%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
	return text
}

func kindOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "d"
	case unix.S_IFLNK:
		return "l"
	case unix.S_IFIFO:
		return "p"
	case unix.S_IFSOCK:
		return "s"
	case unix.S_IFCHR:
		return "c"
	case unix.S_IFBLK:
		return "b"
	default:
		return "-"
	}
}

// tick returns when the clock that stamps files has moved: what changes from now on has other times.
func tick(t *testing.T) {
	t.Helper()
	var from, now unix.Timespec
	must(t, unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &from))
	for now = from; now == from || now.Nano()-from.Nano() < 0; {
		must(t, unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now))
	}
}

// put makes a file of five bytes.
func put(t *testing.T, path string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte("12345"), 0o644))
}
