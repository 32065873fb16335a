package main

import (
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/etagfs/etagfs/cmd/etagfs/internal/quiet"
)

// giveBackWhenIdle returns memory to the system whenever the process comes to rest.
// While there is work some is spent to save time.
func (s *served) giveBackWhenIdle() (stop func()) {
	ticker := time.NewTicker(quiet.Interval)
	pace := newCollectorPace()
	look := func() time.Duration {
		pace.set()
		return processorTime()
	}
	w := quiet.Start(ticker.C, look, s.giveBack)
	return func() {
		ticker.Stop()
		w.Close()
	}
}

// giveBack collects twice: a buffer in a pool outlives one collection.
func (s *served) giveBack() {
	s.store.GiveBack()
	s.mount.GiveBack()
	runtime.GC()
	debug.FreeOSMemory()
}

// processorTime is what the process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // it cannot fail; if it did, the process would seem to rest
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
