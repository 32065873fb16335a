package mount

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
)

const toRun = syscall.O_RDONLY | fuse.FMODE_EXEC

// Who runs what was closed after it was written, or writes what has ended running, is let in: the RELEASE of the last one may be
// served after the open has come.
func TestOpenToRunAwaitsTheReleaseOfWhoWrote(t *testing.T) {
	for _, isolation := range []fs.IsolationMode{fs.IsolateHandles, fs.IsolateMount} {
		for _, test := range []struct{ first, second uint32 }{{syscall.O_WRONLY, toRun}, {toRun, syscall.O_WRONLY}} {
			t.Run(fmt.Sprint(isolation, " ", test.first == toRun), func(t *testing.T) {
				k := newKernelWith(t, fs.Options{Isolation: isolation})
				k.bridge.releases.patience = time.Minute // this test may take its time, too
				k.put("f", "program")
				first := k.mustOpen(1, "f", test.first)
				refused := make(chan syscall.Errno, 1)
				go func() {
					second, errno := k.open(2, "f", test.second)
					if errno == 0 {
						errno = second.close()
					}
					refused <- errno
				}()
				for !k.bridge.releases.isAwaited() {
					select {
					case errno := <-refused:
						t.Fatalf("it did not wait: %v", errno)
					default:
						runtime.Gosched()
					}
				}
				k.must(first.close())
				k.must(<-refused)
			})
		}
	}
}

// What stays open to be written is not run, and what runs is not written.
func TestOpenToRunIsRefusedBesideWhoWrites(t *testing.T) {
	k := newKernel(t)
	k.put("f", "program")
	for _, test := range []struct{ first, second uint32 }{{syscall.O_WRONLY, toRun}, {toRun, syscall.O_RDWR}} {
		first := k.mustOpen(1, "f", test.first)
		if _, errno := k.open(2, "f", test.second); errno != syscall.ETXTBSY {
			t.Errorf("open with %#x beside %#x: %v", test.second, test.first, errno)
		}
		k.must(first.close())
	}
}

// isAwaited reports whether somebody waits for a RELEASE.
func (r *releases) isAwaited() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.served != nil
}
