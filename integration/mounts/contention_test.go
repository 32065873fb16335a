package mounts

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// run starts commands together and waits for all.
func run(t *testing.T, commands ...*exec.Cmd) {
	t.Helper()
	for _, c := range commands {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range commands {
		if err := c.Wait(); err != nil {
			t.Errorf("%s: %v", strings.Join(c.Args[1:], " "), err)
		}
	}
}

// times makes n commands in a role.
func times(t *testing.T, n int, role string, args ...string) []*exec.Cmd {
	commands := make([]*exec.Cmd, n)
	for i := range commands {
		commands[i] = mounttest.Command(t, role, args...)
	}
	return commands
}

// C1: whatever is read is one committed content. Neither ESTALE nor EIO reaches anybody.
func TestSixtyFourWritersAndEightReadersOfOneFile(t *testing.T) {
	m := mounttest.Start(t, mounttest.Options{})
	path := m.Path("f")
	if err := os.WriteFile(path, numbered(0, 0), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, append(times(t, 64, "write", path, strconv.Itoa(rounds(30, 30))), times(t, 8, "read", path, strconv.Itoa(rounds(200, 200)))...)...)
}

// C3: no increment is lost.
func TestSixteenProcessesCountTo3200(t *testing.T) {
	shortIsParallel(t)
	m := mounttest.Start(t, mounttest.Options{})
	path := m.Path("counter")
	if err := os.WriteFile(path, []byte("0"), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, times(t, 16, "increment", path, "200")...)
	if got, err := os.ReadFile(path); err != nil || string(got) != "3200" {
		t.Errorf("counted to %q (%v)", got, err)
	}
}
