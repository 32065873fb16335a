package load

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// group is a control group for the memory of one process.
type group struct {
	t    *testing.T
	peak string // the file that tells the most it had
}

// confine puts a process into a control group of its own, which may have so many bytes, page cache and all.
func confine(t *testing.T, pid int, bytes int64) group {
	t.Helper()
	dir, peak := newGroup(t, strconv.Itoa(pid), bytes)
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
		t.Skipf("needs control groups for memory: %v", err)
	}
	return group{t, filepath.Join(dir, peak)}
}

// newGroup makes a control group of version 1 or 2, in which processes may have so many bytes together, and names the file in it that tells
// the most they had.
func newGroup(t *testing.T, name string, bytes int64) (dir, peak string) {
	t.Helper()
	for _, version := range []struct{ top, limit, peak string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"},
		{"/sys/fs/cgroup", "memory.max", "memory.peak"},
	} {
		dir := filepath.Join(version.top, "etagfs-test-"+name)
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil {
				t.Log(err) // the process may not have been waited for
			}
		})
		if os.WriteFile(filepath.Join(dir, version.limit), []byte(strconv.FormatInt(bytes, 10)), 0o600) == nil {
			return dir, version.peak
		} // else this version has no memory here
	}
	t.Skip("needs control groups for memory that can be made")
	return "", ""
}

// most is the most it had so far, as the kernel says it.
func (g group) most() string {
	text, err := os.ReadFile(g.peak)
	if err != nil {
		return err.Error() // older kernels of version 2 do not tell
	}
	return strings.TrimSpace(string(text))
}
