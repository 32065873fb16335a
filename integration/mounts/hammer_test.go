package mounts

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// uses are what programs do with a name.
var uses = []func(path string, random *rand.Rand) error{
	opens(os.O_RDONLY), opens(os.O_WRONLY), opens(os.O_RDWR), opens(os.O_WRONLY | os.O_TRUNC), opens(os.O_WRONLY | os.O_APPEND),
	opens(os.O_RDONLY | os.O_CREATE), opens(os.O_WRONLY | os.O_CREATE), opens(os.O_RDWR | os.O_CREATE),
	opens(os.O_RDWR | os.O_CREATE | os.O_TRUNC),
	func(path string, random *rand.Rand) error { return os.Truncate(path, random.Int64N(3)*3000) },
	func(path string, _ *rand.Rand) error { return os.Chmod(path, 0o600) },
	func(path string, _ *rand.Rand) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) },
	func(path string, _ *rand.Rand) error { _, err := os.Stat(path); return err },
	func(path string, _ *rand.Rand) error {
		_, err := syscall.Getxattr(path, "user.etagfs.etag", make([]byte, 100))
		return err
	},
	func(path string, _ *rand.Rand) error { _, err := syscall.Listxattr(path, nil); return err },
	func(path string, _ *rand.Rand) error {
		beside := fmt.Sprint(path, ".link.", os.Getpid())
		if err := os.Link(path, beside); err != nil {
			return err
		}
		return os.Remove(beside)
	},
}

// opens opens a name, uses the file, and closes it.
func opens(flags int) func(string, *rand.Rand) error {
	return func(path string, random *rand.Rand) error {
		f, err := os.OpenFile(path, flags, 0o644)
		if err != nil {
			return err
		}
		if flags&(os.O_WRONLY|os.O_RDWR) == 0 {
			_, err = io.Copy(io.Discard, f)
		} else {
			_, err = f.Write(make([]byte, 1+random.IntN(5000)))
		}
		_, described := f.Stat() // the file has a size, whatever its name shows
		return errors.Join(err, described, f.Close())
	}
}

// disturbances are what makes a name show something else.
var disturbances = map[string]func(path string) error{
	"replaced": func(path string) error {
		fresh := fmt.Sprint(path, ".new.", os.Getpid())
		return errors.Join(os.WriteFile(fresh, []byte("new"), 0o644), os.Rename(fresh, path))
	},
	"removed": os.Remove,
	"removed and made exclusively": func(path string) error {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = f.WriteString("exclusive")
		return errors.Join(err, f.Close(), os.Remove(path))
	},
}

// hammer uses PATH in any way, or with DISTURBANCE changes what it shows, COUNT times. Being second, and finding nothing, or something,
// is what programs expect beside others.
func hammer(args []string) error {
	path, disturb := args[0], disturbances[args[1]]
	count, countErr := strconv.Atoi(args[2])
	seed, seedErr := strconv.ParseUint(args[3], 10, 64)
	if err := errors.Join(countErr, seedErr); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, 0))
	for range count {
		use, err := random.IntN(len(uses)), error(nil)
		if disturb != nil {
			err = disturb(path)
		} else {
			err = uses[use](path, random)
		}
		if !isOneOf(err, syscall.EBUSY, syscall.ENOENT, syscall.EEXIST, syscall.ENODATA) {
			return fmt.Errorf("use %d: %w", use, err)
		}
	}
	return nil
}

// What a program has open it can describe and read, though others close the same version at that moment and the name has another file:
// the kernel does not repeat fstat(2) and read(2).
func TestOpenFileOfAReplacedNameIsNeverStale(t *testing.T) {
	m := mounttest.Start(t, mounttest.Options{})
	path := m.Path("f")
	put(t, path, "first")
	stop := make(chan struct{})
	var replacing, reading sync.WaitGroup
	for i := range 3 {
		replacing.Go(func() { replaceUntil(t, stop, path, fmt.Sprint(path, i)) })
	}
	for range 12 {
		reading.Go(func() {
			for range rounds(2_000, 20_000) {
				if err := describeAndRead(path); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	reading.Wait()
	close(stop)
	replacing.Wait()
}

func replaceUntil(t *testing.T, stop <-chan struct{}, path, fresh string) {
	for {
		select {
		case <-stop:
			return
		default:
			if err := errors.Join(os.WriteFile(fresh, []byte("new"), 0o644), os.Rename(fresh, path)); err != nil {
				t.Error(err)
				return
			}
		}
	}
}

func describeAndRead(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, before := f.Stat()
	_, err = io.Copy(io.Discard, f)
	_, after := f.Stat()
	return errors.Join(before, err, after, f.Close())
}

// Neither ESTALE nor EIO reaches a program because others make, replace, remove and use the same name.
func TestHammeredNameAnswersNoProgramESTALE(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	calls := strconv.Itoa(rounds(200, 800))
	for disturbance := range disturbances {
		t.Run(disturbance, func(t *testing.T) {
			m := mounttest.Start(t, mounttest.Options{})
			path := m.Path("f")
			if err := os.WriteFile(path, []byte("first"), 0o644); err != nil {
				t.Fatal(err)
			}
			commands := times(t, 2, "hammer", path, disturbance, calls, "0")
			for i := range uint64(14) {
				commands = append(commands, mounttest.Command(t, "hammer", path, "", calls, strconv.FormatUint(seed+i, 10)))
			}
			run(t, commands...)
		})
	}
}
