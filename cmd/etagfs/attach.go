package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
	"github.com/etagfs/etagfs/objstore/remote"
)

// attachPatience is how long an owner that has the store's lock may take to listen: it may just have begun.
const attachPatience = 2 * time.Second

// attachInterval is how often that is tried meanwhile.
const attachInterval = 20 * time.Millisecond

// ownerPatience is how long one that listens, and is not stopped, may take to answer: the machine may have much else to do.
const ownerPatience = 10 * time.Second

// attachedPrefix begins what the mount table says of a mount through another process.
const attachedPrefix = "attached:"

// isServer reports whether a store may be a bucket of a server of this program: so may any at an address, but no
// prefix of one.
func isServer(store string) bool {
	_, err := remote.ParseURL(store)
	return err == nil
}

// openServer opens a bucket of a server of this program; ErrUnsupported if the server is another.
func openServer(ctx context.Context, url string, logger *slog.Logger) (*remote.Store, error) {
	options, err := remote.ParseURL(url)
	if err != nil {
		return nil, err
	}
	credentials, err := remote.CredentialsOfEnvironment(os.Getenv)
	if err != nil {
		return nil, usageErrorf("%v", err)
	}
	return remote.Open(ctx, options, remote.Parts{Credentials: credentials, Logger: logger})
}

// shared is a store that others use as well, to be mounted. Its mount has a log of its own; what is staged and kept is
// in a directory of all mounts of the bucket of the store at place.
func (d daemon) shared(ctx context.Context, store *remote.Store, source, place, bucket, point string, logger *slog.Logger) (*openStore, error) {
	dir, err := d.localDir(bucket, source, bucket, point)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	staging, err := d.localDir(bucket, place, bucket)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	both, err := openShared(ctx, store, staging, logger)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	kind := "server"
	if strings.HasPrefix(source, attachedPrefix) {
		kind = "attached"
	}
	return &openStore{
		engine: both, dir: dir, source: source, kind: kind, namespace: keptHere{store, both.area, logger}, locks: store.Locks(), shared: store,
	}, nil
}

// dialer connects to the owner of a store.
type dialer func(context.Context) (net.Conn, error)

// dialing is the plain one.
func dialing(dir string) dialer {
	return func(ctx context.Context) (net.Conn, error) { return dialBeside(ctx, dir) }
}

// attach opens a bucket of a store through the process that owns it. An owner that cannot be reached is inUse,
// which is the refusal of the store itself. dial connects to it from then on.
func attach(ctx context.Context, bucket string, inUse error, dial dialer, logger *slog.Logger) (*remote.Store, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, inUse
	}
	owner, unknown := peerOf(conn)
	if err := conn.Close(); err != nil {
		return nil, err
	}
	if unknown == nil && mount.Stopped(int(owner.Pid)) {
		return nil, inUse
	}
	patience, cancel := context.WithTimeout(ctx, ownerPatience)
	defer cancel()
	store, err := remote.Open(patience, remote.Options{Endpoint: "http://" + socketName, Bucket: bucket}, remote.Parts{Dial: dial, Logger: logger})
	if errors.Is(err, objstore.ErrUnavailable) {
		return nil, inUse // it is about to end
	}
	if errors.Is(err, objstore.ErrNotFound) {
		return nil, &objstore.Error{Op: "open bucket", Key: bucket, Kind: objstore.ErrNotFound} // as if it were opened here
	}
	return store, err
}

// ownOrAttach opens the store in dir, or attaches to who has it open. open is tried again while the owner has the
// store and does not listen, for it may be about to begin or to end, or is about to end for certain.
func ownOrAttach(ctx context.Context, dir, bucket string, dial dialer, logger *slog.Logger, open func() (*badgerstore.Engine, error)) (*badgerstore.Engine, *remote.Store, error) {
	patience := time.NewTimer(attachPatience)
	defer patience.Stop()
	for over := false; ; {
		engine, err := open()
		if !errors.Is(err, objstore.ErrInUse) {
			return engine, nil, err
		}
		if over || !unmounted(dir) {
			store, err := attach(ctx, bucket, err, dial, logger)
			if over || !errors.Is(err, objstore.ErrInUse) {
				return nil, store, err
			}
		}
		select {
		case <-patience.C:
			over = true
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(attachInterval):
		}
	}
}

// unmounted reports whether the store in dir belongs to a mount that nobody can use any more: it gives the store up as soon as
// what was written is committed.
func unmounted(dir string) bool {
	owner, err := badgerstore.LastOwner(dir)
	if err != nil || owner.MountPoint == "" || !isHere(owner) {
		return false
	}
	there, err := mount.IsPointOf(owner.PID, owner.MountPoint)
	return err == nil && !there
}
