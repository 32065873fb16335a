package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Holder is a process that keeps a mount busy.
type Holder struct {
	Process uint32
	Program string
	Use     string // "open file notes.txt", "working directory", ...
}

// String is "program (pid 12): open file notes.txt".
func (h Holder) String() string { return fmt.Sprintf("%s (pid %d): %s", h.Program, h.Process, h.Use) }

// Holders lists who keeps the mount at dir busy, as far as the caller may know. It reads
// /proc only.
func Holders(dir string) ([]Holder, error) {
	point, err := resolve(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var holders []Holder
	for _, e := range entries {
		pid, err := strconv.ParseUint(e.Name(), 10, 32)
		if err != nil || pid == uint64(os.Getpid()) {
			continue
		}
		process := uint32(pid)
		if use := useWithin(holderPatience, filepath.Join("/proc", e.Name()), point); use != "" {
			holders = append(holders, Holder{process, (&processes{}).Name(process), use})
		}
	}
	return holders, nil
}

// holderPatience is how long one process is asked. What is below /proc waits for a process that
// is stuck in a page fault, be it in a mount that does not answer.
const holderPatience = time.Second

// useWithin is useOf; a process that takes longer than limit is passed over.
func useWithin(limit time.Duration, proc, point string) string {
	use := make(chan string, 1)
	go func() { use <- useOf(proc, point) }() // ends when the process moves on, or with us
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case u := <-use:
		return u
	case <-timer.C:
		return ""
	}
}

// useOf says how the process whose /proc directory is proc uses what is below point.
func useOf(proc, point string) string {
	below := func(link string) (string, bool) {
		target, err := os.Readlink(filepath.Join(proc, link))
		if err != nil {
			return "", false
		}
		return within(target, point)
	}
	if _, ok := below("cwd"); ok {
		return "working directory"
	}
	if _, ok := below("root"); ok {
		return "root directory"
	}
	if path, ok := below("exe"); ok {
		return "runs " + path
	}
	fds, _ := os.ReadDir(filepath.Join(proc, "fd"))
	for _, fd := range fds {
		if path, ok := below(filepath.Join("fd", fd.Name())); ok {
			return "open file " + path
		}
	}
	return mapOf(proc, point)
}

func mapOf(proc, point string) string {
	maps, err := os.ReadFile(filepath.Join(proc, "maps"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(maps)) {
		if i := strings.IndexByte(line, '/'); i >= 0 {
			if path, ok := within(strings.TrimSuffix(line[i:], "\n"), point); ok {
				return "mapped file " + path
			}
		}
	}
	return ""
}

// within is path from dir on, if it is there.
func within(path, dir string) (string, bool) {
	if path == dir {
		return ".", true
	}
	return strings.CutPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
