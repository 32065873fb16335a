package crossmounts

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// The keys of the servers.
const (
	accessKey = "crossmounts"
	secretKey = "crossmounts-secret"
)

const (
	// endTime is how long a server may take to end.
	endTime = time.Minute
	// readyTime is how long one may take to begin, and readyInterval how often it is asked.
	readyTime     = time.Minute
	readyInterval = 20 * time.Millisecond
)

// keys is the environment of servers and clients.
func keys() []string {
	return []string{
		"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey, "AWS_REGION=us-east-1",
		"ETAGFS_ACCESS_KEY=" + accessKey, "ETAGFS_SECRET_KEY=" + secretKey,
		"MINIO_ROOT_USER=" + accessKey, "MINIO_ROOT_PASSWORD=" + secretKey,
	}
}

// server is a process that serves a store over HTTP.
type server struct {
	t       *testing.T
	dir     string
	address string
	health  string // the path that tells whether it is ready
	command func() *exec.Cmd
	cmd     *exec.Cmd // nil if it has ended
}

// serve starts our server over an empty store.
func serve(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, dir: filepath.Join(t.TempDir(), "store"), address: freeAddress(t), health: "/-/ready"}
	s.command = func() *exec.Cmd {
		return exec.Command(mounttest.Binary(), "serve", s.dir, "--listen", s.address)
	}
	s.begin()
	return s
}

// serveMinIO starts a MinIO server that has the bucket.
func serveMinIO(t *testing.T) *server {
	t.Helper()
	program := minioProgram(t)
	s := &server{t: t, dir: t.TempDir(), address: freeAddress(t), health: "/minio/health/ready"}
	if err := os.Mkdir(filepath.Join(s.dir, "main"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.command = func() *exec.Cmd { return exec.Command(program, "server", s.dir, "--address", s.address) }
	s.begin()
	return s
}

// freeAddress is one nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// begin starts the server for as long as the test.
func (s *server) begin() {
	s.t.Helper()
	s.restart()
	s.t.Cleanup(func() {
		if s.cmd != nil {
			s.stop()
		}
	})
}

// restart starts the server at its address and waits until it answers.
func (s *server) restart() {
	s.t.Helper()
	log, err := os.CreateTemp(s.t.TempDir(), "log")
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd = s.command()
	s.cmd.Env = append(os.Environ(), keys()...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	late := time.NewTimer(readyTime)
	defer late.Stop()
	for !s.ready() {
		select {
		case <-time.After(readyInterval):
		case <-late.C:
			text, err := os.ReadFile(log.Name())
			s.t.Fatalf("%s is not ready after %v: %s%v", s.cmd.Path, readyTime, text, err)
		}
	}
}

func (s *server) ready() bool {
	answer, err := http.Get("http://" + s.address + s.health)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// stop ends the server, which must do so by itself.
func (s *server) stop() {
	s.t.Helper()
	cmd := s.cmd
	s.cmd = nil
	late := time.AfterFunc(endTime, func() { cmd.Process.Kill() })
	defer late.Stop()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Errorf("the server has ended by itself: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		s.t.Errorf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
}

// kill ends the server as a crash does.
func (s *server) kill() {
	s.t.Helper()
	cmd := s.cmd
	s.cmd = nil
	if err := cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		s.t.Error("the server had ended by itself")
	}
}
