package main

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryPart is the part of what a process may take that is for Go's heap and stacks: the rest is for the program itself, what
// the kernel has for it, and the moments until garbage is collected.
const memoryPart = 0.8

// limitMemory makes the process keep to so many bytes, and to those its control group allows; 0: only to these. It returns how many that are,
// and 0 if there is no limit. GOMEMLIMIT is left as it is if nothing else is asked for.
func limitMemory(bytes int64) int64 {
	asked := bytes != 0
	if group := groupMemory(os.DirFS("/")); group != 0 && (!asked || group < bytes) {
		bytes = group
	}
	if bytes != 0 && (asked || os.Getenv("GOMEMLIMIT") == "") {
		debug.SetMemoryLimit(int64(float64(bytes) * memoryPart))
	}
	return bytes
}

// groupMemory is what the control group of this process, and those above, allow it at most, in a file system that is the machine's; 0: there is no limit.
func groupMemory(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	least := int64(math.MaxInt64)
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		switch {
		case fields[0] == "0" && fields[1] == "":
			least = min(least, leastAbove(root, "sys/fs/cgroup", fields[2], "memory.max"))
		case fields[1] == "memory":
			least = min(least, leastAbove(root, "sys/fs/cgroup/memory", fields[2], "memory.limit_in_bytes"))
		}
	}
	const none = int64(1) << 60 // version 1 has such numbers for no limit
	if least >= none {
		return 0
	}
	return least
}

// leastAbove is the least number in the files of a name from a group up to the top. In a container the group may be seen as the top.
func leastAbove(root fs.FS, top, group, name string) int64 {
	least := int64(math.MaxInt64)
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		text, err := fs.ReadFile(root, path.Join(top, group, name))
		if n, perr := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && perr == nil {
			least = min(least, n)
		}
		if group == "/" {
			return least
		}
	}
}
