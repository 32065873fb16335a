package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"golang.org/x/sys/unix"
)

// requestTrace counts the FUSE requests of one connection by an instance of the kernel's trace
// buffer that is its own. A nil trace counts nothing.
type requestTrace struct {
	instance string // directory
	mounted  bool   // close has to unmount tracefs
	counting bool
}

// tracefs is mounted where every system has it, never in the work directory: it belongs to the
// machine, and a work directory left behind by a kill gets deleted.
const tracefs = "/sys/kernel/tracing"

const requestEvent = "events/fuse/fuse_request_send"

// errNoTrace says why requests cannot be counted.
var errNoTrace = errors.New("this kernel does not trace FUSE requests")

// openRequestTrace mounts tracefs if it is not there.
func openRequestTrace() (*requestTrace, error) {
	t := &requestTrace{}
	if _, err := os.Stat(filepath.Join(tracefs, "instances")); err != nil {
		if err := unix.Mount("tracefs", tracefs, "tracefs", 0, ""); err != nil {
			return nil, fmt.Errorf("mount tracefs: %w", err)
		}
		t.mounted = true
	}
	instance := filepath.Join(tracefs, "instances", "etagfs-bench-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(instance, 0o700); err != nil {
		return nil, errors.Join(err, t.close())
	}
	t.instance = instance
	if _, err := os.Stat(filepath.Join(instance, requestEvent)); err != nil {
		return nil, errors.Join(errNoTrace, t.close())
	}
	if err := t.set("buffer_size_kb", "16384"); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

func (t *requestTrace) set(name, value string) error {
	return os.WriteFile(filepath.Join(t.instance, name), []byte(value), 0)
}

// begin counts from now on what goes to device; 0: nothing.
func (t *requestTrace) begin(device uint32) error {
	if t == nil || device == 0 {
		return nil
	}
	filter := fmt.Sprintf("connection == %d", device)
	if err := errors.Join(t.set("trace", ""), t.set(requestEvent+"/filter", filter), t.set(requestEvent+"/enable", "1")); err != nil {
		return fmt.Errorf("trace requests: %w", err)
	}
	t.counting = true
	return nil
}

// end gives the requests per operation since begin; nil if they were not or
// not all counted.
func (t *requestTrace) end(operations int) (requestCounts, error) {
	if t == nil || !t.counting {
		return nil, nil
	}
	t.counting = false
	if err := t.set(requestEvent+"/enable", "0"); err != nil {
		return nil, fmt.Errorf("trace requests: %w", err)
	}
	if lost, err := t.overrun(); lost || err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(t.instance, "trace"))
	if err != nil {
		return nil, fmt.Errorf("trace requests: %w", err)
	}
	counts := countRequests(text)
	for name := range counts {
		counts[name] /= float64(operations)
	}
	return counts, nil
}

// countRequests reads lines such as
//
//	cat-17 [001] ..... 3.1: fuse_request_send: connection 41 req 8 opcode 1 (FUSE_LOOKUP) len 48
func countRequests(text []byte) requestCounts {
	counts := make(requestCounts)
	opcode := regexp.MustCompile(`fuse_request_send: .* opcode \d+ \((?:FUSE_)?(\w+)\)`)
	for _, match := range opcode.FindAllSubmatch(text, -1) {
		counts[string(match[1])]++
	}
	return counts
}

// overrun reports whether the buffer was too small.
func (t *requestTrace) overrun() (bool, error) {
	stats, err := filepath.Glob(filepath.Join(t.instance, "per_cpu/cpu*/stats"))
	if err != nil {
		return false, err
	}
	clean := regexp.MustCompile(`(?m)^overrun: 0$`)
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			return false, fmt.Errorf("trace requests: %w", err)
		}
		if !clean.Match(text) {
			return true, nil
		}
	}
	return false, nil
}

func (t *requestTrace) close() error {
	if t == nil {
		return nil
	}
	var failed []error
	if t.instance != "" {
		if err := unix.Rmdir(t.instance); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, fmt.Errorf("remove %s: %w", t.instance, err))
		}
	}
	if t.mounted {
		if err := unix.Unmount(tracefs, 0); err != nil && err != unix.EBUSY { // EBUSY: somebody else uses it by now
			failed = append(failed, fmt.Errorf("unmount %s: %w", tracefs, err))
		}
	}
	return errors.Join(failed...)
}
