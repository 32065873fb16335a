package posix

import (
	"testing"

	"golang.org/x/sys/unix"
)

// poll(2) says of what is open what it says on a local disk, and epoll_ctl(2) takes and refuses the same, but regular files.
func TestWaitsForWhatIsOpen(t *testing.T) {
	const all = unix.POLLIN | unix.POLLPRI | unix.POLLOUT | unix.POLLRDHUP | 0x40 | 0x100 // POLLRDNORM and POLLWRNORM
	compareEach(t, func(t *testing.T, dir string) lines {
		tried := make(lines)
		for thing, make := range things() {
			for _, a := range accesses() {
				p := dir + "/x"
				make(t, p)
				if fd, err := unix.Open(p, a.bits|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err == nil {
					polled := []unix.PollFd{{Fd: int32(fd), Events: all}}
					n, err := unix.Poll(polled, 0)
					tried.add(t, sprint("poll %s %s", thing, a.name), sprint("%s %d %x", outcome(err), n, polled[0].Revents))
					tried.add(t, sprint("epoll %s %s", thing, a.name), registered(t, fd))
					must(t, unix.Close(fd))
				}
				empty(t, dir)
			}
		}
		return tried
	})
}

// registered is what comes of having a descriptor watched by epoll.
func registered(t *testing.T, fd int) string {
	t.Helper()
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	must(t, err)
	defer unix.Close(epoll)
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT, Fd: int32(fd)}); err != nil {
		return outcome(err)
	}
	came := make([]unix.EpollEvent, 1)
	n, err := unix.EpollWait(epoll, came, 0)
	return sprint("taken %s %d %x", outcome(err), n, came[0].Events)
}
