package main

import (
	"context"
	"errors"
	"time"

	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// endingPatience is how long a killed process may take to let go of its store.
const endingPatience = 10 * time.Second

// daemonFate tells what has become of the daemon that mounted store at point. The store's lock tells: if
// it names that mount it is held by the daemon, or by what is left of one that was killed, or free.
func daemonFate(store, point string) mount.Fate {
	owner, held, err := badgerstore.Owner(store)
	switch {
	case err != nil || owner.MountPoint != point:
		return mount.FateUnknown
	case held && !ending(owner):
		return mount.FateAlive
	}
	return mount.FateGone
}

// ending reports whether an owner was killed and has yet to end.
func ending(owner badgerstore.LockOwner) bool {
	return isHere(owner) && mount.Ending(owner.PID)
}

// awaitEnding waits a while for a killed owner of a store to let go of it.
func awaitEnding(ctx context.Context, store string) error {
	owner, held, err := badgerstore.Owner(store)
	if err != nil || !held || !ending(owner) {
		return nil // opening the store says more
	}
	patience, cancel := context.WithTimeout(ctx, endingPatience)
	defer cancel()
	err = badgerstore.Released(patience, store, func(badgerstore.LockOwner) {})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // opening the store names the owner
	}
	return err
}
