package badgerstore

import (
	"context"
	"encoding/json"
	"errors"
	iofs "io/fs"
	"path/filepath"
	"time"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

const (
	releaseInterval = 10 * time.Millisecond // between looks at the lock
	releasePatience = time.Second           // before it is said what is waited for
	looksMax        = 100                   // times a lock is asked for that others share
)

// Owner says who has the store in dir open. If nobody has, held is false and owner is who had it
// last, as far as that is known. It shares the lock for a moment to find out, which keeps out neither others that
// look nor who opens the store. On a read-only file system nobody has, as far as this is about: who reads there keeps nobody out.
func Owner(dir string) (owner LockOwner, held bool, err error) {
	fs, name := disk.OS{}, filepath.Join(dir, lockName)
	if _, err := fs.Stat(name); errors.Is(err, iofs.ErrNotExist) {
		return LockOwner{}, false, nil
	} else if err != nil {
		return LockOwner{}, false, disk.Error("look at lock", err)
	}
	lock, err := fs.LockToRead(name)
	held = errors.Is(err, disk.ErrLocked)
	if err != nil && !held {
		return LockOwner{}, false, disk.Error("look at lock", err)
	}
	text, err := readFile(fs, name)
	if err != nil || json.Unmarshal(text, &owner) != nil {
		owner = LockOwner{Program: "another process"} // it is about to write its name
	}
	if held {
		return owner, true, nil
	}
	return owner, false, lock.Close()
}

// LastOwner says who has the store in dir open, or had it last.
func LastOwner(dir string) (owner LockOwner, err error) {
	text, err := readFile(disk.OS{}, filepath.Join(dir, lockName))
	if err == nil {
		err = json.Unmarshal(text, &owner)
	}
	return owner, err
}

// Released returns when who has the store in dir open has it no more: nobody has, or another. If that
// takes long, waiting is called once with who has.
func Released(ctx context.Context, dir string, waiting func(LockOwner)) error {
	ticks := time.NewTicker(releaseInterval)
	defer ticks.Stop()
	patience := time.NewTimer(releasePatience)
	defer patience.Stop()
	var first LockOwner
	for {
		owner, held, err := Owner(dir)
		if err != nil || !held {
			return err
		}
		if first.PID == 0 {
			first = owner
		}
		if owner.PID != 0 && (owner.PID != first.PID || !owner.Since.Equal(first.Since)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-patience.C:
			if ctx.Err() == nil { // both may have come while the machine stood still
				waiting(owner)
			}
		case <-ticks.C:
		}
	}
}
