package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// engine is a store that takes conditional puts.
type engine interface {
	// put makes value the content of key if the key's version is still the given
	// one, or if there is no such key and version is empty. The next is the version it made.
	put(ctx context.Context, key string, value []byte, version string) (next string, err error)
	close() error
}

// keysPerWriter is how many keys a writer goes round.
const keysPerWriter = 200

func rowPuts(durable bool, writers int) string {
	kind := "visible"
	if durable {
		kind = "durable"
	}
	if writers == 1 {
		return kind + " puts, 1 writer"
	}
	return fmt.Sprintf("%s puts, %d writers", kind, writers)
}

func puts(durable bool) scenario {
	s := scenario{
		name:  "visible puts",
		about: "conditional puts of 4 KiB that survive a crash of the process, each writer on its own keys",
		begin: func(_ context.Context, s *site) (err error) {
			s.engine, err = s.subject.open(s.path("store"), durable)
			return err
		},
	}
	if durable {
		s.name, s.about = "durable puts", "conditional puts of 4 KiB that survive the loss of power, each writer on its own keys"
	}
	for _, writers := range []int{1, 8, 64} {
		s.steps = append(s.steps, step{
			row: row{rowPuts(durable, writers), unitPerSecond},
			run: func(ctx context.Context, s *site) (measurement, error) { return s.putFor(ctx, writers) },
		})
	}
	return s
}

// putFor counts puts for a while.
func (s *site) putFor(ctx context.Context, writers int) (measurement, error) {
	if err := s.settle(ctx); err != nil {
		return measurement{}, err
	}
	done := make([]int, writers)
	contents := make([]*content, writers)
	for writer := range contents {
		contents[writer] = newContent(s.rand, smallBytes)
	}
	start := time.Now()
	err := inParallel(writers, func(writer int) (err error) {
		prefix := fmt.Sprintf("%d/%d/", writers, writer)
		done[writer], err = s.putUntil(ctx, start.Add(s.sizes.putTime), prefix, contents[writer])
		return err
	})
	took := time.Since(start)
	if err != nil {
		return measurement{}, err
	}
	sum := 0
	for _, n := range done {
		sum += n
	}
	return measurement{value: float64(sum) / seconds(took)}, nil
}

func (s *site) putUntil(ctx context.Context, end time.Time, prefix string, c *content) (done int, err error) {
	versions := make([]string, keysPerWriter)
	for ; time.Now().Before(end) && ctx.Err() == nil; done++ {
		k := done % keysPerWriter
		versions[k], err = s.engine.put(ctx, prefix+strconv.Itoa(k), c.next(), versions[k])
		if err != nil {
			return done, fmt.Errorf("put: %w", err)
		}
	}
	return done, ctx.Err()
}
