package posix

import (
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// fallocate(2) in each mode, from each position on, by each length changes size and content as on a local disk.
func TestAllocationsOfEveryModeAndRange(t *testing.T) {
	var deeds []deed[int]
	modes := []flag{
		{"grow", 0}, {"keep", unix.FALLOC_FL_KEEP_SIZE}, {"punch", unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE}, {"zero", unix.FALLOC_FL_ZERO_RANGE},
		{"zero and keep", unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE}, {"punch without keeping", unix.FALLOC_FL_PUNCH_HOLE}, {"punch and zero", unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE},
	}
	for _, m := range modes {
		for _, from := range []int64{-1, 0, 1, page - 1, page, page + 1, patternBytes - 1, patternBytes, patternBytes + 1, 4 * page, 4*page + 1, 100000, 1<<63 - 1} {
			for _, n := range []int64{-1, 0, 1, page - 1, page, page + 1, 3 * page, patternBytes, 65536, 1<<63 - 1} {
				if !long() && (from+n)%7 > 1 {
					continue // a third of them are about as different
				}
				deeds = append(deeds, deed[int]{sprint("%s %d from %d", m.name, n, from), func(fd int) (string, error) { return silent(unix.Fallocate(fd, uint32(m.bits), from, n)) }})
			}
		}
	}
	compareEach(t, func(t *testing.T, dir string) lines { return onPatterns(t, dir, deeds) })
}

// SEEK_DATA and SEEK_HOLE find what writes, cuts, growth and punches left, before and after a close. ETAGFS_SEED repeats what was drawn.
func TestHolesAfterRandomChanges(t *testing.T) {
	const unit, units = 64 << 10, 24
	seed, odd := seedOf(t), int64(5)
	if mounttest.Binary() == "" {
		odd = 0 // a store in memory has holes of whole units only
	}
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		random := rand.New(rand.NewPCG(seed, 1))
		for trial := range 40 {
			p := sprint("%s/%d", dir, trial)
			text := ""
			opened(t, p, unix.O_RDWR|unix.O_CREAT, func(fd int) {
				for range 6 {
					from, n := random.Int64N(units)*unit, (1+random.Int64N(4))*unit
					switch random.IntN(6) {
					case 0:
						must(t, unix.Ftruncate(fd, from))
					case 1:
						must(t, unix.Ftruncate(fd, from+n+odd))
					case 2:
						must(t, unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, from, n))
					default:
						content := make([]byte, n)
						content[0], content[n-1] = 1, 1
						for i := range content {
							content[i] = 'd'
						}
						_, err := unix.Pwrite(fd, content, from)
						must(t, err)
					}
				}
				text = extentsOf(fd, unit, units)
			})
			opened(t, p, unix.O_RDONLY, func(fd int) { text += " closed: " + extentsOf(fd, unit, units) })
			all.add(t, sprint("%d", trial), text)
			must(t, os.Remove(p))
		}
		return all
	})
}

// extentsOf are the answers to SEEK_DATA and SEEK_HOLE from many places.
func extentsOf(fd int, unit, units int64) (text string) {
	for _, whence := range []int{unix.SEEK_DATA, unix.SEEK_HOLE} {
		for i := range units + 5 {
			n, err := unix.Seek(fd, i*unit, whence)
			text += sprint(" %d %s", n, outcome(err))
		}
	}
	for _, at := range []int64{-1, 1 << 40} {
		for _, whence := range []int{0, 2, unix.SEEK_DATA, unix.SEEK_HOLE} {
			n, err := unix.Seek(fd, at, whence)
			text += sprint(" %d %s", n, outcome(err))
		}
	}
	return text
}

// commands are fcntl(2) in its commands and arguments that one descriptor can be asked.
func commands() (all []deed[int]) {
	number := func(name string, command, argument int) {
		all = append(all, deed[int]{name, func(fd int) (string, error) {
			_, err := unix.FcntlInt(uintptr(fd), command, argument)
			got, stateErr := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			return sprint("%x %s", got&shownFlags, outcome(stateErr)), err
		}})
	}
	for _, f := range crossed([]flag{{"nothing", 0}}, []flag{{"APPEND", unix.O_APPEND}, {"NONBLOCK", unix.O_NONBLOCK}, {"NOATIME", unix.O_NOATIME}, {"ASYNC", unix.O_ASYNC}, {"SYNC", unix.O_SYNC}, {"access", 3}}) {
		number("F_SETFL "+f.name, unix.F_SETFL, f.bits)
	}
	for _, lease := range []flag{{"read", unix.F_RDLCK}, {"write", unix.F_WRLCK}, {"none", unix.F_UNLCK}, {"unknown", 9}} {
		number("F_SETLEASE "+lease.name, unix.F_SETLEASE, lease.bits)
	}
	for _, n := range []flag{{"access", 1}, {"modify", 2}, {"many", 0x8000003f}, {"unknown", 0x40000000}} {
		number("F_NOTIFY "+n.name, unix.F_NOTIFY, n.bits)
	}
	for _, c := range []int{unix.F_SETSIG, unix.F_SETOWN, unix.F_SETPIPE_SZ, 9999} {
		for _, argument := range []int{0, 1, -1, 100} {
			number(sprint("command %d of %d", c, argument), c, argument)
		}
	}
	for _, c := range []flag{{"F_DUPFD", unix.F_DUPFD}, {"F_DUPFD_CLOEXEC", unix.F_DUPFD_CLOEXEC}} {
		for _, least := range []int{-1, 0, 500, 1 << 30} {
			all = append(all, deed[int]{sprint("%s from %d", c.name, least), func(fd int) (string, error) {
				again, err := unix.FcntlInt(uintptr(fd), c.bits, least)
				if err != nil {
					return "", err
				}
				defer unix.Close(again)
				flags, err := unix.FcntlInt(uintptr(again), unix.F_GETFD, 0)
				n, writeErr := unix.Write(again, []byte("dup"))
				return sprint("%v %x %d %s", again >= least, flags, n, outcome(writeErr)), err
			}})
		}
	}
	return all
}

// fcntl(2) answers each command as on a local disk, and the flags it sets count.
func TestCommandsOfFcntl(t *testing.T) {
	deeds := commands()
	// O_DIRECT is not among the flags: what must be aligned with it is a filesystem's own.
	for i, d := range deeds {
		deeds[i].do = func(fd int) (string, error) {
			text, err := d.do(fd)
			n, writeErr := unix.Write(fd, []byte("after"))
			return text + sprint(" %d %s", n, outcome(writeErr)), err
		}
	}
	compareEach(t, func(t *testing.T, dir string) lines { return onPatterns(t, dir, deeds) })
}
