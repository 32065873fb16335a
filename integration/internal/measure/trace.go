package measure

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

// Trace notes events of the kernel in an instance of its trace buffer that nobody else uses.
type Trace struct {
	events   []string
	instance string // directory
	mounted  bool   // Close has to unmount tracefs
}

// tracefs is mounted where every system has it, never in a work directory: it belongs to the
// machine, and a work directory left behind by a kill gets deleted.
const tracefs = "/sys/kernel/tracing"

// ErrNoEvent says that the kernel does not trace an event.
var ErrNoEvent = errors.New("this kernel does not trace the event")

// OpenTrace makes an instance for events such as fuse/fuse_request_send, off at first. It mounts
// tracefs if it is not there.
func OpenTrace(events ...string) (*Trace, error) {
	t := &Trace{events: events}
	if _, err := os.Stat(filepath.Join(tracefs, "instances")); err != nil {
		if err := unix.Mount("tracefs", tracefs, "tracefs", 0, ""); err != nil {
			return nil, fmt.Errorf("mount tracefs: %w", err)
		}
		t.mounted = true
	}
	instance := filepath.Join(tracefs, "instances", "etagfs-bench-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(instance, 0o700); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	t.instance = instance
	for _, event := range events {
		if _, err := os.Stat(filepath.Join(instance, "events", event)); err != nil {
			return nil, errors.Join(fmt.Errorf("%w %s", ErrNoEvent, event), t.Close())
		}
	}
	if err := t.Set("buffer_size_kb", "16384"); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Set writes a file of the instance.
func (t *Trace) Set(name, value string) error {
	if err := os.WriteFile(filepath.Join(t.instance, name), []byte(value), 0); err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	return nil
}

// Filter keeps only events that the expression holds for.
func (t *Trace) Filter(expression string) error {
	for _, event := range t.events {
		if err := t.Set(filepath.Join("events", event, "filter"), expression); err != nil {
			return err
		}
	}
	return nil
}

// Begin forgets what was noted, and notes from now on.
func (t *Trace) Begin() error { return errors.Join(t.Set("trace", ""), t.enable("1")) }

func (t *Trace) enable(value string) error {
	var failed []error
	for _, event := range t.events {
		failed = append(failed, t.Set(filepath.Join("events", event, "enable"), value))
	}
	return errors.Join(failed...)
}

// End stops, and returns a line for each event since Begin. It is not whole if the buffer was too small.
func (t *Trace) End() (text []byte, whole bool, err error) {
	if err := t.enable("0"); err != nil {
		return nil, false, err
	}
	if whole, err = t.whole(); err != nil {
		return nil, false, err
	}
	if text, err = os.ReadFile(filepath.Join(t.instance, "trace")); err != nil {
		return nil, false, fmt.Errorf("trace: %w", err)
	}
	return text, whole, nil
}

func (t *Trace) whole() (bool, error) {
	stats, err := filepath.Glob(filepath.Join(t.instance, "per_cpu/cpu*/stats"))
	if err != nil {
		return false, err
	}
	clean := regexp.MustCompile(`(?m)^overrun: 0$`)
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			return false, fmt.Errorf("trace: %w", err)
		}
		if !clean.Match(text) {
			return false, nil
		}
	}
	return true, nil
}

// Close removes the instance, and tracefs if it was mounted for it.
func (t *Trace) Close() error {
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
