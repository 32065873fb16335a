package crash

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// imageBytes is the size of most images: xfs takes none smaller. They are sparse.
const imageBytes = 320 << 20

// image is a filesystem in a file, mounted through a loop device.
type image struct {
	file    string
	kind    string // "ext4", "xfs" or "btrfs"
	dir     string // where it is mounted
	loop    string // its device
	mounted bool
}

// newImage makes and mounts a filesystem below scratch.
func newImage(scratch, kind string, bytes int64) (*image, error) {
	file := filepath.Join(scratch, kind+".img")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(file, bytes); err != nil {
		return nil, err
	}
	args := []string{"-q", "-f", file}
	if kind == "ext4" {
		args = []string{"-q", "-F", file}
	}
	if out, err := exec.Command("mkfs."+kind, args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mkfs.%s: %w\n%s", kind, err, out)
	}
	return mountImage(file, kind)
}

// mountImage mounts file beside itself. The journal is replayed if it has to be.
func mountImage(file, kind string) (*image, error) {
	im := &image{file: file, kind: kind, dir: file + ".mnt"}
	if err := os.MkdirAll(im.dir, 0o700); err != nil {
		return nil, err
	}
	loop, err := im.attach()
	if err != nil {
		return nil, err
	}
	defer loop.Close() // the mount holds the device, which goes with it
	options := ""
	if kind == "xfs" {
		options = "nouuid" // the copy and its original are mounted at once
	}
	if err := unix.Mount(im.loop, im.dir, kind, unix.MS_NOATIME, options); err != nil {
		return nil, fmt.Errorf("mount %s: %w", im.loop, err)
	}
	im.mounted = true
	return im, nil
}

// attach gives the image a loop device that is freed when nobody uses it any more.
func (im *image) attach() (*os.File, error) {
	backing, err := os.OpenFile(im.file, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer backing.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	config := unix.LoopConfig{Fd: uint32(backing.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
	for {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("free loop device: %w", err)
		}
		im.loop = fmt.Sprintf("/dev/loop%d", n)
		loop, err := os.OpenFile(im.loop, os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &config)
		if err == nil {
			return loop, nil
		}
		loop.Close()
		if !errors.Is(err, unix.EBUSY) { // busy: somebody else was faster
			return nil, fmt.Errorf("configure %s: %w", im.loop, err)
		}
	}
}

// unmount unmounts the image, which also writes it back. Its file stays.
func (im *image) unmount() error {
	if !im.mounted {
		return nil
	}
	im.mounted = false
	return unix.Unmount(im.dir, 0)
}

// remove unmounts the image and deletes it.
func (im *image) remove() error {
	return errors.Join(im.unmount(), os.Remove(im.file), os.Remove(im.dir))
}

// powerCut is what the disk would hold if power were cut now, mounted at a
// place of its own. Nothing may be writing but the kernel; if it wrote while
// the copy was made, the copy is made again.
func (im *image) powerCut(file string) (*image, error) {
	for {
		before, quietBefore, err := im.written()
		if err != nil {
			return nil, err
		}
		if err := copySparse(im.file, file); err != nil {
			return nil, err
		}
		after, quietAfter, err := im.written()
		if err != nil {
			return nil, err
		}
		if quietBefore && quietAfter && before == after {
			return mountImage(file, im.kind)
		}
	}
}

// written is what the loop device counts of its writes, and whether none is under way.
func (im *image) written() (counters string, quiet bool, err error) {
	text, err := os.ReadFile("/sys/block/" + filepath.Base(im.loop) + "/stat")
	if err != nil {
		return "", false, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 9 {
		return "", false, fmt.Errorf("%s has no counters: %q", im.loop, text)
	}
	return strings.Join(fields[4:7], " "), fields[8] == "0", nil
}

// copySparse copies the data of a file and leaves out its holes.
func copySparse(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	info, err := in.Stat()
	if err == nil {
		err = out.Truncate(info.Size())
	}
	for off := int64(0); err == nil; {
		var end int64
		if off, err = in.Seek(off, unix.SEEK_DATA); errors.Is(err, unix.ENXIO) {
			return out.Close()
		}
		if err == nil {
			end, err = in.Seek(off, unix.SEEK_HOLE)
		}
		if err == nil {
			_, err = io.Copy(io.NewOffsetWriter(out, off), io.NewSectionReader(in, off, end-off))
		}
		off = end
	}
	return errors.Join(err, out.Close())
}
