package crash

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// needMounts skips a test that cannot mount.
func needMounts(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: to mount directly")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skipf("needs fuse: %v", err)
	}
}

// program is the built program to test.
func program(t *testing.T) string {
	t.Helper()
	needMounts(t)
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

// mountRun is a run whose worker works in a mount, served by a daemon that is crashed.
type mountRun struct {
	*run
	program string
	store   string
	dir     string
}

func newMountRun(t *testing.T, program, store string, o orders) *mountRun {
	t.Helper()
	m := &mountRun{program: program, store: store, dir: t.TempDir()}
	const control = "/sys/fs/fuse/connections" // of this namespace
	if err := unix.Mount("fusectl", control, "fusectl", 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
		t.Fatal(err)
	}
	o.Target, o.Dir = "mount", m.dir
	o.Mix.Keys, o.Mix.Increments = false, false
	m.run = newRun(os.Args[0], o)
	return m
}

// round mounts the store, lets a worker work there, and lets crash end the
// daemon. Before that the store is looked into without a mount: the store's own
// check needs it, and what a mount shows afterwards must be the same.
func (m *mountRun) round(at crashPoint, crash func(*daemon) error) error {
	if err := m.look(); err != nil {
		return err
	}
	d, err := startDaemon(m.program, m.store, m.dir)
	if err != nil {
		return err
	}
	err = m.run.round(at, func(*process) error { return crash(d) })
	return errors.Join(err, d.end())
}

// look checks the store without a mount.
func (m *mountRun) look() error {
	mounted := m.orders
	defer func() { m.orders = mounted }()
	m.orders.Target, m.orders.Dir = "embedded", m.store
	return m.finish()
}

// C1, C4, C8 on a mount: after kill -9 of the daemon under load every
// acknowledged close is there, whole; what was written and not closed is a kept copy;
// the mount shows what the store holds.
func TestKilledDaemonKeepsWhatItAcknowledged(t *testing.T) {
	m := newMountRun(t, program(t), filepath.Join(t.TempDir(), "store"), orders{Lanes: 4, Calls: -1, Seed: randomSeed(t), Mix: everyday()})
	rng := rand.New(rand.NewPCG(m.orders.Seed, 0))
	for round := range rounds(100) {
		m.orders.Seed = rng.Uint64()
		at, cancel := moment(rng, 400)
		err := m.round(at, func(d *daemon) error {
			err := d.kill()
			<-d.ended
			return err
		})
		cancel()
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	if err := m.look(); err != nil {
		t.Fatal(err)
	}
}
