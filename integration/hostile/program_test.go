package hostile

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
)

func TestMain(m *testing.M) { mounttest.Main(m, nil) }

// patience is how long a program may take that is neither fast nor slow.
const patience = time.Minute

// nobody is a user without rights.
const nobody = 65534

// program is a process of the built program that runs on.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	dir    string // where it runs, and its core files would be
	ended  chan struct{}
	reaped *os.ProcessState // once ended
}

// start runs a command in a directory of its own, with core files of any size allowed. What it says goes to files there.
func start(t *testing.T, user uint32, env []string, words ...string) *program {
	t.Helper()
	p := &program{t: t, dir: t.TempDir(), ended: make(chan struct{})}
	for parent := p.dir; len(parent) > len(os.TempDir()); parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(p.dir, int(user), int(user)); err != nil {
		t.Fatal(err)
	}
	if user != 0 { // where the program is, others may not look
		copied := filepath.Join(t.TempDir(), "etagfs")
		if out, err := exec.Command("cp", words[0], copied).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		words[0] = copied
	}
	p.cmd = exec.Command("sh", append([]string{"-c", `ulimit -c unlimited; exec "$@" >said 2>log`, "sh"}, words...)...)
	p.cmd.Dir = p.dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if user != 0 {
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: user, Gid: user}
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait() // how it ended is in cmd.ProcessState
		p.reaped = p.cmd.ProcessState
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.ended
	})
	return p
}

// text is what it wrote to a file.
func (p *program) text(name string) string {
	text, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// end sends a signal and waits for what comes of it.
func (p *program) end(s syscall.Signal) *os.ProcessState {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
	return p.await()
}

// await waits until it has ended.
func (p *program) await() *os.ProcessState {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("it does not end\n%s", p.text("log"))
	}
	return p.reaped
}

// server is etagfs serve.
type server struct {
	*program
	URL     string
	Metrics string
}

// serve starts one with --json among its flags, and waits until it listens.
func serve(t *testing.T, user uint32, env []string, words ...string) *server {
	t.Helper()
	s := &server{program: start(t, user, env, append([]string{mounttest.Binary(), "serve", "--json", "--listen=127.0.0.1:0"}, words...)...)}
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	for deadline := time.After(patience); ; {
		said, err := os.ReadFile(filepath.Join(s.dir, "said"))
		if err == nil && json.Unmarshal(said, s) == nil {
			return s
		}
		select {
		case <-ticks.C:
		case <-s.ended:
			t.Fatalf("the server ended: %s", s.text("log"))
		case <-deadline:
			t.Fatalf("the server says %q", said)
		}
	}
}
