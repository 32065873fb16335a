package mounttest

import (
	"os"
	"os/exec"
	"testing"
)

// Need skips a test on a machine that lacks something: "fuse", "root", "binary" (the built program), or a program by
// name. The reason begins with "needs" and what.
func Need(t testing.TB, what ...string) {
	t.Helper()
	for _, w := range what {
		if reason := missing(w); reason != "" {
			t.Skipf("needs %s: %s", w, reason)
		}
	}
}

func missing(what string) string {
	switch what {
	case "fuse":
		f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
		if err != nil {
			return err.Error()
		}
		f.Close()
		if _, err := exec.LookPath("fusermount3"); err != nil {
			return err.Error()
		}
	case "root":
		if os.Geteuid() != 0 {
			return "the test mounts and changes users"
		}
	case "binary":
		if Binary() == "" {
			return binaryVariable + " does not name the built program"
		}
	default:
		if _, err := exec.LookPath(what); err != nil {
			return err.Error()
		}
	}
	return ""
}
