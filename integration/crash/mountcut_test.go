package crash

import (
	"errors"
	"fmt"
	"testing"
)

// mountPowerRun is a run in a mount whose store lies on an image, and whose crashes are power cuts.
type mountPowerRun struct {
	*mountRun
	power *powerRun
}

func newMountPowerRun(t *testing.T, kind, program string) *mountPowerRun {
	t.Helper()
	o := orders{Lanes: 4, Calls: -1, Seed: randomSeed(t), Mix: everyday()}
	power := newPowerRun(t, kind, "", o)
	m := &mountPowerRun{newMountRun(t, program, power.store(), o), power}
	m.loss = lossPower
	return m
}

// round lets a worker work in the mount until the crash point and cuts the power under the daemon.
func (m *mountPowerRun) round(at crashPoint) error {
	m.orders.Seed = m.power.rng.Uint64()
	m.store = m.power.store()
	var copied *image
	err := m.mountRun.round(at, func(d *daemon) (err error) {
		copied, err = m.power.cut(func() error { return stopProcess(d.cmd.Process.Pid) })
		return errors.Join(err, d.kill())
	})
	return m.power.goOn(copied, err)
}

// rounds makes so many rounds, each of up to callsMax calls, looks at what the last cut left, and
// returns the first error.
func (m *mountPowerRun) rounds(n, callsMax int) error {
	for round := range n {
		at, cancel := moment(m.power.rng, callsMax)
		err := m.round(at)
		cancel()
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	m.store = m.power.store()
	return m.look()
}

// C8 on a mount: after a power cut every fsync acknowledged through the mount holds; what else is there is a prefix
// of the closes in their order across files, renames and deletes; no file is torn; the store's own
// check finds nothing, and the mount shows what the store holds.
func TestPowerCutUnderAMountLeavesAPrefixWithEveryFsync(t *testing.T) {
	needMounts(t)
	program := buildMutantProgram(t, smallLogs())
	for kind, few := range map[string]int{"ext4": 5, "xfs": 5, "btrfs": 3} {
		t.Run(kind, func(t *testing.T) {
			m := newMountPowerRun(t, kind, program)
			if err := m.rounds(rounds(few), 800); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A daemon that commits at an fsync and does not wait for the disk is caught, or the test above would show nothing.
func TestPowerCutUnderAMountCatchesADaemonThatDoesNotSync(t *testing.T) {
	needMounts(t)
	program := buildMutantProgram(t, smallLogs(), mutation{
		"fs/handle.go", `"fsync", objstore.Durable, `, `"fsync", objstore.Visible, `})
	m := newMountPowerRun(t, "ext4", program)
	const roundsMax = 50
	err := m.rounds(roundsMax, 800)
	if err == nil {
		t.Fatalf("not caught in %d rounds", roundsMax)
	}
	t.Logf("caught: %v", err)
}
