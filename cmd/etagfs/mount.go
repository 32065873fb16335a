package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
	"github.com/etagfs/etagfs/objstore/locks"
	"github.com/etagfs/etagfs/objstore/remote"
)

// serveFlag marks the background process that etagfs mount starts.
const serveFlag = "serve"

func mountCommand(t *terminal) *cobra.Command {
	var words []string
	var foreground, serve, takeover bool
	var cacheDir string
	c := &cobra.Command{
		Use:   "mount STORE DIR",
		Short: "Mount a store at DIR, in the background",
		Long: `Mount a store at DIR, in the background, and return when it can be used. A
STORE that does not exist or is an empty directory is made. The background
process logs to STORE/etagfs.log. A STORE that another process has open is used
through that process; when that ends, one of the mounts that used it so takes its
place, unless it was etagfs serve.

STORE may also be a bucket of an S3 store that honours conditional writes:
s3://BUCKET/PREFIX?endpoint=URL&region=NAME or http(s)://HOST:PORT/BUCKET/PREFIX.
Credentials come from where other AWS clients take them. A bucket of etagfs serve,
http(s)://HOST:PORT/BUCKET, loses nothing of a local mount; its keys may also be in
ETAGFS_ACCESS_KEY and ETAGFS_SECRET_KEY. What is being written,
kept copies of what lost, blocks that were read, and the log are in a directory
of the bucket's own below --cache.

Options (-o), the first of several values being the default:
` + strings.TrimRight(mount.OptionsHelp(), "\n"),
		Args: arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			store := args[0]
			if !isRemote(store) {
				var err error
				if store, err = storeDir(store); err != nil {
					return err
				}
			}
			if args[1] == "" {
				return noMountPoint()
			}
			d := daemon{store: store, dir: args[1], options: strings.Join(words, ","), cache: cacheDir, takeover: takeover}
			switch {
			case serve:
				return d.runAlone(c.Context())
			case foreground:
				return d.run(c.Context(), t.err)
			default:
				return t.startBackground(c.Context(), d)
			}
		},
	}
	c.Flags().StringArrayVarP(&words, "options", "o", nil, "mount options, separated by commas")
	c.Flags().StringVar(&cacheDir, "cache", "", "directory for local copies of a remote store (default etagfs in the user's cache directory)")
	c.Flags().BoolVar(&takeover, "takeover", true, "become the owner of STORE when the mount that has it open ends")
	c.Flags().BoolVar(&foreground, "foreground", false, "stay until unmounted, log to standard error")
	c.Flags().BoolVar(&serve, serveFlag, false, "")
	if err := c.Flags().MarkHidden(serveFlag); err != nil {
		panic(err) // the flag was defined one line above
	}
	return c
}

// startBackground returns when the process it starts says it is ready. That
// process decides everything, and speaks through this one if it fails.
func (t *terminal) startBackground(ctx context.Context, d daemon) error {
	store := d.store
	var err error
	if !isRemote(store) {
		if store, err = filepath.Abs(d.store); err != nil {
			return err
		}
	}
	dir, err := filepath.Abs(d.dir)
	if err != nil {
		return err
	}
	arguments := []string{"mount", store, dir, "-o", d.options, "--" + serveFlag}
	if !d.takeover {
		arguments = append(arguments, "--takeover=false")
	}
	if d.cache != "" {
		cache, err := filepath.Abs(d.cache)
		if err != nil {
			return err
		}
		arguments = append(arguments, "--cache", cache)
	}
	pid, err := mount.StartBackground(ctx, arguments)
	if err != nil || !t.json {
		return err
	}
	return t.printJSON(struct {
		Store string `json:"store"`
		Dir   string `json:"dir"`
		PID   int    `json:"pid"`
	}{store, dir, pid})
}

// daemon is a process that serves a mount.
type daemon struct {
	store   string // directory, or URL of a remote one
	dir     string
	options string
	cache   string // of a remote store; empty: the default

	takeover bool // become the owner of the store when that is gone
}

// runAlone is run for a process nobody listens to: its log is all it leaves behind.
func (d daemon) runAlone(ctx context.Context) error {
	log := &lateLog{}
	err := d.run(ctx, log)
	if err != nil {
		fmt.Fprintf(log, "etagfs: %s\n", sentence(err))
	}
	return errors.Join(err, log.Close())
}

// run serves until it is unmounted or ctx ends. Whoever started the process
// is told when that works, or why it does not.
func (d daemon) run(ctx context.Context, log io.Writer) error {
	ready, err := mount.InheritReadiness()
	if err != nil {
		return err
	}
	s, err := d.start(ctx, log)
	if err != nil {
		return errors.Join(err, ready.Failed(errors.New(sentence(err))))
	}
	if err := ready.Ready(); err != nil {
		s.log.Warn("whoever started the mount is gone", "error", err)
	}
	stop := s.giveBackWhenIdle()
	defer stop()
	select {
	case <-s.mount.Done():
	case <-ctx.Done():
	}
	return s.close(context.WithoutCancel(ctx))
}

// served is a mounted store.
type served struct {
	store  *openStore
	mount  *mount.Mount
	socket *socket // nil: others cannot use the store
	log    *slog.Logger

	presence io.Closer // nil: who unmounts cannot wait for us
}

func (d daemon) start(ctx context.Context, log io.Writer) (*served, error) {
	options, err := mount.ParseOptions(d.options)
	if err != nil {
		return nil, usageErrorf("%v", err)
	}
	point, err := mount.Prepare(d.dir, daemonFate)
	if err != nil {
		return nil, err
	}
	logger := slog.New(slog.NewTextHandler(log, nil))
	open := d.openLocal
	if isRemote(d.store) {
		open = d.openRemote
	}
	store, err := open(ctx, options, point, logger)
	if err != nil {
		return nil, err
	}
	s := &served{store: store, log: logger}
	if s.mount, err = store.mount(ctx, options, point, log, logger); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	s.listen()
	if s.presence, err = s.mount.Announce(); err != nil {
		logger.Warn("who unmounts will not wait for this process", "error", err)
		s.presence = nil
	}
	logger.Info("mounted", "store", store.source, "dir", point, "options", d.options)
	return s, nil
}

// listen lets others use the store, if it is ours. A store without is a store all the same.
func (s *served) listen() {
	if s.store.offer == nil {
		return
	}
	var err error
	if s.socket, err = listenBeside(s.store.dir, s.store.offer, s.mount, s.log); err != nil {
		s.log.Warn("no other process can use the store meanwhile", "error", err)
		s.store.offer.refused()
		return
	}
	s.store.others.through.Store(s.socket.handler)
	s.store.offer.begins(reclaimTime)
}

// close commits or keeps what is still open and releases the store.
func (s *served) close(ctx context.Context) error {
	var err error
	if s.store.offer != nil {
		s.store.offer.end()
	}
	if s.socket != nil {
		err = s.socket.Close(ctx)
	}
	err = errors.Join(err, s.mount.Close(ctx), s.store.Close())
	s.log.Info("unmounted", "store", s.store.source)
	if s.presence != nil {
		err = errors.Join(err, s.presence.Close())
	}
	return err
}

// engine is what is behind a mount.
type engine interface {
	GiveBack()
	Close() error
}

// openStore is a store that is to be mounted.
type openStore struct {
	engine
	dir       string // absolute; where its log goes
	source    string // as the mount table names it
	namespace objstore.Namespace
	others    *others       // who use the store too, if it is this process's own
	offer     *offer        // for them; nil: the store is another's
	shared    *remote.Store // what namespace is if the store is another's
	locks     locks.Locker  // nil: nobody shares files with the mount
}

func (d daemon) openLocal(ctx context.Context, options mount.Options, point string, logger *slog.Logger) (*openStore, error) {
	if err := apart(d.store, point); err != nil {
		return nil, err
	}
	if err := awaitEnding(ctx, d.store); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(d.store)
	if err != nil {
		return nil, err
	}
	readOnly, bucket := options.FS.ReadOnly, cmp.Or(options.Bucket, bucketDefault)
	heir := newHeir(dir, point, logger)
	engine, attached, err := ownOrAttach(ctx, bucket, heir.dial, logger, func() (*badgerstore.Engine, error) {
		return badgerstore.Open(ctx, dir,
			storeOptions(badgerstore.Options{Create: !readOnly, ReadOnly: readOnly, MountPoint: point}),
			badgerstore.Parts{Logger: logger})
	})
	if err != nil {
		return nil, err
	}
	if attached != nil {
		store, err := d.shared(ctx, attached, attachedPrefix+dir, dir, bucket, point, logger)
		if err == nil && d.takeover && !readOnly {
			store.engine = inheriting{store.engine, heir}
			go heir.run()
		}
		return store, err
	}
	store, err := engine.Bucket(ctx, bucket)
	if err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	namespace, ok := store.(objstore.Namespace)
	if !ok {
		err := &objstore.Error{Op: "mount", Key: bucket, Kind: objstore.ErrUnsupported}
		return nil, errors.Join(err, engine.Close())
	}
	o, offer := &others{}, offering(engine)
	s := &openStore{
		engine: engine, dir: dir, source: dir, namespace: told{namespace, o}, others: o,
		offer: offer, locks: offer.tables.Table(bucket).Open(),
	}
	if staging := d.keptBeside(ctx, namespace, dir, bucket, logger); staging != nil {
		s.engine, s.namespace = owned{engine, staging}, keptHere{s.namespace, staging, logger}
	}
	return s, nil
}

// mount mounts the store. It is known to be one now: it may get its log.
func (s *openStore) mount(ctx context.Context, options mount.Options, point string, log io.Writer, logger *slog.Logger) (*mount.Mount, error) {
	if late, ok := log.(*lateLog); ok {
		if err := late.open(filepath.Join(s.dir, logName)); err != nil && !options.FS.ReadOnly {
			return nil, err
		}
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	config := mount.Config{
		Dir: point, Source: s.source, Namespace: s.namespace, Options: options, Logger: logger, Host: host,
		Locks: s.locks,
	}
	if s.shared != nil {
		config.Trust = s.shared.Trust
	}
	m, err := mount.Start(ctx, config)
	if err == nil && s.shared != nil {
		s.shared.Hold(m.Told)
	}
	return m, err
}
