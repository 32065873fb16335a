package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/etagfs/etagfs/objstore/blockhash"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// probeNotes are what a probe has found of a bucket, in a file of the user's.
type probeNotes struct {
	name string
	anew bool // the store is to be probed, whatever they say
}

// notesOf are the notes on a bucket, below the cache directory; nil if the user has none. What another build of this program has found is none of ours.
func (d daemon) notesOf(opt s3store.Options, anew bool) s3store.Notes {
	dir, err := d.cacheDir(opt)
	if err != nil {
		return nil
	}
	made := time.Time{}
	if path, err := os.Executable(); err == nil {
		if info, err := os.Stat(path); err == nil {
			made = info.ModTime()
		}
	}
	sum := blockhash.Of(fmt.Appendf(nil, "%v %d", readBuild(), made.UnixNano()))
	return probeNotes{filepath.Join(dir, fmt.Sprintf("%s%x", notesPrefix, sum[:8])), anew}
}

const notesPrefix = "probed-"

// Read implements [s3store.Notes].
func (n probeNotes) Read() ([]byte, error) {
	if n.anew {
		return nil, nil
	}
	text, err := os.ReadFile(n.name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// Write implements [s3store.Notes]. Of two that write at once one stays, whole. What other builds wrote goes.
func (n probeNotes) Write(text []byte) error {
	old, err := filepath.Glob(filepath.Join(filepath.Dir(n.name), notesPrefix+"*"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	f, err := os.CreateTemp(filepath.Dir(n.name), notesPrefix)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), n.name)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// Remove implements [s3store.Notes].
func (n probeNotes) Remove() error {
	if err := os.Remove(n.name); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
