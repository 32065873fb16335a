package s3clients_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// s3fs makes a filesystem of the bucket: renames are copies, attributes are metadata, big files are in parts.
func TestS3fs(t *testing.T) {
	mounttest.Need(t, "fuse", "root")
	c := newClient(t, "/usr/bin/s3fs")
	s, d := serve(t), newSamples(t)
	dir := c.mountS3fs(s)
	path := func(name string) string { return filepath.Join(dir, name) }
	steps := func(errs ...error) {
		t.Helper()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	sh := func(line string) { newClient(t, "sh").run("-e", "-c", "cd "+dir+"; "+line) }
	steps(os.Mkdir(path("dir"), 0o750))
	for _, name := range []string{"small", "big"} {
		sh("cp " + d.path(name) + " dir/" + name)
		s.stored(d, "dir/"+name, name)
		sh("cmp dir/" + name + " " + d.path(name))
	}
	steps(os.Rename(path("dir/small"), path("renamed")), os.Chmod(path("renamed"), 0o640), os.Symlink("renamed", path("link")))
	s.stored(d, "renamed", "small")
	sh("cmp link " + d.path("small") + "; test $(stat -c %a renamed) = 640; test $(ls | wc -l) = 3")
	sh("echo more >> renamed; test $(stat -c %s renamed) = 4101; mv dir moved; cmp moved/big " + d.path("big"))
	s.stored(d, "moved/big", "big")
	sh("rm -r moved link renamed; test -z \"$(ls)\"")
	if left := s.keys(); left != "" {
		t.Errorf("left: %s", left)
	}
}

// mountS3fs mounts the bucket until the test ends.
func (c *client) mountS3fs(s *server) (dir string) {
	t := c.t
	t.Helper()
	dir = filepath.Join(t.TempDir(), "mnt")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(c.program, bucket, dir, "-f", "-o", "url="+s.URL, "-o", "use_path_request_style", "-o", "endpoint="+region, "-o", "multipart_size=16")
	cmd.Env = append(append([]string(nil), c.env...), "AWSACCESSKEYID="+accessKey, "AWSSECRETACCESSKEY="+secretKey)
	log := &lines{}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait() // an unmount ends it
		close(exited)
	}()
	t.Cleanup(func() {
		syscall.Unmount(dir, syscall.MNT_DETACH) // an error means that it was not mounted
		select {
		case <-exited:
		case <-time.After(endTime):
			cmd.Process.Kill()
			t.Errorf("s3fs did not end\n%s", log)
		}
	})
	awaitMount(t, dir, exited, log)
	return dir
}

// awaitMount waits until a filesystem is at dir: another device than its parent's.
func awaitMount(t *testing.T, dir string, exited <-chan struct{}, log *lines) {
	t.Helper()
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	deadline := time.After(startTime)
	for {
		var parent, here syscall.Stat_t
		if syscall.Stat(filepath.Dir(dir), &parent) == nil && syscall.Stat(dir, &here) == nil && here.Dev != parent.Dev {
			return
		}
		select {
		case <-ticks.C:
		case <-exited:
			t.Fatalf("s3fs ended\n%s", log)
		case <-deadline:
			t.Fatalf("not mounted after %v\n%s", startTime, log)
		}
	}
}
