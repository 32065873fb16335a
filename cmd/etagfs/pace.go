package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// headroomBytes is the memory that may be spent on collecting garbage less often, and
	// percentMax the most that is spent in proportion to what is in use. A process at rest gives
	// it back; a quarter of the collections made a close beside four fsync loops 15 % quicker.
	headroomBytes = 48 << 20
	percentMax    = 400
	percentMin    = 100
)

// collectorPace sets how often garbage is collected, by how much memory is in use.
type collectorPace struct {
	fixed   bool // the user has set it
	percent int  // as it is set
}

func newCollectorPace() *collectorPace {
	p := &collectorPace{fixed: os.Getenv("GOGC") != "", percent: percentMin}
	p.set()
	return p
}

// set follows what is in use now.
func (p *collectorPace) set() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if want := percentFor(live[0].Value.Uint64()); want != p.percent && !p.fixed {
		p.percent = want
		debug.SetGCPercent(want) // it stops the world for a moment
	}
}

// percentFor is the growth of a heap of that many bytes before the next collection, in steps of 50 %.
func percentFor(liveBytes uint64) int {
	const step = 50
	percent := headroomBytes * 100 / max(liveBytes, 1)
	return int(min(max(percent/step*step, percentMin), percentMax))
}
