package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

// The subjects that are always there, and that others are compared with.
const (
	nativeName     = "native"
	loopbackName   = "loopback"
	etagfsName     = "etagfs"
	badgerName     = "plain Badger"
	storeName      = "badgerstore"
	storeMountName = "badgerstore as mounted"
)

// subject is what is measured: a directory, or an engine.
type subject struct {
	name   string
	dir    string // a directory to make directories in
	device uint32 // its FUSE connection; 0: none
	daemon *daemon
	open   func(ctx context.Context, dir string, durable bool) (engine, error) // engines only
	// uploaded returns once what was closed has been stored; nil: close does not answer before that.
	uploaded func(ctx context.Context) error
	peer     bool // a filesystem of our S3 server
}

// drain waits for what the subject still does after close has answered.
func (s *subject) drain(ctx context.Context) error {
	if s.uploaded == nil {
		return nil
	}
	return s.uploaded(ctx)
}

// bench is a work directory and the subjects in it.
type bench struct {
	dir         string
	filesystems []*subject
	engines     []*subject
	trace       *requestTrace // nil: requests are not counted
	closers     []func() error
}

// newBench makes a work directory below parent.
func newBench(parent string) (*bench, error) {
	dir, err := os.MkdirTemp(parent, "etagfs-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir}
	b.onClose(b.removeDir)
	return b, nil
}

func (b *bench) onClose(f func() error) { b.closers = append(b.closers, f) }

// close undoes everything, the last first.
func (b *bench) close() error {
	var failed []error
	for i := len(b.closers) - 1; i >= 0; i-- {
		failed = append(failed, b.closers[i]())
	}
	return errors.Join(failed...)
}

// removeDir removes the work directory, but nothing that is mounted in it.
func (b *bench) removeDir() error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	if bytes.Contains(mounts, []byte(" "+b.dir+"/")) {
		return fmt.Errorf("%s is left in place: something is still mounted in it", b.dir)
	}
	return os.RemoveAll(b.dir)
}

// abort ends the daemons, so that nothing waits for them.
func (b *bench) abort() {
	for _, d := range b.daemons() {
		d.abort()
	}
}

func (b *bench) daemons() (daemons []*daemon) {
	for _, s := range b.mounted() {
		daemons = append(daemons, s.daemon)
	}
	return daemons
}

func (b *bench) processes() (processes []measure.Process) {
	for _, d := range b.daemons() {
		processes = append(processes, d.process())
	}
	return processes
}

// mounted are the subjects with a daemon of ours.
func (b *bench) mounted() (subjects []*subject) {
	for _, s := range b.filesystems {
		if s.daemon != nil {
			subjects = append(subjects, s)
		}
	}
	return subjects
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) addNative() error {
	dir := b.path(nativeName)
	b.filesystems = append(b.filesystems, &subject{name: nativeName, dir: dir})
	return os.Mkdir(dir, 0o755)
}

// addLoopback builds go-fuse's example at the version of go.mod and mounts it.
func (b *bench) addLoopback(ctx context.Context) error {
	program, data, mountPoint := b.path("loopback-program"), b.path("loopback-data"), b.path(loopbackName)
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/hanwen/go-fuse/v2/example/loopback")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build go-fuse's loopback, from within this module: %w: %s", err, out)
	}
	if err := os.Mkdir(data, 0o755); err != nil {
		return err
	}
	return b.addMounted(ctx, loopbackName, mountPoint, program, "-q", mountPoint, data)
}

// addEtagfs mounts a new embedded store.
func (b *bench) addEtagfs(ctx context.Context, program, options string) error {
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("%w: build it with make build, or leave it out with -etagfs ''", err)
	}
	args := []string{"mount", b.path("etagfs-store"), b.path(etagfsName), "--foreground"}
	if options != "" {
		args = append(args, "-o", options)
	}
	return b.addMounted(ctx, etagfsName, b.path(etagfsName), program, args...)
}

func (b *bench) addMounted(ctx context.Context, name, mountPoint, program string, args ...string) error {
	d, err := startDaemon(ctx, name, mountPoint, program, args...)
	if err != nil {
		return err
	}
	b.onClose(d.stop)
	b.filesystems = append(b.filesystems, &subject{name: name, dir: mountPoint, device: fuseDevice(mountPoint), daemon: d})
	return nil
}

// addPeers adds directories given as name=/path,name=/path. Each gets a
// directory of its own in it, removed at the end.
func (b *bench) addPeers(list string) error {
	for item := range strings.SplitSeq(list, ",") {
		if item == "" {
			continue
		}
		name, parent, found := strings.Cut(item, "=")
		if !found || name == "" || !filepath.IsAbs(parent) {
			return fmt.Errorf("PEER_DIRS: %q is not name=/path", item)
		}
		dir, err := os.MkdirTemp(parent, "etagfs-bench-")
		if err != nil {
			return fmt.Errorf("PEER_DIRS: %w", err)
		}
		b.onClose(func() error { return os.RemoveAll(dir) })
		b.filesystems = append(b.filesystems, &subject{name: name, dir: dir, device: fuseDevice(dir)})
	}
	return nil
}

// settle syncs the disk and waits until no daemon works.
func (b *bench) settle(ctx context.Context) error {
	fd, err := unix.Open(b.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", b.dir, err)
	}
	err = unix.Syncfs(fd)
	return errors.Join(err, unix.Close(fd), measure.WaitQuiet(ctx, b.processes()))
}

// machine names the kernel and the filesystem that is measured.
func (b *bench) machine() string {
	var name unix.Utsname
	var fs unix.Statfs_t
	if unix.Uname(&name) != nil || unix.Statfs(b.dir, &fs) != nil {
		return "unknown machine"
	}
	return fmt.Sprintf("Linux %s, filesystem type %#x below %s", unix.ByteSliceToString(name.Release[:]), fs.Type, filepath.Dir(b.dir))
}
