package crash

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// C8, C10: a disk that fails at any moment while programs write, some of which sync what they write, (1) ends no mount: each of them gets EIO
// and what is in memory can be read; (2) nothing is missing that an fsync has acknowledged once the disk works.
func TestDiskThatFailsBesideWritersEndsNoMount(t *testing.T) {
	program := program(t)
	for _, kind := range []string{"ext4", "xfs"} {
		t.Run(kind, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(randomSeed(t), 0))
			for round := range rounds(3) {
				files := int64(50 + rng.IntN(1500))
				t.Run(strconv.Itoa(round), func(t *testing.T) { failBesideWriters(t, program, kind, files) })
			}
		})
	}
}

func failBesideWriters(t *testing.T, program, kind string, files int64) {
	root, repair := failingImage(t, kind)
	w := writers{dir: t.TempDir(), acknowledged: synced{}}
	store := filepath.Join(root, "store")
	err := daemonAt(program, store, w.dir, func(d *daemon) error { return w.run(d, root, files) })
	if err = errors.Join(err, repair()); err != nil {
		t.Fatal(err)
	}
	if err := checkStore(store, w.acknowledged); err != nil {
		t.Error(err)
	}
}

// writers write new files until that fails.
type writers struct {
	dir     string
	written atomic.Int64

	mu           sync.Mutex
	acknowledged synced // GUARDED_BY(mu): by fsync
	one          string // GUARDED_BY(mu): the name of a file that is there
}

// run lets the disk below root fail after so many files.
func (w *writers) run(d *daemon, root string, files int64) error {
	const lanes = 6
	enough := make(chan struct{})
	errs := make(chan error, lanes)
	for lane := range lanes {
		go func() { errs <- w.write(lane, files, enough) }()
	}
	var early error
	left := lanes
	select {
	case <-enough:
	case err := <-errs:
		left--
		early = errors.Join(errors.New("a writer ended before the disk failed"), err)
	}
	_, err := shutDown(d, root) // which ends the writers in any case
	err = errors.Join(early, err)
	for range left {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(w.dir, w.one)); err != nil {
		return fmt.Errorf("after %d files: %s: %w", files, w.one, err)
	}
	return nil
}

// write writes files until EIO, and closes enough with the file that makes so many. Every third lane syncs them.
func (w *writers) write(lane int, files int64, enough chan struct{}) error {
	for seq := 0; ; seq++ {
		o := op{Lane: lane, Seq: seq, Size: 4000}
		name := strconv.Itoa(lane) + "." + strconv.Itoa(seq)
		path, syncs := filepath.Join(w.dir, name), lane%3 == 0
		var err error
		if syncs {
			err = writeSynced(path, o.bytes())
		} else {
			err = os.WriteFile(path, o.bytes(), 0o666)
		}
		if errors.Is(err, unix.EIO) {
			return nil
		}
		if err != nil {
			return err
		}
		w.mu.Lock()
		if syncs {
			w.acknowledged[name] = o.bytes()
		}
		w.one = name
		w.mu.Unlock()
		if w.written.Add(1) == files {
			close(enough)
		}
	}
}
