package remote

import (
	"bufio"
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

// roleVariable makes the test's program a worker.
const roleVariable = "ETAGFS_REMOTE_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(worker(role, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// endTime is how long a process may take to end once it was asked to.
const endTime = time.Minute

// bucket is a served store with mounts.
type bucket struct {
	t       *testing.T
	program string
	url     string // of the server
	env     []string
}

// foreignVariable names a MinIO server to test against in place of our own.
const foreignVariable = "ETAGFS_MINIO"

// The keys of the server.
const (
	accessKey = "remotetests"
	secretKey = "remotetests-secret"
)

// serve starts a server over an empty store.
func serve(t *testing.T) *bucket {
	t.Helper()
	mounttest.Need(t, "fuse", "root")
	if program := os.Getenv(foreignVariable); program != "" {
		return serveForeign(t, program)
	}
	b := newBucket(t)
	cmd := b.command("serve", filepath.Join(t.TempDir(), "store"), "--listen", "127.0.0.1:0")
	cmd.Stderr = nil // its log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, cmd) })
	line, err := bufio.NewReader(out).ReadString('\n')
	_, url, ok := strings.Cut(strings.TrimSpace(line), " at ")
	if err != nil || !ok {
		t.Fatalf("the server says %q: %v", line, err)
	}
	b.url = url
	return b
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	return &bucket{t: t, program: built(t), env: append(os.Environ(),
		"AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey, "AWS_REGION=us-east-1",
		"ETAGFS_ACCESS_KEY="+accessKey, "ETAGFS_SECRET_KEY="+secretKey,
	)}
}

// serveForeign starts a MinIO server that has the bucket, and waits until it listens.
func serveForeign(t *testing.T, program string) *bucket {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // a free port
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	b, dir := newBucket(t), t.TempDir()
	b.url = "http://" + address
	if err := os.Mkdir(filepath.Join(dir, "main"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "server", dir, "--address", address)
	cmd.Env = append(b.env, "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, cmd) })
	tries := time.NewTicker(50 * time.Millisecond)
	defer tries.Stop()
	for range 600 {
		<-tries.C
		if answer, err := http.Get(b.url + "/minio/health/ready"); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return b
			}
		}
	}
	t.Fatalf("%s does not start", program)
	return nil
}

// built is the program to test.
func built(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("ETAGFS_BIN"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "etagfs")
	build := exec.Command("go", "build", "-o", path, "../../cmd/etagfs")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

func (b *bucket) command(args ...string) *exec.Cmd {
	cmd := exec.Command(b.program, args...)
	cmd.Env = b.env
	return cmd
}

// end asks a process to end and kills it if it does not.
func end(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	late := time.AfterFunc(endTime, func() { cmd.Process.Kill() })
	defer late.Stop()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return // it has ended
	}
	if err := cmd.Wait(); err != nil && cmd.ProcessState.ExitCode() != -1 {
		t.Errorf("%s: %v", strings.Join(cmd.Args[1:], " "), err)
	}
}

// mount is one mount of a bucket, as on a machine of its own.
type mount struct {
	b     *bucket
	dir   string
	cache string
	cmd   *exec.Cmd
	log   *os.File
}

// mount mounts the bucket at a new directory. Its log is shown if the test fails.
func (b *bucket) mount(options ...string) *mount {
	b.t.Helper()
	m := &mount{b: b, dir: b.t.TempDir(), cache: b.t.TempDir()}
	m.start(options...)
	b.t.Cleanup(func() {
		if m.cmd != nil {
			end(b.t, m.cmd)
		}
	})
	return m
}

// start mounts, and waits until that can be used.
func (m *mount) start(options ...string) {
	t := m.b.t
	t.Helper()
	log, err := os.CreateTemp(m.cache, "log")
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	args := []string{"mount", "s3://main?endpoint=" + m.b.url, m.dir, "--cache", m.cache, "--foreground"}
	for _, o := range options {
		args = append(args, "-o", o)
	}
	m.cmd, m.log = m.b.command(args...), log
	m.cmd.Env = append(m.cmd.Env, "ETAGFS_READY_FD=3")
	m.cmd.ExtraFiles, m.cmd.Stderr = []*os.File{write}, log
	err = m.cmd.Start()
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			text, err := os.ReadFile(log.Name())
			t.Logf("%s: %s%v", m.dir, text, err)
		}
		log.Close()
	})
	if said, err := bufio.NewReader(read).ReadString('\n'); said != "ready\n" {
		text, _ := os.ReadFile(log.Name())
		t.Fatalf("mount: %s%v\n%s", said, err, text)
	}
}

// kill ends the daemon as a crash does.
func (m *mount) kill() {
	m.b.t.Helper()
	if err := m.cmd.Process.Kill(); err != nil {
		m.b.t.Fatal(err)
	}
	if err := m.cmd.Wait(); err == nil {
		m.b.t.Error("the daemon had ended by itself")
	}
	m.cmd = nil
}

func (m *mount) path(names ...string) string {
	return filepath.Join(append([]string{m.dir}, names...)...)
}
