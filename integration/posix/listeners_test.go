package posix

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// listener is told of what others do to the file f of a directory.
type listener struct {
	name   string
	listen func(dir string, events uint32) (fd int, err error)
	hear   func(fd int) []string
}

// told are the events that inotify(7) and fanotify(7) have in common, under either's names.
const told = unix.IN_OPEN | unix.IN_ACCESS | unix.IN_MODIFY | unix.IN_CLOSE

func listeners() []listener {
	inotify := func(path string, events uint32) (int, error) {
		fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
		if err == nil {
			_, err = unix.InotifyAddWatch(fd, path, events)
		}
		return fd, err
	}
	fanotify := func(path string, events uint32) (int, error) {
		fd, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_NONBLOCK|unix.FAN_CLOEXEC, unix.O_RDONLY)
		if err == nil {
			err = unix.FanotifyMark(fd, unix.FAN_MARK_ADD, uint64(events), unix.AT_FDCWD, path)
		}
		return fd, err
	}
	return []listener{
		{"inotify of the file", func(dir string, events uint32) (int, error) { return inotify(dir+"/f", events) }, heardInotify},
		{"inotify of the directory", inotify, heardInotify},
		{"fanotify of the file", func(dir string, events uint32) (int, error) { return fanotify(dir+"/f", events) }, heardFanotify},
		{"fanotify of the directory", func(dir string, events uint32) (int, error) { return fanotify(dir, events|unix.FAN_EVENT_ON_CHILD) }, heardFanotify},
	}
}

// heardInotify is what an inotify descriptor has, in words.
func heardInotify(fd int) (all []string) {
	buffer := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, buffer)
		if err != nil {
			return all
		}
		for at := 0; at < n; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&buffer[at]))
			all = append(all, happened(uint64(event.Mask)))
			at += unix.SizeofInotifyEvent + int(event.Len)
		}
	}
}

// heardFanotify is what a fanotify descriptor has, with what the descriptors that come with it show of the file.
func heardFanotify(fd int) (all []string) {
	var event unix.FanotifyEventMetadata
	one := unsafe.Slice((*byte)(unsafe.Pointer(&event)), unsafe.Sizeof(event))
	for {
		switch _, err := unix.Read(fd, one); err {
		case nil:
			var st unix.Stat_t
			must0(unix.Fstat(int(event.Fd), &st))
			must0(unix.Close(int(event.Fd)))
			all = append(all, happened(event.Mask)+sprint(" of %d bytes", st.Size))
		case unix.EAGAIN:
			return all
		default:
			all = append(all, outcome(err))
		}
	}
}

// happened names the bits of told.
func happened(mask uint64) string {
	var names []string
	for _, bit := range []struct {
		name string
		bit  uint64
	}{
		{"access", unix.IN_ACCESS}, {"modify", unix.IN_MODIFY}, {"close after writing", unix.IN_CLOSE_WRITE}, {"close", unix.IN_CLOSE_NOWRITE}, {"open", unix.IN_OPEN},
	} {
		if mask&bit.bit != 0 {
			names = append(names, bit.name)
		}
	}
	return strings.Join(names, " and ")
}

// Who listens to a file or its directory is told of reads and writes, and gets a descriptor of what its own process reads or writes.
func TestListenersAreTold(t *testing.T) {
	mounttest.Need(t, "root")
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for _, l := range listeners() {
			for _, a := range accesses() {
				pattern(t, dir+"/f")
				fd, err := l.listen(dir, told)
				must(t, err)
				opened(t, dir+"/f", a.bits, func(file int) {
					_, read := unix.Pread(file, make([]byte, 10), 0)
					_, written := unix.Pwrite(file, []byte("0123456789"), 20)
					all.add(t, l.name+", "+a.name, sprint("%s %s %s", outcome(read), outcome(written), strings.Join(l.hear(fd), ", ")))
				})
				if closed := strings.Join(l.hear(fd), ", "); strings.HasPrefix(l.name, "inotify") {
					all.add(t, l.name+", "+a.name+" closed", closed)
				} // a descriptor of a writer's file is had or not, by whether the mount has been told of the last close
				must0(unix.Close(fd))
				must(t, os.Remove(dir+"/f"))
			}
		}
		return all
	})
}

// Who listens is told of what another process writes; a descriptor of it is had under isolation=mount alone.
func TestListenersToOtherProcesses(t *testing.T) {
	mounttest.Need(t, "root")
	mounttest.Need(t, "dd")
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for _, l := range listeners() {
			pattern(t, dir+"/f")
			fd, err := l.listen(dir, unix.IN_MODIFY)
			must(t, err)
			writer := exec.Command("dd", "of="+dir+"/f", "bs=1", "conv=notrunc", "status=none")
			bytes, err := writer.StdinPipe()
			must(t, err)
			must(t, writer.Start())
			_, err = bytes.Write([]byte("x"))
			must(t, err)
			must(t, again(func() error {
				_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 60_000)
				return err
			}))
			all.add(t, l.name, strings.Join(l.hear(fd), ", "))
			must0(unix.Close(fd))
			must(t, bytes.Close())
			must(t, writer.Wait())
			must(t, os.Remove(dir+"/f"))
		}
		return all
	})
}

// A watch of a directory is told of what is written to a file that somebody else reads; one of the file under isolation=mount alone.
func TestListenersToWhatIsBeingRead(t *testing.T) {
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for _, l := range listeners()[:2] {
			pattern(t, dir+"/f")
			fd, err := l.listen(dir, unix.IN_MODIFY)
			must(t, err)
			opened(t, dir+"/f", unix.O_RDONLY, func(reader int) {
				opened(t, dir+"/f", unix.O_WRONLY, func(writer int) {
					_, err := unix.Pwrite(writer, []byte("0123456789"), 20)
					must(t, err)
				})
				all.add(t, l.name, strings.Join(l.hear(fd), ", "))
			})
			must0(unix.Close(fd))
			must(t, os.Remove(dir+"/f"))
		}
		return all
	})
}
