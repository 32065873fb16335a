package mounts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// lockedCalls are what the kernel asks for with the file locked, and what commits then.
var lockedCalls = map[string]func(path string) error{
	"fsync": func(path string) error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		_, err = f.WriteString("text")
		return errors.Join(err, f.Sync(), f.Close())
	},
	"truncate": func(path string) error { return os.Truncate(path, 3) },
	"write": func(path string) error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_SYNC, 0o644)
		if err != nil {
			return err
		}
		_, err = f.WriteString("text")
		return errors.Join(err, f.Close())
	},
}

// namingCalls are what waits for the file with its directory locked.
var namingCalls = map[string]func(path string) error{
	"rename over": func(path string) error {
		return errors.Join(os.WriteFile(path+".new", []byte("new"), 0o644), os.Rename(path+".new", path))
	},
	"rename": func(path string) error {
		return errors.Join(os.Rename(path, path+".moved"), os.Rename(path+".moved", path))
	},
	"unlink": func(path string) error {
		return errors.Join(os.WriteFile(path, []byte("new"), 0o644), os.Remove(path))
	},
	"link": func(path string) error { return errors.Join(os.Link(path, path+".link"), os.Remove(path+".link")) },
}

// callOften makes a call so often. What others make impossible meanwhile is no error.
func callOften(args []string) error {
	call, path := lockedCalls[args[0]], args[1]
	if call == nil {
		call = namingCalls[args[0]]
	}
	n, err := strconv.Atoi(args[2])
	if err != nil || call == nil {
		return fmt.Errorf("call %s %s times: %w", args[0], args[2], err)
	}
	for range n {
		if err := call(path); !isOneOf(err, syscall.EBUSY, syscall.ENOENT, syscall.EEXIST) {
			return err
		}
	}
	return nil
}

// isOneOf reports whether all that err joins is one of kinds.
func isOneOf(err error, kinds ...syscall.Errno) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			if !isOneOf(one, kinds...) {
				return false
			}
		}
		return true
	}
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return true
		}
	}
	return err == nil
}

// A commit that the kernel asked for with the file locked, beside somebody who has the directory locked and
// waits for the file: neither waits for ever.
func TestCommitsOfALockedFileBesideChangesOfItsName(t *testing.T) {
	m := mounttest.Start(t, mounttest.Options{})
	for locked := range lockedCalls {
		for naming := range namingCalls {
			t.Run(locked+" beside "+naming, func(t *testing.T) {
				path := m.Path(filepath.Base(t.Name()))
				if err := os.WriteFile(path, []byte("text"), 0o644); err != nil {
					t.Fatal(err)
				}
				run(t,
					mounttest.Command(t, "call", locked, path, "150"), mounttest.Command(t, "call", locked, path, "150"),
					mounttest.Command(t, "call", naming, path, "150"))
			})
		}
	}
}
