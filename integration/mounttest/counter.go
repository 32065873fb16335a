package mounttest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Increment is a program: it adds one to the number in FILE, COUNT times, trying again when another
// process was first.
func Increment(args []string) error {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for range count {
		for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
			err := incrementOnce(args[0])
			if err == nil {
				break
			}
			if !errors.Is(err, syscall.EBUSY) {
				return err
			}
			<-time.After(rand.N(wait))
		}
	}
	return nil
}

func incrementOnce(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	var n int
	if _, err := fmt.Fscan(f, &n); err != nil {
		return errors.Join(fmt.Errorf("read the counter: %w", err), f.Close())
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(n+1)), 0); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}
