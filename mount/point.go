package mount

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Prepare makes dir ready to be mounted on: what a dead daemon left there is taken away. It returns
// the directory's full path, or one sentence that says why it cannot be mounted on.
func Prepare(dir string, fates Fates) (string, error) {
	point, err := resolve(dir)
	if err != nil {
		return "", err
	}
	if err := removeDead(point, fates); err != nil {
		return "", err
	}
	if err := free(point); err != nil {
		return "", err
	}
	if err := emptyDirectory(point); err != nil {
		return "", err
	}
	return point, fuseAvailable()
}

// free refuses a point that is a mount of ours.
func free(point string) error {
	m, found, err := mountedAt(point)
	if err == nil && found && m.fsType == fsType {
		return fmt.Errorf("%s is a mount of %s already: unmount it first or choose another directory", point, m.source)
	}
	return err
}

// claim makes sure that nobody else mounts at point before what it returns is closed: one of two mounts would
// be hidden below the other.
func claim(point string) (*os.File, error) {
	if err := free(point); err != nil {
		return nil, err
	}
	dir, err := os.Open(point)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		err = fmt.Errorf("%s is locked by a process that is about to mount there, or has another reason: try again", point)
	default: // it may have been mounted on just before; a filesystem without locks has to do without
		err = free(point)
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// resolve is the full path of dir without symlinks. It looks at the parent only: dir itself
// may be a mount that no longer answers.
func resolve(dir string) (string, error) {
	point, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if target, err := os.Readlink(point); err == nil {
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(point), target)
		}
		return resolve(target)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(point))
	if err != nil {
		return "", fmt.Errorf("mount point %s: %w", dir, cause(err))
	}
	return filepath.Join(parent, filepath.Base(point)), nil
}

// cause is what went wrong without the path, which the sentence names already.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// detach takes a mount out of the tree at once, open or not.
func detach(point string) error {
	if os.Geteuid() == 0 {
		return syscall.Unmount(point, syscall.MNT_DETACH)
	}
	return fusermount("-u", "-z", point)
}

// absentError is a sentence about something that is not there.
type absentError string

func (e absentError) Error() string { return string(e) }

// Unwrap makes it [os.ErrNotExist].
func (e absentError) Unwrap() error { return os.ErrNotExist }

func notADirectory(point string) error {
	return fmt.Errorf("mount point %s is not a directory, or below a file: choose an empty directory", point)
}

func emptyDirectory(point string) error {
	d, err := os.Open(point)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return absentError("mount point " + point + " does not exist: create the directory first")
	case errors.Is(err, syscall.ENOTDIR):
		return notADirectory(point)
	case err != nil:
		return fmt.Errorf("mount point %s: %w", point, cause(err))
	}
	defer d.Close()
	info, err := d.Stat()
	if err != nil {
		return fmt.Errorf("mount point %s: %w", point, cause(err))
	}
	if !info.IsDir() {
		return notADirectory(point)
	}
	switch _, err = d.Readdirnames(1); {
	case err == nil:
		return fmt.Errorf("mount point %s is not empty: the mount would hide what is in it: choose an empty directory", point)
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("mount point %s: %w", point, cause(err))
	}
	return nil
}

// fuseAvailable says what is missing to mount at all.
func fuseAvailable() error {
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	switch {
	case err == nil:
		device.Close()
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("/dev/fuse may not be opened (%w): give this user read and write permission to it (usually mode 0666), and a container the device (--device /dev/fuse)",
			cause(err))
	default:
		return errors.New("there is no /dev/fuse: load the kernel module (modprobe fuse), or give the container the device (--device /dev/fuse --cap-add SYS_ADMIN)")
	}
	if os.Geteuid() == 0 {
		return nil
	}
	if _, err := fusermountPath(); err != nil {
		return errors.New("there is no fusermount3, which mounts for users other than root: install the package fuse3")
	}
	return nil
}

// fusermountPath finds the setuid program of libfuse.
func fusermountPath() (string, error) {
	for _, name := range []string{"fusermount3", "fusermount", "/bin/fusermount3", "/bin/fusermount"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

func fusermount(args ...string) error {
	path, err := fusermountPath()
	if err != nil {
		return err
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil && len(out) > 0 {
		return errors.New(firstLine(string(out)))
	}
	return err
}
