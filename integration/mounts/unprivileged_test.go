package mounts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// unprivileged are the tests that a user runs who is not root: those of a mount of one's own, which nobody else sees.
const unprivileged = "^(TestPOSIX|TestRecordLocksEndWithTheirProcess|TestStoresThroughAMappingAreCommittedByTheUnlock)$"

// A mount by a user, through fusermount3, passes what a mount by root does. This program is started again as that user: what
// is in the mount is for that user alone.
func TestSuitesPassForAUserToo(t *testing.T) {
	mounttest.Need(t, "fuse", "root")
	mounttest.ShareDevice(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "user")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	mine := filepath.Join(dir, "tests") // where the program is, others cannot look
	if out, err := exec.Command("cp", program, mine).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(mine, "-test.v", "-test.timeout=4m", "-test.run="+unprivileged)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir, "ETAGFS_BIN=", "ETAGFS_REQUIRE=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, test := range []string{"TestPOSIX", "TestRecordLocksEndWithTheirProcess"} {
		if !strings.Contains(string(out), "--- PASS: "+test+" ") {
			t.Errorf("%s did not pass as a user", test)
		}
	}
	t.Logf("%d passed, %d skipped", strings.Count(string(out), "--- PASS: "), strings.Count(string(out), "--- SKIP: "))
}
