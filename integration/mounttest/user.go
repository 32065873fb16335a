package mounttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is a user without rights.
const nobody = 65534

// RunAsUser runs the tests of this program that match a pattern as a user who is not root, with mounts of that user's own. It fails
// if any fails or if one of those named does not pass, as if it is skipped. With the built program it takes a copy the user can run.
func RunAsUser(t *testing.T, pattern string, pass ...string) {
	t.Helper()
	Need(t, "fuse", "root")
	ShareDevice(t)
	dir, err := os.MkdirTemp("", "user")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tests := copied(t, program, dir, "tests") // where the program is, others cannot look
	binary := ""
	if Binary() != "" {
		binary = copied(t, Binary(), dir, "etagfs")
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tests, "-test.v", "-test.timeout=10m", "-test.run="+pattern)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir, "GOCACHE="+filepath.Join(dir, "gocache"),
		binaryVariable+"="+binary, "ETAGFS_REQUIRE=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, test := range pass {
		if !strings.Contains(string(out), "--- PASS: "+test+" ") {
			t.Errorf("%s did not pass as a user", test)
		}
	}
	t.Logf("%d passed, %d skipped", strings.Count(string(out), "--- PASS: "), strings.Count(string(out), "--- SKIP: "))
}

// copied is the path of a copy of a program.
func copied(t *testing.T, program, dir, name string) string {
	t.Helper()
	to := filepath.Join(dir, name)
	if out, err := exec.Command("cp", program, to).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return to
}
