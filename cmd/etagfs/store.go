package main

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// program is who a store's lock file says has it open.
const program = "etagfs"

const (
	bucketDefault = badgerstore.MainBucket
	otherBucket   = "leave --bucket out for " + bucketDefault + ", which every store has"
	mountedBucket = "leave -o bucket= out for " + bucketDefault + ", which every store has"
)

// noStore and noMountPoint say that a name a script forgot to fill in is not the working directory.
func noStore() error { return usageErrorf("the name of the store is empty; give a directory") }
func noMountPoint() error {
	return usageErrorf("the name of the mount point is empty; give a directory")
}

// storeDir is the directory behind a store's URL.
func storeDir(store string) (string, error) {
	scheme, _, isURL := strings.Cut(store, "://")
	switch {
	case store == "":
		return "", noStore()
	case !isURL:
		return store, nil
	case scheme != "file":
		return "", usageErrorf("%s: there is no store for %s://; give a directory, file:///directory, http://host:port/bucket or s3://bucket", store, scheme)
	}
	u, err := url.Parse(store)
	if err != nil || u.Host != "" || u.Path == "" {
		return "", usageErrorf("%s: not a file URL of this machine; write file:///directory", store)
	}
	return u.Path, nil
}

// apart refuses to mount a store where the mount would hide it, or in its own files.
func apart(store, point string) error {
	dir, err := filepath.Abs(store)
	if err != nil {
		return err
	}
	if parent, err := filepath.EvalSymlinks(filepath.Dir(dir)); err == nil {
		dir = filepath.Join(parent, filepath.Base(dir))
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	if inside(dir, point) || inside(point, dir) {
		return usageErrorf("the store %s and the mount point %s may not contain each other: choose directories beside each other", dir, point)
	}
	return nil
}

// inside reports whether path is dir or below it.
func inside(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// location says which objects a command works on.
type location struct {
	bucket string
	create bool
	reads  bool // nothing is changed
}

func (l *location) flags(c *cobra.Command) {
	c.Flags().StringVar(&l.bucket, "bucket", bucketDefault, "bucket of the store")
}

// with opens the store, calls f with the bucket, and closes the store.
func (l *location) with(ctx context.Context, store string, f func(bucket objstore.Store) error) (err error) {
	if isRemote(store) {
		return l.withRemote(ctx, store, f)
	}
	dir, err := storeDir(store)
	if err != nil {
		return err
	}
	engine, attached, err := ownOrAttach(ctx, dir, l.bucket, dialing(dir), slog.New(slog.DiscardHandler), func() (*badgerstore.Engine, error) {
		engine, err := badgerstore.Open(ctx, dir, storeOptions(badgerstore.Options{Create: l.create}), badgerstore.Parts{})
		if l.reads && objstore.KindOf(err) == objstore.ErrReadOnly {
			return badgerstore.Open(ctx, dir, storeOptions(badgerstore.Options{ReadOnly: true}), badgerstore.Parts{})
		}
		return engine, err
	})
	if err != nil {
		return mountedThere(dir, "that, and a key in it", noSuchBucket(l.bucket, otherBucket, err))
	}
	if attached != nil {
		defer func() { err = errors.Join(err, attached.Close()) }()
		return noSuchKey(store, f(attached))
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	bucket, err := engine.Bucket(ctx, l.bucket)
	if err != nil {
		return noSuchBucket(l.bucket, otherBucket, err)
	}
	return noSuchKey(store, f(bucket))
}

// mountedThere is why a directory is no store, which is what a mount of one looks like, and what is to be named in its place.
func mountedThere(dir, instead string, err error) error {
	if kind := objstore.KindOf(err); kind != objstore.ErrInvalid && kind != objstore.ErrNotFound {
		return err
	}
	tree, notMounted := findMounted(dir, controlDefault)
	if notMounted != nil {
		return err
	}
	config, unknown := tree.config()
	if unknown != nil {
		return err
	}
	return usageErrorf("%s is in a mount of the store %s: name %s", dir, readable(strings.TrimPrefix(config.Source, attachedPrefix)), instead)
}

// withRemote is with for a bucket, which the URL names.
func (l *location) withRemote(ctx context.Context, url string, f func(bucket objstore.Store) error) (err error) {
	if l.bucket != bucketDefault {
		return usageErrorf("the bucket is part of the URL: leave --bucket out")
	}
	bucket, end, err := l.openURL(ctx, url)
	if err != nil {
		return noSuchBucket(url, "the last part of the URL is its name", err)
	}
	defer func() { err = errors.Join(err, end()) }()
	if err = f(bucket); objstore.KindOf(err) == objstore.ErrUnsupported {
		return errors.Join(err, forgetProbe(url))
	}
	return noSuchKey(url, err)
}

// openURL prefers what a server of this program offers beyond S3.
func (l *location) openURL(ctx context.Context, url string) (bucket objstore.Store, end func() error, err error) {
	if isServer(url) {
		server, err := openServer(ctx, url, slog.New(slog.DiscardHandler))
		if err == nil {
			return server, server.Close, nil
		}
		if !errors.Is(err, objstore.ErrUnsupported) {
			return nil, nil, err
		}
	}
	bucket, err = openS3(ctx, url, l.reads, false)
	return bucket, func() error { return nil }, err
}

// storeOptions adds what every command opens a store with: new files and
// directories belong to whoever runs it.
func storeOptions(o badgerstore.Options) badgerstore.Options {
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	o.Program = program
	o.TrustLasts = s3server.CacheLeaseDefault // others may have used it through its last owner
	o.NewFile = objstore.NewAttr{Mode: 0o644, UID: uid, GID: gid}
	o.NewDir = objstore.NewAttr{Mode: 0o755, UID: uid, GID: gid}
	return o
}
