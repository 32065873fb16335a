package main

import (
	"testing"
	"testing/fstest"
)

// The least limit from the group of the process up to the top counts, of either version of control groups.
func TestMemoryIsWhatTheControlGroupAllows(t *testing.T) {
	for _, row := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no groups", nil, 0},
		{"no limit", map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 0},
		{"version 2", map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "1000\n"}, 1000},
		{"version 2, as a container sees it", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "2000\n"}, 2000},
		{"version 1", map[string]string{"proc/self/cgroup": "4:memory:/c\n1:cpu:/\n0::/\n",
			"sys/fs/cgroup/memory/c/memory.limit_in_bytes": "3000\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 3000},
		{"version 1, no limit", map[string]string{"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		{"nonsense", map[string]string{"proc/self/cgroup": "memory\n0::/x\n", "sys/fs/cgroup/x/memory.max": "much\n"}, 0},
	} {
		machine := fstest.MapFS{}
		for name, text := range row.files {
			machine[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := groupMemory(machine); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
}

// What a mount of a bucket has of contents in memory is never more than a third of what the process may take.
func TestContentsFitIntoTheMemory(t *testing.T) {
	for bytes, want := range map[int64]int64{0: contentBytesMax, 1 << 40: contentBytesMax, 96 << 20: 32 << 20} {
		if got := contentBytes(bytes); got != want {
			t.Errorf("with %d bytes they may take %d, want %d", bytes, got, want)
		}
	}
}
