package measure

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Process is the id of a running process.
type Process int

// tickTime is the unit of processor times in /proc: USER_HZ is 100 wherever Go runs.
const tickTime = 10 * time.Millisecond

func (p Process) read(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join("/proc", strconv.Itoa(int(p)), name))
}

// AnonymousBytes is the memory only the process can give back.
func (p Process) AnonymousBytes() (float64, error) {
	text, err := p.read("smaps_rollup")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		var kib float64
		if n, _ := fmt.Sscanf(string(line), "Anonymous: %f kB", &kib); n == 1 {
			return kib * 1024, nil
		}
	}
	return 0, errors.New("smaps_rollup has no line Anonymous")
}

// ProcessorTime is what the process has used so far, of all processors.
func (p Process) ProcessorTime() (time.Duration, error) {
	text, err := p.read("stat")
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // the name may hold spaces
	const utime, stime = 11, 12                                     // counted from the state
	if len(fields) <= stime {
		return 0, errors.New("stat is too short")
	}
	user, userErr := strconv.ParseInt(string(fields[utime]), 10, 64)
	system, systemErr := strconv.ParseInt(string(fields[stime]), 10, 64)
	return time.Duration(user+system) * tickTime, errors.Join(userErr, systemErr)
}
