package crash

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// diskError is a way for the disk below a store to fail.
type diskError struct {
	name string
	kind string // of the image the store lies on, of which nothing can be read meanwhile but what is in memory; empty: none is needed
	// begin lets the disk fail below a daemon, until end is called.
	begin func(d *daemon, root string) (end func() error, err error)
}

func diskErrors() []diskError {
	return []diskError{
		{"ext4 is shut down", "ext4", shutDown},
		{"xfs is shut down", "xfs", shutDown},
		{"syncs fail", "", failing("fsync,fdatasync,msync,sync_file_range")},
		{"writes fail", "", failing("pwrite64,pwritev,ftruncate,fallocate")},
	}
}

// shutDown ends a filesystem as an error of its disk does: nothing more is read from it or written to it, its journal neither.
func shutDown(_ *daemon, root string) (func() error, error) {
	dir, err := os.Open(root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	const goingDown = 0x8004587d // EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN
	noLogFlush := uint32(2)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), goingDown, uintptr(unsafe.Pointer(&noLogFlush))); errno != 0 {
		return nil, fmt.Errorf("shut down %s: %w", root, errno)
	}
	return func() error { return nil }, nil
}

// failing lets system calls of a daemon fail.
func failing(calls string) func(*daemon, string) (func() error, error) {
	return func(d *daemon, _ string) (func() error, error) {
		cmd := exec.Command("strace", "-f", "-o", "/dev/null", "-e", "trace="+calls, "-e", "inject="+calls+":error=EIO",
			"-p", strconv.Itoa(d.cmd.Process.Pid))
		words, err := cmd.StderrPipe()
		if err != nil {
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		line, err := bufio.NewReader(words).ReadString('\n')
		if err != nil || !strings.Contains(line, "attached") {
			return nil, errors.Join(fmt.Errorf("strace: %q: %w", line, err), cmd.Process.Kill(), cmd.Wait())
		}
		return func() error {
			if err := cmd.Process.Signal(unix.SIGINT); err != nil { // lets the daemon go
				return err
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) {
				return err
			}
			return nil
		}, nil
	}
}

// writeSynced writes a new file, syncs and closes it: nil acknowledges that it is there, whatever happens.
func writeSynced(name string, content []byte) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// C8, C10: when its disk fails a mounted store refuses what it cannot make durable, says why, and goes on being read; opened again on
// a disk that works it has all that an fsync acknowledged, its check finds nothing, and it takes writes.
func TestFailingDiskRefusesWritesAndLosesNothing(t *testing.T) {
	program := program(t)
	for _, fault := range diskErrors() {
		t.Run(fault.name, func(t *testing.T) {
			root, repair := t.TempDir(), func() error { return nil }
			if fault.kind == "" {
				needStrace(t)
			} else {
				root, repair = failingImage(t, fault.kind)
			}
			failDisk(t, program, root, fault, repair)
		})
	}
}

func needStrace(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skipf("needs strace: %v", err)
	}
}

// failingImage is a filesystem that can be shut down, and how it works again.
func failingImage(t *testing.T, kind string) (root string, repair func() error) {
	t.Helper()
	needImages(t, kind)
	im, err := newImage(scratch(t), kind, imageBytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := im.unmount(); err != nil {
			t.Error(err)
		}
	})
	return im.dir, func() error {
		if err := im.unmount(); err != nil {
			return err
		}
		again, err := mountImage(im.file, kind)
		if err == nil {
			*im = *again
		}
		return err
	}
}

// synced are the files an fsync has acknowledged.
type synced map[string][]byte

// write writes n files of several sizes into dir, and returns how many were refused.
func (s synced) write(dir, prefix string, n int) (refused int, err error) {
	sizes := []int64{20, 4096, 300_000}
	for i := range n {
		o := op{Lane: i, Seq: len(prefix), Size: sizes[i%len(sizes)]}
		name := prefix + strconv.Itoa(i)
		switch err := writeSynced(filepath.Join(dir, name), o.bytes()); {
		case err == nil:
			s[name] = o.bytes()
		case errors.Is(err, unix.EIO):
			refused++
		default:
			return refused, err
		}
	}
	return refused, nil
}

// read compares the files in dir, and returns how many could not be read.
func (s synced) read(dir string) (unreadable int, err error) {
	for name, want := range s {
		got, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case errors.Is(err, unix.EIO):
			unreadable++
		case err != nil:
			return unreadable, err
		case !bytes.Equal(got, want):
			return unreadable, fmt.Errorf("%s has %d other bytes", name, len(got))
		}
	}
	return unreadable, nil
}

func failDisk(t *testing.T, program, root string, fault diskError, repair func() error) {
	const files = 12
	store, dir, acknowledged := filepath.Join(root, "store"), t.TempDir(), synced{}
	err := daemonAt(program, store, dir, func(d *daemon) error {
		if refused, err := acknowledged.write(dir, "before", files); refused > 0 || err != nil {
			return fmt.Errorf("%d files refused: %w", refused, err)
		}
		end, err := fault.begin(d, root)
		if err != nil {
			return err
		}
		return errors.Join(acknowledged.suffer(d, files, fault.kind != ""), end())
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := repair(); err != nil {
		t.Fatal(err)
	}
	if err := checkStore(store, acknowledged); err != nil {
		t.Error(err)
	}
	err = daemonAt(program, store, dir, func(*daemon) error {
		if refused, err := acknowledged.write(dir, "again", files); refused > 0 || err != nil {
			return fmt.Errorf("a store on a disk that works refuses %d files: %w", refused, err)
		}
		if unreadable, err := acknowledged.read(dir); unreadable > 0 || err != nil {
			return fmt.Errorf("%d files cannot be read: %w", unreadable, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// suffer works on a store whose disk fails. Of one that is gone only files can be read that are not in blobs.
func (s synced) suffer(d *daemon, n int, gone bool) error {
	refused, err := s.write(d.dir, "during", n)
	if err != nil {
		return err
	}
	if refused == 0 {
		return errors.New("nothing is refused: this shows nothing")
	}
	if unreadable, err := s.read(d.dir); err != nil || unreadable > 0 && !gone || unreadable == len(s) {
		return fmt.Errorf("%d of %d files cannot be read: %w", unreadable, len(s), err)
	}
	select {
	case <-d.ended:
		return fmt.Errorf("the daemon ended: %w", d.err)
	default:
	}
	if words := d.words(); !strings.Contains(words, unix.EIO.Error()) {
		return fmt.Errorf("it does not say why: %s", words)
	}
	return nil
}

// daemonAt calls f while a daemon runs, and kills that.
func daemonAt(program, store, dir string, f func(*daemon) error) error {
	d, err := startDaemon(program, store, dir)
	if err != nil {
		return err
	}
	if err = f(d); err != nil {
		err = fmt.Errorf("%w\nthe daemon's log: %s", err, d.words())
	}
	return errors.Join(err, d.end())
}

// checkStore opens a store, asks what is wrong with it, and compares its files.
func checkStore(store string, want synced) error {
	ctx := context.Background()
	opened, err := openStore(store, false)
	if err != nil {
		return err
	}
	s, err := opened.survey(ctx)
	for _, problem := range s.Problems {
		err = errors.Join(err, errors.New(problem))
	}
	for name, content := range want {
		if found := s.Tree[name]; found == nil || found.Digest != digestOf(content) {
			err = errors.Join(err, fmt.Errorf("%s was synced, and is not there as a whole", name))
		}
	}
	return errors.Join(err, opened.close(ctx))
}
