package packaging

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// patience is how long a service may take to say something.
const patience = time.Minute

// service is a program that systemd would have started, with what it says to that.
type service struct {
	t   *testing.T
	cmd *exec.Cmd
	to  *net.UnixConn
}

func startService(t *testing.T, dir string, args ...string) *service {
	t.Helper()
	address := &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"}
	to, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { to.Close() })
	cmd := exec.Command(mounttest.Binary(), args...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+address.Name)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && cmd.ProcessState == nil {
			cmd.Process.Kill()
		}
	})
	return &service{t, cmd, to}
}

// says expects a message.
func (s *service) says(want string) {
	s.t.Helper()
	if err := s.to.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	text := make([]byte, 256)
	n, err := s.to.Read(text)
	if string(text[:n]) != want {
		s.t.Errorf("systemd is told %q, not %q (%v)", text[:n], want, err)
	}
}

// end asks the service to end, which must succeed.
func (s *service) end() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Error(err)
	}
	if err := s.cmd.Wait(); err != nil {
		s.t.Error(err)
	}
}

// Type=notify: systemd is told when the port answers, and when a mount can be used.
func TestServicesSayWhenTheyAreReady(t *testing.T) {
	mounttest.Need(t, "binary", "fuse")
	t.Run("serve", func(t *testing.T) {
		dir := t.TempDir()
		s := startService(t, dir, "serve", "--listen=127.0.0.1:0", "--anonymous=read", filepath.Join(dir, "store"))
		s.says("READY=1")
		s.end()
		s.says("STOPPING=1")
	})
	t.Run("mount", func(t *testing.T) {
		dir := t.TempDir()
		point := filepath.Join(dir, "mnt")
		if err := os.Mkdir(point, 0o755); err != nil {
			t.Fatal(err)
		}
		s := startService(t, dir, "mount", "--foreground", filepath.Join(dir, "store"), point)
		s.says("READY=1")
		if _, err := os.Stat(filepath.Join(point, ".etagfs")); err != nil {
			t.Errorf("it is not mounted: %v", err)
		}
		s.end()
	})
}
