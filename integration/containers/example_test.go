package containers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// composition is what docker-compose has made of the example.
type composition struct {
	t    *testing.T
	name string
}

// compose is a command of docker-compose.
func (c composition) compose(args ...string) *exec.Cmd {
	file := filepath.Join("example", "compose.yaml")
	cmd := exec.Command("docker-compose", append([]string{"-p", c.name, "-f", file}, args...)...)
	cmd.Env = append(os.Environ(), "ETAGFS_IMAGE="+os.Getenv(imageVariable), "ETAGFS_SECRET_KEY="+secretKey)
	return cmd
}

// The compose file comes up as it is: all services become healthy, what the S3 client put is in every mount, and all goes down again.
func TestComposeFileRunsAsItIs(t *testing.T) {
	needDocker(t)
	mounttest.Need(t, "docker-compose")
	c := composition{t, fmt.Sprintf("etagfstest%d", os.Getpid())}
	t.Cleanup(func() {
		must(t, c.compose("down", "-v", "-t", "30"))
	})
	must(t, c.compose("up", "-d"))
	for _, service := range []string{"one", "two", "three"} {
		c.awaitHealthy(service)
	}
	if code := must(t, exec.Command("docker", "wait", c.name+"_client_1")); code != "0" {
		t.Errorf("the client ended with %s: %s", code, must(t, c.compose("logs", "client")))
	}
	for _, service := range []string{"one", "two", "three"} {
		w := c.hands(service)
		size := w.do(order{Call: "size", Path: "/mnt/from-the-client"})
		if want := w.do(order{Call: "size", Path: "/etagfs"}); size != want {
			t.Errorf("%s sees %s bytes of the %s that the client put", service, size, want)
		}
		w.put("/mnt/"+service, service)
	}
	if got := c.hands("one").do(order{Call: "list", Path: "/mnt"}); got != "from-the-client one three two" {
		t.Errorf("one sees %q", got)
	}
}

// hands are some in the container of a service.
func (c composition) hands(service string) *worker {
	c.t.Helper()
	name := fmt.Sprintf("%s_%s_1", c.name, service)
	return handsOf(c.t, exec.Command("docker", "exec", "-i", "-e", roleVariable+"=hands", name, "/containers.test"))
}

func (c composition) awaitHealthy(service string) {
	c.t.Helper()
	late := time.NewTimer(readyTime)
	defer late.Stop()
	for {
		state := must(c.t, exec.Command("docker", "inspect", "-f", "{{.State.Health.Status}}", fmt.Sprintf("%s_%s_1", c.name, service)))
		if state == "healthy" {
			return
		}
		select {
		case <-time.After(readyInterval):
		case <-late.C:
			c.t.Fatalf("%s is %s after %v: %s", service, state, readyTime, must(c.t, c.compose("logs", service)))
		}
	}
}

// needDocker skips what is about containers only.
func needDocker(t *testing.T) {
	t.Helper()
	if !inDocker() {
		t.Skip("needs docker: run make integration")
	}
}
