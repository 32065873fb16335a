package mount

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/etagfs/etagfs/fs"
)

// permits reports whether the mode bits let c, who is in groups beside its own, open a file. The kernel
// decides that everywhere else: see default_permissions.
func permits(a *fs.Attr, c fs.Caller, groups []uint32, mode fs.OpenMode) bool {
	var want uint32
	if mode.Read {
		want |= 0o4
	}
	if mode.Write {
		want |= 0o2
	}
	switch {
	case c.UID == 0:
		return true
	case c.UID == a.UID:
		return a.Mode>>6&want == want
	case c.GID == a.GID || slices.Contains(groups, a.GID):
		return a.Mode>>3&want == want
	default:
		return a.Mode&want == want
	}
}

// groupsOf lists the supplementary groups of a thread; none if it cannot be seen from here.
func groupsOf(thread uint32) []uint32 {
	if thread == 0 {
		return nil
	}
	value, _ := procField(filepath.Join("/proc", decimal(thread), "status"), "Groups:")
	var groups []uint32
	for _, field := range strings.Fields(value) {
		if gid, err := strconv.ParseUint(field, 10, 32); err == nil {
			groups = append(groups, uint32(gid))
		}
	}
	return groups
}
