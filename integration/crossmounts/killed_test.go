package crossmounts

import (
	"math/rand/v2"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// C1, C3, C4, C8, C9, C10: the process that serves the store is killed again and again while processes on all mounts write, and
// replies and requests are lost meanwhile. Every change has an answer, and a true one: nothing acknowledged is lost, nothing
// is done twice or torn, what was refused is kept and was never there.
func TestServersAreKilledUnderWriters(t *testing.T) {
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 1))
	mounttest.Need(t, "fuse", "binary")
	g := startHTTP(t, 3, faults{seed: seed, replies: 40, requests: 80, apart: 20})
	writers := mounttest.StartReplacers(t, g.mounts)
	g.cut.begin()
	for range rounds(2, 30) {
		writers.Await(1+random.IntN(20), func(int) bool { return true })
		g.keeper.kill()
		g.keeper.restart()
		writers.Forget()
		for i := range g.mounts {
			writers.Await(2, func(mount int) bool { return mount == i })
		}
	}
	t.Logf("%d connections were cut", g.cut.end())
	writers.Finish()
}
