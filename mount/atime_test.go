package mount

import (
	"slices"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/fs"
)

// The kernel, which remembers what stat(2) shows, is told of an open that has moved atime, and of no other.
func TestKernelIsToldOfAnOpenThatMovesAtime(t *testing.T) {
	k := newKernelWith(t, fs.Options{Relatime: true})
	k.put("f", "text")
	for _, told := range []bool{true, false} {
		k.dropped = nil
		f := k.mustOpen(1, "f", syscall.O_RDONLY)
		if got := slices.Contains(k.dropped, f.node); got != told {
			t.Errorf("it was told: %v, and should be: %v", got, told)
		}
		f.close()
	}
}
