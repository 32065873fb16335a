package containers

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// local is hosts of this machine.
type local struct {
	t    *testing.T
	base string // of the directories of hosts
	// hub is a process in the network namespace that connects those of the hosts; nil: hosts are plain processes.
	hub   *exec.Cmd
	hosts int
	ports map[string]int // of plain processes, by host and port
}

// newLocal makes namespaces, if this user may, or else plain processes.
func newLocal(t *testing.T, base string) *local {
	t.Helper()
	l := &local{t: t, base: base, ports: make(map[string]int)}
	if os.Geteuid() != 0 || os.Getenv(formVariable) == "plain" {
		return l
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Logf("hosts are plain processes: %v", err)
		return l
	}
	hub, err := holdNamespaces(t)
	if err != nil {
		t.Logf("hosts are plain processes: %v", err)
		return l
	}
	l.hub = hub
	for _, line := range []string{"link add hub type bridge", "link set hub up"} {
		if out, err := ip(hub, line).CombinedOutput(); err != nil {
			t.Logf("hosts are plain processes: ip %s: %v: %s", line, err, out)
			l.remove()
			l.hub = nil
			return l
		}
	}
	return l
}

// holdNamespaces starts a process that has network and mounts of its own, and does nothing.
func holdNamespaces(t *testing.T) (*exec.Cmd, error) {
	t.Helper()
	cmd := mounttest.Apart(t, "", "sh", "-c", "echo ready; exec cat")
	cmd.SysProcAttr.Unshareflags |= syscall.CLONE_NEWNET
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if _, err := cmd.StdinPipe(); err != nil { // which ends when this process does
		return nil, err
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if line, err := bufio.NewReader(said).ReadString('\n'); line != "ready\n" {
		end(cmd)
		return nil, fmt.Errorf("the holder of namespaces says %q: %w", line, err)
	}
	return cmd, nil
}

// ip is a line of ip(8) in the network of a holder.
func ip(holder *exec.Cmd, line string) *exec.Cmd {
	args := []string{"--target", strconv.Itoa(holder.Process.Pid), "--net", "--", "ip"}
	return exec.Command("nsenter", append(args, strings.Fields(line)...)...)
}

func end(holder *exec.Cmd) {
	holder.Process.Kill() // an error means that it has ended
	holder.Wait()
}

func (l *local) remove() {
	if l.hub != nil {
		end(l.hub)
	}
}

func (l *local) lacks(what string) string {
	if l.hub == nil && (what == "network" || what == "small" || what == "pids") {
		return "hosts are plain processes of a user other than root"
	}
	return ""
}

func (l *local) address(_, to *host, port int) string {
	if l.hub == nil {
		return l.listen(to.name, port)
	}
	return fmt.Sprintf("10.0.0.%d:%d", to.body.(*process).number, port)
}

func (l *local) listen(h string, port int) string {
	if l.hub != nil {
		return fmt.Sprintf(":%d", port)
	}
	key := fmt.Sprint(h, port)
	if l.ports[key] == 0 {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			l.t.Fatal(err)
		}
		defer free.Close()
		l.ports[key] = free.Addr().(*net.TCPAddr).Port
	}
	return fmt.Sprintf("127.0.0.1:%d", l.ports[key])
}

func (l *local) host(t *testing.T, s spec) body {
	t.Helper()
	l.hosts++
	base := filepath.Join(l.base, s.name)
	p := &process{t: t, spec: s, site: l, number: l.hosts, dirs: make(map[string]string)}
	for name, place := range s.places {
		dir := place.dir
		if dir == "" {
			dir = filepath.Join(base, name)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		p.dirs[name] = dir
	}
	if l.hub != nil {
		p.isolate()
	}
	return p
}

// process is a host.
type process struct {
	t      *testing.T
	spec   spec
	site   *local
	number int
	dirs   map[string]string
	holder *exec.Cmd // of its namespaces, if it has any
	link   string    // its end of the network, in the hub

	main   *exec.Cmd
	exited chan struct{} // closed once main has ended

	mu     sync.Mutex
	beside []*exec.Cmd      // guarded by mu
	text   mounttest.Output // of the main programs
}

// isolate gives the host its namespaces and its end of the network.
func (p *process) isolate() {
	p.t.Helper()
	var err error
	if p.holder, err = holdNamespaces(p.t); err != nil {
		p.t.Fatal(err)
	}
	p.link = fmt.Sprint("host", p.number)
	hub := p.site.hub
	for _, step := range []*exec.Cmd{
		ip(hub, fmt.Sprintf("link add %s type veth peer name eth0 netns %d", p.link, p.holder.Process.Pid)),
		ip(hub, fmt.Sprintf("link set %s master hub up", p.link)),
		ip(p.holder, fmt.Sprintf("addr add 10.0.0.%d/24 dev eth0", p.number)),
		ip(p.holder, "link set eth0 up"),
		ip(p.holder, "link set lo up"),
	} {
		must(p.t, step)
	}
	for name, place := range p.spec.places {
		if place.bytes > 0 {
			must(p.t, p.enter("mount", "-t", "tmpfs", "-o", fmt.Sprint("size=", place.bytes), "tmpfs", p.dirs[name]))
		}
	}
}

// enter is a command in the namespaces of the host.
func (p *process) enter(program string, args ...string) *exec.Cmd {
	if p.holder == nil {
		return exec.Command(program, args...)
	}
	into := []string{"--target", strconv.Itoa(p.holder.Process.Pid), "--net"}
	if !p.spec.outside {
		into = append(into, "--mount")
	}
	return exec.Command("nsenter", append(append(into, "--", program), args...)...)
}

func (p *process) program(name string, env []string, args ...string) *exec.Cmd {
	file := os.Getenv("ETAGFS_BIN")
	if p.spec.binary != "" {
		file = p.spec.binary
	}
	if name == "test" {
		var err error
		if file, err = os.Executable(); err != nil {
			p.t.Fatal(err)
		}
	}
	cmd := p.enter(file, args...)
	cmd.Env = append(append(os.Environ(), p.spec.environment(p.path)...), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.spec.apart {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.beside = append(p.beside, cmd)
	return cmd
}

func (p *process) begin() {
	p.t.Helper()
	if len(p.spec.args) == 0 {
		return
	}
	p.main = p.program("etagfs", nil, expand(p.spec.args, p.path, p.spec.places)...)
	p.main.Stdout, p.main.Stderr = &p.text, &p.text
	p.main.SysProcAttr.Setpgid = true
	if err := p.main.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.exited = make(chan struct{})
	go func(main *exec.Cmd, exited chan<- struct{}) {
		main.Wait() // how it ended is in main.ProcessState
		close(exited)
	}(p.main, p.exited)
}

func (p *process) alive() bool {
	if p.main == nil {
		return true
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (p *process) end() error {
	if p.main == nil {
		return nil
	}
	if err := p.main.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("%s had ended: %w", p.spec.name, err)
	}
	select {
	case <-p.exited:
	case <-time.After(endTime):
		return fmt.Errorf("%s did not end within %v", p.spec.name, endTime)
	}
	return p.outcome()
}

func (p *process) outcome() error {
	if code := p.main.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s ended with exit code %d", p.spec.name, code)
	}
	return nil
}

// kill ends the main program and all beside it.
func (p *process) kill() {
	p.each(func(c *exec.Cmd) { c.Process.Kill() })
	if p.main != nil {
		<-p.exited
	}
	if p.holder == nil && p.spec.fuse {
		exec.Command("fusermount3", "-u", "-z", p.dirs["mnt"]).Run() // an error means that nothing is mounted
	}
}

// each does something to every program that has not ended.
func (p *process) each(do func(*exec.Cmd)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.beside {
		if c.Process != nil && c.ProcessState == nil {
			do(c)
		}
	}
}

func (p *process) pause()  { p.each(func(c *exec.Cmd) { c.Process.Signal(unix.SIGSTOP) }) }
func (p *process) resume() { p.each(func(c *exec.Cmd) { c.Process.Signal(unix.SIGCONT) }) }

func (p *process) cut()  { must(p.t, ip(p.site.hub, "link set "+p.link+" down")) }
func (p *process) heal() { must(p.t, ip(p.site.hub, "link set "+p.link+" up")) }

func (p *process) path(place string) string { return p.dirs[place] }
func (p *process) log() string              { return p.text.String() }

// remove expects a clean end of what was not killed.
func (p *process) remove() {
	if p.main != nil && p.alive() {
		if err := p.end(); err != nil {
			p.t.Error(err)
		}
	}
	p.kill()
	if p.holder != nil {
		end(p.holder)
	}
}
