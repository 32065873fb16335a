package load

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// The programs others test filesystems with: each row is one run in a directory of its own, $SECONDS_EACH long where the program can be told.
func programs() []struct{ name, needs, script string } {
	const fio = `fio --name=v --directory=. --size=8m --runtime=$SECONDS_EACH --time_based=0 --verify=crc32c --verify_fatal=1 --do_verify=1 --output-format=terse --minimal `
	return []struct{ name, needs, script string }{
		{"fio, psync", "fio", fio + `--rw=randwrite --bs=4k --ioengine=psync --numjobs=2 --loops=$LOOPS`},
		{"fio, mixed sizes", "fio", fio + `--rw=randrw --bsrange=512-128k --ioengine=psync --loops=$LOOPS --fsync=16`},
		{"fio, mmap", "fio", fio + `--rw=randwrite --bs=4k --ioengine=mmap --loops=$LOOPS`},
		{"fio, libaio", "fio", fio + `--rw=randwrite --bs=16k --ioengine=libaio --iodepth=8 --loops=$LOOPS`},
		{"fio, direct", "fio", fio + `--rw=write --bs=64k --ioengine=libaio --direct=1 --iodepth=4 --loops=$LOOPS`},
		{"fio, sync", "fio", fio + `--rw=write --bs=32k --ioengine=sync --end_fsync=1 --loops=$LOOPS`},
		{"dbench", "dbench", `dbench -c /usr/share/dbench/client.txt -D . -t $SECONDS_EACH 4`},
		{"fs_mark", "fs_mark", `fs_mark -d . -n $((100 * LOOPS)) -s 10000 -t 4 -S 1 -L 1; fs_mark -d . -n $((100 * LOOPS)) -s 0 -D 4 -L 1`},
	}
}

// secondsEach is how long a program is given.
func secondsEach() string {
	if long() {
		return "10"
	}
	return "1"
}

// in runs a script in a new directory of dir, and removes that.
func in(t *testing.T, dir, script string) (said []byte, err error) {
	t.Helper()
	work, err := os.MkdirTemp(dir, "load")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euc", script)
	cmd.Dir = work
	loops := "1"
	if long() {
		loops = "10"
	}
	cmd.Env = append(os.Environ(), "SECONDS_EACH="+secondsEach(), "LOOPS="+loops)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	said, err = cmd.CombinedOutput()
	if err := os.RemoveAll(work); err != nil {
		t.Errorf("remove what is left: %v", err)
	}
	return said, err
}

// Content is what was written, and no call fails, under the loads of others.
func TestProgramsThatTestFilesystems(t *testing.T) {
	forEachIsolation(t, func(t *testing.T, m *mounttest.Mount) {
		for _, p := range programs() {
			t.Run(p.name, func(t *testing.T) {
				mounttest.Need(t, p.needs)
				if said, err := in(t, m.Dir, p.script); err != nil {
					t.Errorf("%v\n%s", err, said)
				}
			})
		}
	})
}

// deviations are stressors that fail on a mount by its rules.
var deviations = map[string]string{
	"isolation=handle fcntl": "processes change one file through separate handles: the second to commit, here by an unlock, gets EBUSY",
}

// stressors are those of the class for filesystems that work in a directory; the rest are of the kernel or of mounts, fanotify of all
// mounts of the machine.
func stressors(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("stress-ng", "--class", "filesystem?").CombinedOutput()
	_, list, found := bytes.Cut(out, []byte(": "))
	if !found {
		t.Fatalf("%v: %s", err, out)
	}
	elsewhere := strings.Fields("bind-mount binderfs eventfd fanotify procfs")
	return slices.DeleteFunc(strings.Fields(string(list)), func(s string) bool { return slices.Contains(elsewhere, s) })
}

// failures are the lines that tell of something wrong.
func failures(said []byte) string {
	return string(bytes.Join(regexp.MustCompile(`(?m)^.*(fail|error):.*$`).FindAll(said, -1), []byte("\n")))
}

// Each stressor of stress-ng for filesystems succeeds where it does on the native filesystem.
func TestStressorsFailOnlyWhereTheyDoOnTheNativeFilesystem(t *testing.T) {
	mounttest.Need(t, "stress-ng")
	if !long() {
		t.Skip("long: make stress")
	}
	native := t.TempDir()
	forEachIsolation(t, func(t *testing.T, m *mounttest.Mount) {
		isolation := filepath.Base(t.Name())
		for _, s := range stressors(t) {
			t.Run(s, func(t *testing.T) {
				script := "stress-ng --" + s + " 2 --timeout $((SECONDS_EACH / 4))s --temp-path . --no-rand-seed"
				said, err := in(t, m.Dir, script)
				if err == nil || deviations[isolation+" "+s] != "" {
					return
				}
				if _, nativeErr := in(t, native, script); nativeErr == nil {
					t.Errorf("%v\n%s", err, failures(said))
				}
			})
		}
	})
}
