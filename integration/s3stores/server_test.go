package s3stores_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/internal/foreign"
)

const (
	accessKey = "s3stores"
	secretKey = "s3stores-secret"
	bucket    = "box"
	// startTime is how long a server may take to listen, endTime how long to end.
	startTime = time.Minute
	endTime   = time.Minute
)

// startMinIO starts MinIO with an empty bucket, and returns its URL.
func startMinIO(t *testing.T) string {
	t.Helper()
	if !foreign.InCache(foreign.MinIO) && !slices.Contains(strings.Split(os.Getenv("ETAGFS_REQUIRE"), ","), "minio") {
		t.Skip("needs minio: make s3stores builds it")
	}
	dir, address := newDir(t), freeAddress(t)
	return start(t, foreign.MinIO, address, []string{"MINIO_ROOT_USER=" + accessKey, "MINIO_ROOT_PASSWORD=" + secretKey},
		"server", dir, "--address", address)
}

// startVersitygw starts versitygw over an empty directory.
func startVersitygw(t *testing.T) string {
	t.Helper()
	dir, address := newDir(t), freeAddress(t)
	return start(t, foreign.Versitygw, address, nil, "--access", accessKey, "--secret", secretKey, "--port", address, "--quiet", "posix", dir)
}

// newDir has a directory for the bucket.
func newDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, bucket), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// freeAddress is one nobody listens at just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// start starts a server and waits until it answers.
func start(t *testing.T, module, address string, env []string, args ...string) (url string) {
	t.Helper()
	program, err := foreign.Program(t.Context(), module)
	if err != nil {
		t.Skipf("needs %s: %v", filepath.Base(strings.Split(module, "@")[0]), err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, cmd, log) })
	url = "http://" + address
	tries, deadline := time.NewTicker(20*time.Millisecond), time.After(startTime)
	defer tries.Stop()
	for {
		if answer, err := http.Get(url); err == nil {
			answer.Body.Close()
			return url
		}
		select {
		case <-tries.C:
		case <-deadline:
			t.Fatalf("%s does not listen after %v", program, startTime)
		}
	}
}

// end asks a server to end and kills it if it does not; its log is shown if the test failed.
func end(t *testing.T, cmd *exec.Cmd, log *os.File) {
	late := time.AfterFunc(endTime, func() { cmd.Process.Kill() })
	defer late.Stop()
	cmd.Process.Signal(syscall.SIGTERM) // an error means that it is gone
	cmd.Wait()                          // how others end is their affair
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		text, err := os.ReadFile(log.Name())
		t.Logf("%s%v", text[max(0, len(text)-4<<10):], err)
	}
}
