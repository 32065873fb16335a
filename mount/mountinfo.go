package mount

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// fsType is how the kernel's mount table names our mounts.
const fsType = "fuse.etagfs"

// mounted is a line of /proc/PID/mountinfo.
type mounted struct {
	id     int
	device string // major:minor
	dir    string
	fsType string
	source string
	user   string // who mounted it, of a FUSE filesystem: a number
}

// mountTable is the mounts a process sees, in the order they were made. It does not touch any of them.
func mountTable(process string) ([]mounted, error) {
	f, err := os.Open(filepath.Join("/proc", process, "mountinfo"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var table []mounted
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		m, err := parseMounted(lines.Text())
		if err != nil {
			return nil, err
		}
		table = append(table, m)
	}
	return table, lines.Err()
}

// Points are the directories at which this process sees mounts of etagfs.
func Points() (dirs []string, err error) {
	return PointsOf(func(string) bool { return true })
}

// PointsOf are those of [Points] at which a store is mounted that wanted says is one, by its name in the mount table, which is
// [Config].Source. None of the mounts is asked: one that does not answer holds nobody up.
func PointsOf(wanted func(source string) bool) (dirs []string, err error) {
	table, err := mountTable("self")
	for _, m := range table {
		if m.fsType == fsType && wanted(m.source) {
			dirs = append(dirs, m.dir)
		}
	}
	return dirs, err
}

// IsPointOf reports whether another process sees a mount of etagfs at dir. Like [Points], it asks no mount.
func IsPointOf(process int, dir string) (bool, error) {
	table, err := mountTable(strconv.Itoa(process))
	return slices.ContainsFunc(table, func(m mounted) bool { return m.fsType == fsType && m.dir == dir }), err
}

// pointsBelow are the directories below dir at which this process sees mounts of any kind.
func pointsBelow(dir string) (dirs []string, err error) {
	table, err := mountTable("self")
	for _, m := range table {
		if path, ok := within(m.dir, dir); ok && path != "." {
			dirs = append(dirs, m.dir)
		}
	}
	return dirs, err
}

// parseMounted reads "id parent major:minor root dir options optional... - type source ...".
func parseMounted(line string) (mounted, error) {
	before, after, found := strings.Cut(line, " - ")
	left, right := strings.Fields(before), strings.Fields(after)
	if !found || len(left) < 6 || len(right) < 2 {
		return mounted{}, fmt.Errorf("mountinfo has an unknown form: %q", line)
	}
	id, err := strconv.Atoi(left[0])
	if err != nil {
		return mounted{}, fmt.Errorf("mountinfo has an unknown form: %q", line)
	}
	m := mounted{id: id, device: left[2], dir: unescape(left[4]), fsType: right[0], source: unescape(right[1])}
	for option := range strings.SplitSeq(strings.Join(right[2:], ","), ",") {
		if user, found := strings.CutPrefix(option, "user_id="); found {
			m.user = user
		}
	}
	return m, nil
}

// unescape undoes \040 and the like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// mountedAt is the topmost mount at dir, which must be absolute and free of
// symlinks.
func mountedAt(dir string) (mounted, bool, error) {
	table, err := mountTable("self")
	if err != nil {
		return mounted{}, false, err
	}
	for i := len(table) - 1; i >= 0; i-- {
		if table[i].dir == dir {
			return table[i], true, nil
		}
	}
	return mounted{}, false, nil
}
