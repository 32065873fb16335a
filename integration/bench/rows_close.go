package main

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

const (
	rowCloseQuiet  = "close, 99th percentile"
	rowCloseLoaded = "close, 99th percentile, beside 4 fsync loops"
)

const fsyncLoops = 4

// ownProcessors lets every goroutine of ours come back from a system call at once: what is
// timed is the filesystem, not the wait of this program for a processor.
func ownProcessors() (restore func()) {
	before := runtime.GOMAXPROCS(runtime.NumCPU() + 2*fsyncLoops)
	return func() { runtime.GOMAXPROCS(before) }
}

func closeLatency() scenario {
	return scenario{
		name:  "close",
		about: "close(2) alone, after create and write of 4 KiB; a loop appends 4 KiB to its own file and calls fsync",
		steps: []step{
			{row: row{name: rowCloseQuiet}, local: true, run: closeQuiet},
			{row: row{name: rowCloseLoaded}, local: true, run: closeLoaded},
		},
	}
}

func closeQuiet(ctx context.Context, s *site) (measurement, error) {
	if err := s.settle(ctx); err != nil {
		return measurement{}, err
	}
	return s.closePercentile(ctx, "quiet")
}

// closePercentile is the 99th percentile of the time close takes.
func (s *site) closePercentile(ctx context.Context, prefix string) (measurement, error) {
	defer ownProcessors()()
	c := newContent(s.rand, smallBytes)
	took := make([]time.Duration, s.sizes.closes)
	err := each(ctx, len(took), func(i int) error {
		f, err := openFile(s.path(prefix+strconv.Itoa(i)), unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC)
		if err != nil {
			return err
		}
		writeErr := f.write(c.next())
		start := time.Now()
		err = f.close()
		took[i] = time.Since(start)
		if writeErr != nil {
			return writeErr
		}
		return err
	})
	if err != nil {
		return measurement{}, err
	}
	return measurement{value: measure.Quantile(took, 0.99).Seconds()}, nil
}

func closeLoaded(ctx context.Context, s *site) (m measurement, err error) {
	if err := s.settle(ctx); err != nil {
		return measurement{}, err
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Add(fsyncLoops)
	contents := make([]*content, fsyncLoops)
	for loop := range contents {
		contents[loop] = newContent(s.rand, smallBytes)
	}
	loops := make(chan error, 1)
	go func() {
		loops <- inParallel(fsyncLoops, func(loop int) error {
			return s.fsyncLoop(s.path("loop"+strconv.Itoa(loop)), contents[loop], running.Done, stop)
		})
	}()
	running.Wait()
	m, err = s.closePercentile(ctx, "loaded")
	close(stop)
	if loopErr := <-loops; err == nil {
		err = loopErr
	}
	return m, err
}

// fsyncLoop appends and syncs until stop is closed. It calls running after the
// first time, or once it has failed.
func (s *site) fsyncLoop(path string, c *content, running func(), stop <-chan struct{}) error {
	var once sync.Once
	defer once.Do(running)
	return with(path, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND, func(f file) error {
		for {
			if err := f.write(c.next()); err != nil {
				return err
			}
			if err := f.sync(); err != nil {
				return err
			}
			once.Do(running)
			select {
			case <-stop:
				return nil
			default:
			}
		}
	})
}
