package crossmounts

import (
	"os/exec"
	"strconv"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// C3: of 8 processes on each of 4 mounts no increment is lost, whatever kind of mount it was made on.
func TestCounterOfEightProcessesOnFourMounts(t *testing.T) {
	const mounts, processes = 4, 8
	forEachKind(t, mounts, faults{}, func(t *testing.T, g *group) {
		each := rounds(g.fewer(5), 50)
		put(t, g.mounts[0].Path("counter"), "0")
		var all []*exec.Cmd
		for i := range mounts * processes {
			all = append(all, mounttest.Command(t, "increment", g.mounts[i%mounts].Path("counter"), strconv.Itoa(each)))
		}
		run(t, all...)
		for _, m := range g.mounts {
			check(t, m.Path("counter"), strconv.Itoa(mounts*processes*each))
		}
	})
}
