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
	"time"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
	"github.com/etagfs/etagfs/objstore/locks"
	"github.com/etagfs/etagfs/objstore/remote"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// serveFlag marks the background process that etagfs mount starts.
const serveFlag = "serve"

func mountCommand(t *terminal) *cobra.Command {
	var words []string
	var foreground, serve, takeover bool
	var cacheDir, hook, memory string
	var shown exposure
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

--conflict-hook is run for each conflict of this mount, one at a time and no longer than
30 seconds each, by /bin/sh. Nobody waits for it. It finds ETAGFS_CONFLICT (the id), ETAGFS_CONFLICT_DIR,
ETAGFS_PATH (of the file), ETAGFS_KEY (the same in the store), ETAGFS_REASON, ETAGFS_UID and
ETAGFS_PID (who lost) in its environment. If it fails that is a line in the log.

Options (-o), of which those without a value are off unless they are given:

` + strings.TrimRight(mount.OptionsHelp(), "\n"),
		Args: arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := newDaemon(args[0], args[1])
			if err != nil {
				return err
			}
			if err := shown.check(); err != nil {
				return err
			}
			if memory != "" {
				words = append(words, "memory="+memory)
			}
			d.options, d.cache, d.takeover, d.exposure = strings.Join(words, ","), cacheDir, takeover, shown
			d.hook = hook
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
	completeFlag(c, "options", completeOptions)
	c.Flags().StringVar(&cacheDir, "cache", "", "directory for local copies of a remote store (default etagfs in the user's cache directory)")
	c.Flags().StringVar(&memory, "memory", "", "the same as -o memory=")
	c.Flags().StringVar(&hook, "conflict-hook", "", "shell command to run for each conflict")
	c.Flags().BoolVar(&takeover, "takeover", true, "become the owner of STORE when the mount that has it open ends")
	shown.flags(c.Flags())
	c.Flags().BoolVar(&foreground, "foreground", false, "stay until unmounted, log to standard error")
	c.Flags().BoolVar(&serve, serveFlag, false, "")
	if err := c.Flags().MarkHidden(serveFlag); err != nil {
		panic(err) // the flag was defined one line above
	}
	return c
}

// newDaemon is one for a store that may be named by a URL. One that nobody can use, as with keys in it, gets no further: command
// lines, the mount table and logs are for others to read.
func newDaemon(store, dir string) (d daemon, err error) {
	if isRemote(store) {
		_, err = s3store.ParseURL(store)
	} else {
		store, err = storeDir(store)
	}
	if err != nil {
		return daemon{}, err
	}
	if dir == "" {
		return daemon{}, noMountPoint()
	}
	return daemon{store: store, dir: dir, takeover: true}, nil
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
	for flag, address := range map[string]string{"--metrics": d.metrics, "--pprof": d.pprof} {
		if address != "" {
			arguments = append(arguments, flag, address)
		}
	}
	if d.hook != "" {
		arguments = append(arguments, "--conflict-hook", d.hook)
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
	hook    string // command for conflicts; empty: none

	takeover bool // become the owner of the store when that is gone
	exposure
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
	if err := notify(notifyReady); err != nil {
		s.log.Warn("systemd cannot be told that the mount is ready", "error", err)
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
	socket *socket       // nil: others cannot use the store
	hook   *conflictHook // nil: there is none
	log    *slog.Logger
	scrubs *scrubbing // nil: the store is another's, or cannot be written

	presence *mount.Presence // nil: who unmounts cannot wait for us
	unshow   func()          // ends metrics and profiles
}

func (d daemon) start(ctx context.Context, log io.Writer) (*served, error) {
	options, err := mount.ParseOptions(d.options)
	if err != nil {
		return nil, usageErrorf("%v", err)
	}
	options.MemoryBytes = limitMemory(options.MemoryBytes)
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
	if d.hook != "" {
		s.hook = newConflictHook(d.hook, point, options.FS.Control, logger)
	}
	if err := d.mount(ctx, s, options, point, log); err != nil {
		s.hook.Close()
		return nil, errors.Join(err, store.Close())
	}
	s.listen()
	if store.offer != nil && !options.FS.ReadOnly {
		every, rate := scrubOf(options)
		s.scrubs = scrubNowAndThen(store.offer.engine, every, rate, scrubDelay, logger)
	}
	if s.presence, err = s.mount.Announce(); err != nil {
		logger.Warn("who unmounts will not wait for this process", "error", err)
		s.presence = nil
	}
	logger.Info("mounted", "store", store.source, "dir", point, "options", d.options)
	return s, nil
}

// mount mounts the store of s, and shows how it fares.
func (d daemon) mount(ctx context.Context, s *served, options mount.Options, point string, log io.Writer) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	gauges, namespace := s.store.show(options, point, host)
	if gauges.config.exposed, s.unshow, err = d.serve(gauges.handler(), s.log); err != nil {
		return err
	}
	if late, ok := log.(*lateLog); ok {
		// It is known to be a store now: it may get its log.
		name := filepath.Join(s.store.dir, logName)
		if err := late.open(name); err == nil {
			gauges.config.Log = name
		} else if !options.FS.ReadOnly {
			s.unshow()
			return err
		}
	}
	if s.mount, err = s.store.mount(ctx, mount.Config{
		Dir: point, Source: s.store.source, Namespace: namespace, Forgetter: s.store.forgetter, Options: options, Logger: s.log, Host: host,
		Locks: s.store.locks, ControlFiles: gauges.files(), Kept: s.hook.teller(),
	}); err != nil {
		s.unshow()
		return err
	}
	gauges.mount.Store(s.mount)
	return nil
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
	if s.scrubs != nil {
		s.scrubs.Close()
	}
	if s.store.offer != nil {
		s.store.offer.end()
	}
	if s.socket != nil {
		err = s.socket.Close(ctx)
	}
	s.hook.Close() // what it runs may be in the mount
	err = errors.Join(err, s.mount.Close(ctx), s.store.Close())
	s.unshow()
	s.log.Info("unmounted", "store", s.store.source)
	if s.presence != nil {
		words := ""
		if err != nil {
			words = sentence(err)
		}
		err = errors.Join(err, s.presence.Close(words))
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
	kind      string // "embedded", "attached", "server" or "s3"
	namespace objstore.Namespace
	forgetter objstore.Forgetter // nil: the namespace's ids are good for ever
	others    *others            // who use the store too, if it is this process's own
	offer     *offer             // for them; nil: the store is another's
	shared    *remote.Store      // what namespace is if the store is another's
	locks     locks.Locker       // nil: nobody shares files with the mount
	cached    func() int64       // bytes on local disk; nil: there is no cache
}

// scrubAge is how long what was verified may be read by the kernel alone.
func scrubAge(o mount.Options) time.Duration {
	if o.Strict {
		return 0
	}
	return time.Hour
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
	engine, attached, err := ownOrAttach(ctx, dir, bucket, heir.dial, logger, func() (*badgerstore.Engine, error) {
		return badgerstore.Open(ctx, dir,
			storeOptions(badgerstore.Options{
				Create: !readOnly, ReadOnly: readOnly, MountPoint: point, ScrubAge: scrubAge(options), MemoryBytes: options.MemoryBytes,
			}),
			badgerstore.Parts{Logger: logger})
	})
	if err != nil {
		return nil, noSuchBucket(bucket, mountedBucket, err)
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
		return nil, errors.Join(noSuchBucket(bucket, mountedBucket, err), engine.Close())
	}
	namespace, ok := store.(objstore.Namespace)
	if !ok {
		err := &objstore.Error{Op: "mount", Key: bucket, Kind: objstore.ErrUnsupported}
		return nil, errors.Join(err, engine.Close())
	}
	o, offer := &others{}, offering(engine)
	s := &openStore{
		engine: engine, dir: dir, source: dir, kind: "embedded", namespace: told{namespace, o}, others: o,
		offer: offer, locks: offer.tables.Table(bucket).Open(),
	}
	if staging := d.keptBeside(ctx, namespace, dir, bucket, logger); staging != nil {
		s.engine, s.namespace = owned{engine, staging}, keptHere{s.namespace, staging, logger}
	}
	return s, nil
}

// mount mounts the store.
func (s *openStore) mount(ctx context.Context, config mount.Config) (*mount.Mount, error) {
	if s.shared != nil {
		config.Trust = s.shared.Trust
	}
	m, err := mount.Start(ctx, config)
	if err == nil && s.shared != nil {
		s.shared.Hold(config.Options.MemoryBytes, m.Told)
	}
	return m, err
}
