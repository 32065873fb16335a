package mounts

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

func TestMain(m *testing.M) {
	mounttest.Main(m, map[string]mounttest.Role{
		"replace":   mounttest.Replace,
		"append":    appendOften,
		"later":     closeLater,
		"increment": mounttest.Increment,
		"write":     writeOften,
		"read":      readOften,
		"close":     closeInherited,
		"exist":     makeExclusively,
		"stick":     stick,
		"map":       mapAndEcho,
		"call":      callOften,
		"hammer":    hammer,
		"exec":      writeAndExec,
		"count":     countLocked,
		"hold":      holdLocked,
	})
}

// writeOften opens FILE to write, COUNT times. That others are first is no failure.
func writeOften(args []string) error {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for i := range count {
		flags := []int{os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_CREATE}[i%4]
		f, err := os.OpenFile(args[0], flags, 0o644)
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(numbered(os.Getpid(), i), 0); err != nil {
			return errors.Join(err, f.Close())
		}
		if err := f.Close(); err != nil && !errors.Is(err, syscall.EBUSY) {
			return err
		}
	}
	return nil
}

// recordBytes is the size of every content writeOften makes.
const recordBytes = 20000

// numbered is a content no part of which occurs in another.
func numbered(pid, i int) []byte {
	line := fmt.Sprintf("%09d.%09d\n", pid, i)
	content := make([]byte, 0, recordBytes)
	for len(content) < recordBytes {
		content = append(content, line...)
	}
	return content[:recordBytes]
}

// readOften reads FILE, COUNT times: each content must be a whole one.
func readOften(args []string) error {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for range count {
		got, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		for i := 0; i < len(got); i += 20 {
			if string(got[i:i+20]) != string(got[:20]) || len(got) != recordBytes {
				return fmt.Errorf("a mix of two versions: %q at 0, %q at %d of %d", got[:20], got[i:i+20], i, len(got))
			}
		}
	}
	return nil
}

// closeInherited closes descriptor 3 and says what came of it.
func closeInherited([]string) error {
	return os.NewFile(3, "inherited").Close()
}

// writeAndExec writes FILE, does not close it, and becomes a shell that says so and stays.
func writeAndExec(args []string) error {
	f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString("written before exec"); err != nil {
		return err
	}
	return syscall.Exec("/bin/sh", []string{"sh", "-c", "echo running; read line"}, os.Environ())
}

// makeExclusively makes FILE unless it exists.
func makeExclusively(args []string) error {
	f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}
