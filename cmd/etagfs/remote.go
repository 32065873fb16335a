package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/etagfs/etagfs/cache"
	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/blockhash"
	"github.com/etagfs/etagfs/objstore/flatns"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// contentBytesMax bounds what a mount of a bucket has of contents in memory: half of it for bodies on their way to
// the store, half for blocks on their way from it.
const contentBytesMax = 128 << 20

// contentBytes is contentBytesMax, or a third of what the process may take if that is less; 0: that is any.
func contentBytes(bytes int64) int64 {
	if bytes <= 0 {
		return contentBytesMax
	}
	return min(contentBytesMax, bytes/3)
}

// isRemote reports whether a store is named by a URL of S3.
func isRemote(store string) bool {
	scheme, _, isURL := strings.Cut(store, "://")
	return isURL && (scheme == "s3" || scheme == "http" || scheme == "https")
}

// flatBucket is a bucket of an S3 store with what is kept of it here.
type flatBucket struct {
	area   *cache.Area
	blocks *cache.Blocks
}

// GiveBack has nothing to give back.
func (r *flatBucket) GiveBack() {}

// Close ends both.
func (r *flatBucket) Close() error {
	var err error
	if r.area != nil {
		err = r.area.Close()
	}
	if r.blocks != nil {
		err = errors.Join(err, r.blocks.Close())
	}
	return err
}

// openRemote opens a bucket. What an earlier mount of it was writing when it died is kept as a conflict.
func (d daemon) openRemote(ctx context.Context, options mount.Options, point string, logger *slog.Logger) (*openStore, error) {
	opt, err := s3store.ParseURL(d.store)
	if err != nil {
		return nil, err
	}
	if options.Bucket != "" {
		return nil, usageErrorf("%s names a bucket already: leave -o bucket out", d.store)
	}
	if isServer(d.store) {
		store, err := openServer(ctx, d.store, logger)
		if err == nil {
			return d.shared(ctx, store, d.store, strings.TrimRight(d.store, "/"), opt.Bucket, point, logger)
		}
		if !errors.Is(err, objstore.ErrUnsupported) {
			return nil, err
		}
	}
	opt.ReadOnly = options.FS.ReadOnly
	contents := contentBytes(options.MemoryBytes)
	opt.PartBytes, opt.Uploads = s3store.PartBytesDefault, max(1, int(contents/2/s3store.PartBytesDefault))
	dir, err := d.cacheDir(opt)
	if err != nil {
		return nil, err
	}
	if err := apart(dir, point); err != nil {
		return nil, err
	}
	store, err := s3store.Open(ctx, opt, s3store.Parts{Logger: logger, Notes: d.notesOf(opt, true)})
	if err != nil {
		return nil, err
	}
	if err := store.Writable(); err != nil && !opt.ReadOnly {
		return nil, err
	}
	r := &flatBucket{}
	namespace, err := r.open(ctx, store, dir, opt.ReadOnly, contents/2, logger)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &openStore{engine: r, dir: dir, source: d.store, kind: "s3", namespace: namespace, forgetter: namespace, cached: r.blocks.Bytes}, nil
}

func (r *flatBucket) open(ctx context.Context, store objstore.Store, dir string, readOnly bool, blocksBytes int64, logger *slog.Logger) (ns *flatns.Namespace, err error) {
	if r.blocks, err = cache.OpenBlocks(dir, cache.BlocksOptions{MemoryBytes: blocksBytes, Logger: logger}); err != nil {
		return nil, err
	}
	limit := store.Capabilities().ObjectBytesMax
	if r.area, err = openArea(dir, limit, logger); err != nil {
		return nil, err
	}
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	ns, err = flatns.New(flatns.Config{
		Store: r.blocks.Over(store), Conflicts: r.area, ReadOnly: readOnly, Logger: logger,
		NewStage: func(ctx context.Context, spec objstore.StageSpec, to flatns.Committer) (objstore.Stage, error) {
			return r.area.NewStage(ctx, spec, to)
		},
		NewFile: objstore.NewAttr{Mode: 0o644, UID: uid, GID: gid},
		NewDir:  objstore.NewAttr{Mode: 0o755, UID: uid, GID: gid},
	})
	if err != nil {
		return nil, err
	}
	sweepArea(ctx, r.area, ns, logger)
	return ns, nil
}

// cacheDir is where a bucket's local copies are: a directory for each bucket and prefix of each service.
func (d daemon) cacheDir(opt s3store.Options) (string, error) {
	return d.localDir(opt.Bucket, opt.Endpoint, opt.Bucket, opt.Prefix)
}

// localDir is a directory for what identity names, which is made.
func (d daemon) localDir(bucket string, identity ...string) (string, error) {
	dir, err := d.localName(bucket, identity...)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return dir, ownDirectory(dir)
}

// ownDirectory refuses a place for copies in which somebody else could change them, or is told what they are: one of another user's,
// one that others can write to, and a link to any.
func ownDirectory(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || stat.Uid != uint32(os.Geteuid()) || info.Mode().Perm()&0o022 != 0 {
		return usageErrorf("%s is no directory of this user's alone: remove it, or name another place with --cache", dir)
	}
	return nil
}

// localName is the name of that directory.
func (d daemon) localName(bucket string, identity ...string) (string, error) {
	base := d.cache
	if base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", usageErrorf("there is no cache directory: give one with --cache")
		}
		base = filepath.Join(user, "etagfs")
	}
	base, err := filepath.Abs(base)
	if err != nil {
		return "", err
	}
	sum := blockhash.Of(fmt.Appendf(nil, "%q", identity))
	return filepath.Join(base, fmt.Sprintf("%s-%x", bucket, sum[:8])), nil
}
