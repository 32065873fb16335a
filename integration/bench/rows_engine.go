package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/etagfs/etagfs/integration/internal/measure"
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

// load is how many writers share how many puts. All engines do the same puts, so
// that a fast one does not meet more of its own background work.
type load struct{ writers, puts int }

func loads() []load { return []load{{1, 2000}, {8, 8000}, {64, 20_000}} }

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
		about: "conditional puts of 4 KiB that survive a crash of the process, each writer on its own keys, into a new store",
	}
	if durable {
		s.name, s.about = "durable puts", "conditional puts of 4 KiB that survive the loss of power, each writer on its own keys, into a new store"
	}
	for _, l := range loads() {
		s.steps = append(s.steps, step{
			row: row{rowPuts(durable, l.writers), measure.PerSecond},
			run: func(ctx context.Context, s *site) (measurement, error) { return s.put(ctx, durable, l) },
		})
	}
	return s
}

// put times a load on a new store.
func (s *site) put(ctx context.Context, durable bool, l load) (m measurement, err error) {
	store, err := s.subject.open(ctx, s.path(strconv.Itoa(l.writers)), durable)
	if err != nil {
		return measurement{}, err
	}
	defer func() { err = errors.Join(err, store.close()) }()
	share := max(l.puts/s.sizes.putsDivisor/l.writers, 1)
	contents := make([]*content, l.writers)
	for writer := range contents {
		contents[writer] = newContent(s.rand, smallBytes)
	}
	m, err = s.time(ctx, share*l.writers, func() error {
		return inParallel(l.writers, func(writer int) error {
			return putInTurn(ctx, store, share, strconv.Itoa(writer)+"/", contents[writer])
		})
	})
	m.value = 1 / m.value
	return m, err
}

// putInTurn makes keys and then replaces them, round and round.
func putInTurn(ctx context.Context, store engine, n int, prefix string, c *content) error {
	versions := make([]string, keysPerWriter)
	return each(ctx, n, func(i int) (err error) {
		k := i % keysPerWriter
		versions[k], err = store.put(ctx, prefix+strconv.Itoa(k), c.next(), versions[k])
		return err
	})
}
