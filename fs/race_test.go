package fs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// C3 and C9: 16 processes on two mounts increment one counter, trying again on ErrBusy.
func TestC3CounterLosesNoIncrement(t *testing.T) {
	const writers, increments = 16, 50
	w := newWorld(t)
	mounts := []*mounted{w.mount(Options{ConflictsPerFile: 1}), w.mount(Options{ConflictsPerFile: 1})}
	mounts[0].put("counter", "0")
	var wait sync.WaitGroup
	for i := range writers {
		wait.Go(func() {
			m, c := mounts[i%2], Caller{Thread: uint32(1000 + 100*i)}
			for range increments {
				for !m.increment(c) {
				}
			}
		})
	}
	wait.Wait()
	w.want("the counter", w.stored("counter"), strconv.Itoa(writers*increments))
}

// increment reports whether it came through.
func (m *mounted) increment(c Caller) bool {
	h, err := m.tryOpen(c, "counter", readWrite)
	if err != nil {
		m.t.Errorf("open: %v", err)
		return true
	}
	defer h.Release(m.ctx)
	n, err := strconv.Atoi(m.read(h))
	if err != nil {
		m.t.Errorf("the counter is torn: %v", err)
		return true
	}
	m.write(h, 0, strconv.Itoa(n+1))
	err = h.Flush(m.ctx, c)
	if err != nil && !errors.Is(err, ErrBusy) {
		m.t.Errorf("flush: %v", err)
	}
	return err == nil
}

// C1: readers see whole commits, never a mix, while writers rewrite, rename and unlink.
func TestC1ReadersSeeWholeCommits(t *testing.T) {
	const size = 100_000
	m := newMount(t)
	text := func(n int) string { return strings.Repeat(string(rune('a'+n%26)), size) }
	m.put("f", text(0))
	done := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				h, err := m.tryOpen(bob, "f", readOnly)
				if errors.Is(err, objstore.ErrNotFound) || errors.Is(err, ErrStale) {
					continue // between an unlink and the next create
				}
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				first, second := m.read(h), m.read(h)
				if len(first) != size || strings.Count(first, first[:1]) != size {
					t.Errorf("%d bytes, %d alike", len(first), strings.Count(first, first[:1]))
				}
				if first != second {
					t.Error("a pinned reader reads differently")
				}
				h.Release(m.ctx)
			}
		})
	}
	writers.Go(func() {
		for n := range 300 {
			switch n % 3 {
			case 0:
				h := m.open(alice, "f", truncate)
				for off := 0; off < size; off += size / 10 {
					m.write(h, int64(off), text(n)[:size/10])
				}
				m.close(h)
			case 1:
				h := m.create(alice, "tmp")
				m.write(h, 0, text(n))
				m.rename(alice, "tmp", "f")
				m.close(h)
			default:
				h := m.open(alice, "f", readWrite)
				m.write(h, 0, text(n))
				m.close(h)
			}
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
}

// C2: whoever follows a writer sees what that commits next, and nothing of what comes after.
func TestC2FollowerNeverSeesALaterTransaction(t *testing.T) {
	m := newMount(t)
	for i := range 500 {
		name := fmt.Sprint("f", i)
		h := m.create(alice, name)
		m.write(h, 0, "first")
		var wait sync.WaitGroup
		for range 2 {
			wait.Go(func() {
				reader, err := m.tryOpen(bob, name, readOnly)
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				defer reader.Release(m.ctx)
				for range 5 {
					if text := m.read(reader); text != "first" {
						t.Errorf("the reader sees %q", text)
					}
					runtime.Gosched()
				}
			})
		}
		m.flush(h)
		m.flush(h)
		wait.Go(func() { m.write(h, 0, "later") })
		wait.Wait()
		m.close(h)
	}
}

// C6: of any number of racers on any number of mounts one makes the name.
func TestC6OneRacerMakesTheName(t *testing.T) {
	w := newWorld(t)
	mounts := []*mounted{w.mount(Options{}), w.mount(Options{})}
	mounts[0].put("source", "text")
	source, _ := mounts[0].walk(alice, "source")
	make := []func(m *mounted, name string) error{
		func(m *mounted, name string) error {
			h, _, err := m.Create(w.ctx, alice, m.Root(), name, OpenMode{Write: true, Exclusive: true}, 0o644)
			if err == nil {
				h.Release(w.ctx)
			}
			return err
		},
		func(m *mounted, name string) error {
			_, err := m.Mkdir(w.ctx, alice, m.Root(), name, 0o755)
			return err
		},
		func(m *mounted, name string) error {
			_, err := m.Symlink(w.ctx, alice, m.Root(), name, "target")
			return err
		},
		func(m *mounted, name string) error {
			_, err := m.Link(w.ctx, alice, source.View, m.Root(), name)
			return err
		},
	}
	for round := range 50 {
		name := fmt.Sprint("name", round)
		var wait sync.WaitGroup
		var mu sync.Mutex
		made := 0
		for i := range 16 {
			wait.Go(func() {
				err := make[i/2%len(make)](mounts[i%2], name)
				if err != nil && !errors.Is(err, ErrExists) {
					t.Errorf("racer %d: %v", i, err)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					made++
				}
			})
		}
		wait.Wait()
		if made != 1 {
			t.Fatalf("%d racers made %s", made, name)
		}
	}
}

// Everything at once on few names: nothing hangs, nothing is left behind, and every flush says
// ok or ErrBusy.
func TestOperationsRace(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := newWorld(t)
	mounts := []*mounted{w.mount(Options{ConflictsPerFile: 1}), w.mount(Options{ConflictsPerFile: 1})}
	var wait sync.WaitGroup
	for i := range 8 {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		m, c := mounts[i%2], Caller{Thread: uint32(1000 + 100*(i/2))}
		wait.Go(func() {
			for range 400 {
				m.randomOperation(random, c)
			}
		})
	}
	wait.Wait()
	for _, m := range mounts {
		checkInvariants(t, m.FS)
		m.mu.Lock()
		if len(m.files) != 0 || len(m.writers) != 0 || len(m.creations) != 0 {
			t.Errorf("left behind: %d files, %d writers, %d pending creates", len(m.files), len(m.writers), len(m.creations))
		}
		m.mu.Unlock()
	}
}

func (m *mounted) randomOperation(random *rand.Rand, c Caller) {
	names := []string{"a", "b", "c"}
	name, other := names[random.IntN(3)], names[random.IntN(3)]
	var err error
	switch random.IntN(9) {
	case 0:
		err = m.Unlink(m.ctx, c, m.Root(), name)
	case 1:
		err = m.Rename(m.ctx, c, m.Root(), name, m.Root(), other, objstore.RenameMode(random.IntN(3)))
	case 2:
		if entry, e := m.Lookup(m.ctx, c, m.Root(), name); e == nil {
			_, err = m.Link(m.ctx, c, entry.View, m.Root(), other)
		}
	case 3:
		if entry, e := m.Lookup(m.ctx, c, m.Root(), name); e == nil {
			size := int64(random.IntN(100))
			_, err = m.SetAttr(m.ctx, c, entry.View, nil, Change{Size: &size, Mode: new(uint32)})
		}
	case 4:
		m.list(c, "")
	case 5:
		if h, e := m.tryOpen(c, name, readOnly); e == nil {
			m.read(h)
			h.Release(m.ctx)
		}
	default:
		m.randomWriter(random, c, name, other)
	}
	m.tolerate(err)
}

func (m *mounted) randomWriter(random *rand.Rand, c Caller, name, other string) {
	mode := OpenMode{Read: true, Write: true, Truncate: random.IntN(2) == 0, Append: random.IntN(3) == 0}
	h, _, err := m.Create(m.ctx, c, m.Root(), name, OpenMode{Write: true, Exclusive: random.IntN(2) == 0}, 0o644)
	if err != nil {
		h, err = m.tryOpen(c, name, mode)
	}
	if err != nil {
		m.tolerate(err)
		return
	}
	for range random.IntN(3) {
		m.write(h, int64(random.IntN(50)), "bytes")
	}
	switch random.IntN(4) {
	case 0:
		m.tolerate(m.Rename(m.ctx, c, m.Root(), name, m.Root(), other, objstore.RenameReplace))
	case 1:
		m.tolerate(m.Unlink(m.ctx, c, m.Root(), name))
	}
	m.write(h, 5, "more")
	if err := h.Flush(m.ctx, c); err != nil && !errors.Is(err, ErrBusy) {
		m.t.Errorf("flush: %v", err)
	}
	h.Release(m.ctx)
}

// tolerate accepts what a race may answer.
func (m *mounted) tolerate(err error) {
	for _, kind := range []error{nil, ErrBusy, ErrStale, ErrExists, objstore.ErrNotFound} {
		if errors.Is(err, kind) {
			return
		}
	}
	m.t.Errorf("unexpected: %v", err)
}

// goroutinesLeft is how many goroutines there are, once those that have done their work had time to end: at most so many, if
// that is all.
func goroutinesLeft(most int) (now int) {
	const patience = 30 * time.Second // for one that is about to end on a machine that stands still
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if now = runtime.NumGoroutine(); now <= most {
			break
		}
		runtime.Gosched()
	}
	return now
}

// The work of a mount ends with it.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	w := newWorld(t)
	before := runtime.NumGoroutine()
	fs, err := New(w.ctx, Config{Namespace: w.store})
	if err != nil {
		t.Fatal(err)
	}
	h, _, err := fs.Create(w.ctx, alice, fs.Root(), "f", readWrite, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.WriteAt(w.ctx, []byte("text"), 0, WriteMode{}); err != nil {
		t.Fatal(err)
	}
	if err := h.Flush(w.ctx, alice); err != nil {
		t.Fatal(err)
	}
	if err := fs.Close(w.ctx); err != nil {
		t.Fatal(err)
	}
	if err := fs.Close(w.ctx); err != nil {
		t.Errorf("second close: %v", err)
	}
	h.Release(w.ctx)
	if after := goroutinesLeft(before); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
	w.want("the file", w.stored("f"), "text")
}
