package mounts

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// C10: a signal that a program goes on after fails none of its reads, wherever the store is. The kernel would make EIO of one that was
// given up.
func TestC10SignalsFailNoRead(t *testing.T) {
	for _, way := range ways() {
		t.Run(way, func(t *testing.T) {
			mounts := together(t, way, 2)
			lost, won := strings.Repeat("lost", 10_000), strings.Repeat("won!", 10_000)
			path := mounts[0].Path("f")
			put(t, path, "base")
			f := open(t, path, os.O_RDWR)
			write(t, f, lost)
			put(t, mounts[1].Path("f"), won)
			wants(t, "close", f.Close(), syscall.EBUSY)
			for _, m := range mounts {
				mine, err := filepath.Glob(m.Path(".etagfs", "conflicts", "*", "mine"))
				if err != nil || len(mine) != 1 {
					t.Fatalf("kept: %q (%v)", mine, err)
				}
				readUnderSignals(t, map[string]string{mine[0]: lost, m.Path("f"): won})
			}
		})
	}
}

// readUnderSignals reads what has to be there again and again, out of the store, while its thread has signals all the time.
func readUnderSignals(t *testing.T, wanted map[string]string) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread, stop, stopped := unix.Gettid(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		often := time.NewTicker(100 * time.Microsecond)
		defer often.Stop()
		for {
			select {
			case <-stop:
				return
			case <-often.C:
				unix.Tgkill(os.Getpid(), thread, syscall.SIGURG) // which this program's runtime uses itself
			}
		}
	}()
	defer func() {
		close(stop)
		<-stopped
	}()
	for range 50 {
		for path, want := range wanted {
			f := open(t, path, os.O_RDONLY)
			wants(t, "fadvise", unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), 0)
			got, err := io.ReadAll(f)
			if err != nil || !bytes.Equal(got, []byte(want)) {
				t.Errorf("%s: %d bytes (%v)", path, len(got), err)
			}
			wants(t, "close", f.Close(), 0)
		}
	}
}
