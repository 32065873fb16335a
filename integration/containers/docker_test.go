package containers

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// docker is a network of containers.
type docker struct {
	t    *testing.T
	name string // of the network, and what names of containers begin with
}

func newDocker(t *testing.T) *docker {
	t.Helper()
	d := &docker{t, newDockerName(t)}
	must(t, exec.Command("docker", "network", "create", "--label", label, d.name))
	return d
}

// newDockerName is one that nothing else of this machine has.
func newDockerName(t *testing.T) string {
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "").Replace(t.Name()))
	return fmt.Sprintf("etagfs-test-%d-%s", os.Getpid(), name)
}

// label marks what is of a test.
const label = "etagfs.test"

// must runs a command of the machine, which must succeed, and returns what it prints.
func must(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(cmd.Args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (d *docker) host(t *testing.T, s spec) body {
	t.Helper()
	c := &container{t: t, name: d.name + "-" + s.name, network: d.name, alias: s.name}
	args := []string{"create", "--name", c.name, "--label", label, "--network", d.name, "--network-alias", s.name}
	if s.fuse {
		args = append(args, "--device", "/dev/fuse", "--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined")
	}
	for name, p := range s.places {
		switch {
		case p.bytes > 0:
			args = append(args, "--tmpfs", fmt.Sprintf("%s:size=%d,mode=755", c.path(name), p.bytes))
		case p.dir != "" && s.outside:
			args = append(args, "-v", p.dir+":"+c.path(name)+":rshared")
		case p.dir != "":
			args = append(args, "-v", p.dir+":"+c.path(name))
		case name != "mnt": // that is in the image
			args = append(args, "-v", c.path(name))
		}
	}
	for _, e := range s.environment(c.path) {
		args = append(args, "-e", e)
	}
	if s.binary != "" {
		args = append(args, "-v", s.binary+":/etagfs:ro")
	}
	image := os.Getenv(imageVariable)
	if len(s.args) == 0 {
		args = append(args, "-e", "MOUNTTEST_ROLE=idle", "--entrypoint", "/containers.test", "-i", image)
	} else {
		args = append(append(args, image), expand(s.args, c.path, s.places)...)
	}
	must(t, exec.Command("docker", args...))
	return c
}

func (d *docker) address(_, to *host, port int) string { return fmt.Sprintf("%s:%d", to.name, port) }
func (d *docker) listen(_ string, port int) string     { return fmt.Sprintf(":%d", port) }
func (d *docker) lacks(string) string                  { return "" }

func (d *docker) remove() {
	if out, err := exec.Command("docker", "network", "rm", d.name).CombinedOutput(); err != nil {
		d.t.Errorf("network %s: %v: %s", d.name, err, out)
	}
}

// container is a host.
type container struct {
	t                    *testing.T
	name, network, alias string
}

func (c *container) do(args ...string) {
	c.t.Helper()
	must(c.t, exec.Command("docker", args...))
}

func (c *container) begin()  { c.do("start", c.name) }
func (c *container) pause()  { c.do("pause", c.name) }
func (c *container) resume() { c.do("unpause", c.name) }
func (c *container) cut()    { c.do("network", "disconnect", c.network, c.name) }
func (c *container) heal()   { c.do("network", "connect", "--alias", c.alias, c.network, c.name) }

func (c *container) alive() bool {
	out, err := exec.Command("docker", "inspect", "-f", "{{.State.Running}}", c.name).Output()
	return err == nil && strings.TrimSpace(string(out)) == "true"
}

// kill does not fail: the end of a test kills whatever is left.
func (c *container) kill() { exec.Command("docker", "kill", c.name).Run() }

func (c *container) end() error {
	c.do("stop", "-t", fmt.Sprint(endTime.Seconds()), c.name)
	return c.outcome()
}

func (c *container) outcome() error {
	if code := must(c.t, exec.Command("docker", "inspect", "-f", "{{.State.ExitCode}}", c.name)); code != "0" {
		return fmt.Errorf("%s ended with exit code %s", c.name, code)
	}
	return nil
}

func (c *container) program(name string, env []string, args ...string) *exec.Cmd {
	line := []string{"exec", "-i"}
	for _, e := range env {
		line = append(line, "-e", e)
	}
	file := "/etagfs"
	if name == "test" {
		file = "/containers.test"
	}
	return exec.Command("docker", append(append(line, c.name, file), args...)...)
}

func (c *container) path(place string) string { return "/" + place }

func (c *container) log() string {
	out, err := exec.Command("docker", "logs", c.name).CombinedOutput()
	if err != nil {
		return err.Error()
	}
	return string(out)
}

func (c *container) remove() {
	if out, err := exec.Command("docker", "rm", "-f", "-v", c.name).CombinedOutput(); err != nil {
		c.t.Errorf("remove %s: %v: %s", c.name, err, out)
	}
}

// buildImages makes the image that users make, and one more with this test's program. It returns their names.
func buildImages() (image, users string, err error) {
	dir, err := os.MkdirTemp("", "etagfs-image")
	if err != nil {
		return "", "", err
	}
	defer os.RemoveAll(dir)
	test, err := os.Executable()
	if err != nil {
		return "", "", err
	}
	users = fmt.Sprintf("etagfs-test-%d:users", os.Getpid())
	image = fmt.Sprintf("etagfs-test-%d:test", os.Getpid())
	for _, step := range []struct{ from, to string }{
		{os.Getenv("ETAGFS_BIN"), "etagfs"}, {test, "containers.test"}, {filepath.Join("example", "Dockerfile"), "Dockerfile"},
	} {
		if err := copyFile(step.from, filepath.Join(dir, step.to)); err != nil {
			return "", "", err
		}
	}
	more := "FROM " + users + "\nCOPY containers.test /containers.test\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile.test"), []byte(more), 0o644); err != nil {
		return "", "", err
	}
	return image, users, errors.Join(build(dir, "Dockerfile", users), build(dir, "Dockerfile.test", image))
}

func build(dir, file, image string) error {
	cmd := exec.Command("docker", "build", "-q", "--label", label, "-t", image, "-f", filepath.Join(dir, file), dir)
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0") // its frontends may have to be pulled
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("docker build: %w: %s", err, out)
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
