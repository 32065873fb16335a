package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/mount"
)

const (
	refusingXattr = "user.etagfs.refusing"
	// controlXattr begins the names of attributes of the root that have what is in files of the control directory.
	controlXattr = "system.etagfs."
	// xattrBytesMax is the largest value the kernel passes on.
	xattrBytesMax = 64 << 10
)

// mountedTree is a mount, seen by a process that uses it: through its control directory.
type mountedTree struct {
	root    string
	control string
}

// findMounted finds the mount that a path, which need not exist, is in.
func findMounted(path, control string) (mountedTree, error) {
	if path == "" {
		return mountedTree{}, noMountPoint()
	}
	at, err := filepath.Abs(path)
	if err != nil {
		return mountedTree{}, err
	}
	if point, found := pointAbove(at); found {
		m := mountedTree{point, filepath.Join(point, control)}
		config, err := m.configSoon()
		if err == nil && config.Options["control"] == control {
			return m, nil
		}
		if silent := (*silentError)(nil); errors.As(err, &silent) {
			return mountedTree{}, err
		}
	}
	if real, err := filepath.EvalSymlinks(at); err == nil {
		at = real
	}
	for {
		switch _, err := os.Stat(at); {
		case errors.Is(err, iofs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		case err != nil:
			return mountedTree{}, cmp.Or(unanswering(at, err), err)
		default: // the kernel may remember what a mount is that no longer answers
			_, err := os.Lstat(filepath.Join(at, control, configName))
			if err == nil {
				return mountedTree{at, filepath.Join(at, control)}, nil
			}
			if why := unanswering(at, err); why != nil {
				return mountedTree{}, why
			}
		}
		if at == "/" {
			return mountedTree{}, absentError(fmt.Sprintf(
				"%s is in no mount of etagfs, or its control directory is not named %s (see --control): name a path in a mount", path, control))
		}
		at = filepath.Dir(at)
	}
}

// daemonPatience is how long a daemon may take to say what it knows by itself.
const daemonPatience = 5 * time.Second

// configSoon is config, or a [*silentError] if the daemon does not answer.
func (m mountedTree) configSoon() (mountConfig, error) {
	type answer struct {
		config mountConfig
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		c, err := m.config()
		answers <- answer{c, err}
	}()
	select {
	case a := <-answers:
		return a.config, a.err
	case <-time.After(daemonPatience):
		return mountConfig{}, &silentError{m.root, silence(m.root)}
	}
}

// silentError is that the daemon of the mount at point says nothing, and why.
type silentError struct {
	point string
	why   error
}

// Error names the mount.
func (e *silentError) Error() string {
	return fmt.Sprintf("the daemon of the mount at %s does not answer: %v", e.point, e.why)
}

// read is what a file of the control directory says. The daemon is asked for it at the root, which it answers by itself: on
// the way to the file the kernel would first ask it for the root's attributes, which it has from its store.
func (m mountedTree) read(name string) ([]byte, error) {
	value := make([]byte, xattrBytesMax)
	n, err := unix.Getxattr(m.root, controlXattr+name, value)
	switch {
	case err == nil:
		return value[:n], nil
	case errors.Is(err, unix.EACCES) || mount.ConnectionEnded(err):
		return nil, &iofs.PathError{Op: "read", Path: filepath.Join(m.control, name), Err: err}
	}
	return os.ReadFile(filepath.Join(m.control, name)) // it is longer, or an older daemon's
}

// config is what the mount is.
func (m mountedTree) config() (c mountConfig, err error) {
	text, err := m.read(configName)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	c.Dir, c.Source = fs.PathOf(c.Dir, c.DirBytes), fs.PathOf(c.Source, c.SourceBytes)
	return c, err
}

// refusing is why the store takes no more writes; empty: it takes them.
func (m mountedTree) refusing() (string, error) { return refusing(m.root) }

// refusing is why the store of the mount at point takes no more writes; empty: it takes them.
func refusing(point string) (string, error) {
	value := make([]byte, xattrBytesMax)
	n, err := unix.Getxattr(point, refusingXattr, value)
	if errors.Is(err, unix.ENODATA) {
		return "", nil
	}
	if err != nil {
		return "", &iofs.PathError{Op: "getxattr " + refusingXattr, Path: point, Err: err}
	}
	return string(value[:n]), nil
}

// transactions are the files open for writing. Who may not know of other users' files is told so.
func (m mountedTree) transactions() (all []fs.Transaction, allowed bool, err error) {
	all, allowed, err = linesOf[fs.Transaction](m.read("transactions"))
	for i := range all {
		all[i].Path = fs.PathOf(all[i].Path, all[i].PathBytes)
	}
	return all, allowed, err
}

// runningRequest is a line of the control file of requests that are being answered.
type runningRequest struct {
	Operation string  `json:"op"`
	Path      string  `json:"path"`
	PathBytes []byte  `json:"path_base64,omitempty"` // if Path could not say it
	UID       uint32  `json:"uid"`
	Thread    uint32  `json:"thread"`
	Program   string  `json:"program,omitempty"`
	Seconds   float64 `json:"seconds"`
}

func (m mountedTree) running() (all []runningRequest, allowed bool, err error) {
	all, allowed, err = linesOf[runningRequest](m.read("running"))
	for i := range all {
		all[i].Path = fs.PathOf(all[i].Path, all[i].PathBytes)
	}
	return all, allowed, err
}

// linesOf reads lines of JSON of a file that was read.
func linesOf[T any](text []byte, failed error) (all []T, allowed bool, err error) {
	if errors.Is(failed, iofs.ErrPermission) {
		return nil, false, nil
	}
	if failed != nil {
		return nil, false, failed
	}
	for line := range bytes.Lines(text) {
		var one T
		if err := json.Unmarshal(line, &one); err != nil {
			return nil, false, err
		}
		all = append(all, one)
	}
	return all, true, nil
}

// samples are the values of a mount's stats, by name with labels as they stand there.
type samples map[string]float64

// stats reads them.
func (m mountedTree) stats() (samples, error) {
	text, err := m.read(statsName)
	if err != nil {
		return nil, err
	}
	return parseSamples(text)
}

func parseSamples(text []byte) (samples, error) {
	all := make(samples)
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		space := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[space+1:], 64)
		if space < 0 || err != nil {
			return nil, fmt.Errorf("stats have an unknown form: %q", line)
		}
		all[line[:space]] = value
	}
	return all, nil
}

// labelled are the values of one metric with one label, by what that says.
func (s samples) labelled(name, label string) map[string]float64 {
	values := make(map[string]float64)
	for key, value := range s {
		rest, ok := strings.CutPrefix(key, name+"{"+label+`="`)
		if !ok {
			continue
		}
		if says, end, _ := strings.Cut(rest, `"`); end == "}" {
			values[says] = value
		}
	}
	return values
}

// minus is what was added since before.
func (s samples) minus(before samples) samples {
	added := make(samples, len(s))
	for key, value := range s {
		added[key] = value - before[key]
	}
	return added
}

// quantile is a bound below which a share of the requests of an operation was answered; 0 if there were none.
func (s samples) quantile(operation string, share float64) time.Duration {
	const name = "etagfs_fuse_request_seconds"
	all := s[name+`_count{operation="`+operation+`"}`]
	least := 0.0
	for key, upTo := range s {
		rest, ok := strings.CutPrefix(key, name+`_bucket{operation="`+operation+`",le="`)
		if !ok || upTo < all*share {
			continue
		}
		if bound, err := strconv.ParseFloat(strings.TrimSuffix(rest, `"}`), 64); err == nil && (least == 0 || bound < least) {
			least = bound
		}
	}
	return secondsOf(min(least, (24 * time.Hour).Seconds()))
}

func secondsOf(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// binaryBytes is a size for people.
func binaryBytes(n float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	unit := 0
	for ; n >= 1024 && unit < len(units)-1; unit++ {
		n /= 1024
	}
	if unit == 0 {
		return fmt.Sprintf("%.0f %s", n, units[unit])
	}
	return fmt.Sprintf("%.1f %s", n, units[unit])
}

// program names a process for people.
func programAndPID(name string, pid uint32) string {
	switch {
	case pid == 0:
		return "a process that cannot be seen"
	case name == "":
		return fmt.Sprintf("pid %d", pid)
	}
	return fmt.Sprintf("%s (pid %d)", readable(name), pid)
}
