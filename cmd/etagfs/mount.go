package main

import (
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
)

// serveFlag marks the background process that etagfs mount starts.
const serveFlag = "serve"

func mountCommand(t *terminal) *cobra.Command {
	var words []string
	var foreground, serve bool
	c := &cobra.Command{
		Use:   "mount STORE DIR",
		Short: "Mount a store at DIR, in the background",
		Long: `Mount a store at DIR, in the background, and return when it can be used. A
STORE that does not exist or is an empty directory is made. The background
process logs to STORE/etagfs.log.`,
		Args: arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			store, err := storeDir(args[0])
			if err != nil {
				return err
			}
			d := daemon{store: store, dir: args[1], options: strings.Join(words, ",")}
			switch {
			case serve:
				return d.background(c.Context())
			case foreground:
				return d.serve(c.Context(), t.err, mount.Readiness{})
			default:
				return t.startBackground(c.Context(), d)
			}
		},
	}
	c.Flags().StringArrayVarP(&words, "options", "o", nil, "mount options, separated by commas")
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
	store, err := filepath.Abs(d.store)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(d.dir)
	if err != nil {
		return err
	}
	pid, err := mount.StartBackground(ctx, []string{"mount", store, dir, "-o", d.options, "--" + serveFlag}, nil)
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
	store   string
	dir     string
	options string
}

// background serves and tells who started it whether that works.
func (d daemon) background(ctx context.Context) error {
	ready, err := mount.InheritReadiness()
	if err != nil {
		return err
	}
	log := &lateLog{}
	err = d.serve(ctx, log, ready)
	if err != nil {
		err = errors.Join(err, ready.Failed(err))
	}
	return errors.Join(err, log.Close())
}

// serve mounts, and returns when it is unmounted or ctx ends.
func (d daemon) serve(ctx context.Context, log io.Writer, ready mount.Readiness) (err error) {
	options, err := mount.ParseOptions(d.options)
	if err != nil {
		return usageErrorf("%v", err)
	}
	point, err := mount.Prepare(d.dir)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(log, nil))
	store, err := d.open(ctx, options, point, logger)
	if err != nil {
		return err
	}
	defer func() { err = joinClose(err, store.Close()) }()
	if late, ok := log.(*lateLog); ok {
		if err := late.open(filepath.Join(store.dir, logName)); err != nil && !options.FS.ReadOnly {
			return err
		}
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	m, err := mount.Start(ctx, mount.Config{
		Dir: point, Source: store.dir, Namespace: store.namespace, Options: options, Logger: logger, Host: host,
	})
	if err != nil {
		return err
	}
	logger.Info("mounted", "store", store.dir, "dir", point, "options", d.options)
	if err := ready.Ready(); err != nil {
		logger.Warn("whoever started the mount is gone", "error", err)
	}
	select {
	case <-m.Done():
	case <-ctx.Done():
	}
	err = m.Close(context.WithoutCancel(ctx))
	logger.Info("unmounted", "dir", point)
	return err
}

// openStore is a store that is to be mounted.
type openStore struct {
	*badgerstore.Engine
	dir       string // absolute
	namespace objstore.Namespace
}

func (d daemon) open(ctx context.Context, options mount.Options, point string, logger *slog.Logger) (*openStore, error) {
	dir, err := filepath.Abs(d.store)
	if err != nil {
		return nil, err
	}
	readOnly := options.FS.ReadOnly
	engine, err := badgerstore.Open(ctx, dir,
		badgerstore.Options{Create: !readOnly, ReadOnly: readOnly, Program: "etagfs", MountPoint: point},
		badgerstore.Parts{Logger: logger})
	if err != nil {
		return nil, err
	}
	bucket := options.Bucket
	if bucket == "" {
		bucket = bucketDefault
	}
	store, err := engine.Bucket(ctx, bucket)
	if err != nil {
		return nil, joinClose(err, engine.Close())
	}
	namespace, ok := store.(objstore.Namespace)
	if !ok {
		err := &objstore.Error{Op: "mount", Key: bucket, Kind: objstore.ErrUnsupported}
		return nil, joinClose(err, engine.Close())
	}
	return &openStore{engine, dir, namespace}, nil
}

func unmountCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "unmount DIR",
		Short: "Unmount DIR and wait until everything is committed and the store released",
		Long: `Unmount DIR and wait until everything is committed and the store released. A
mount in which files are open stays mounted; the message names who has them open.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			store, err := mount.Unmount(args[0])
			if err != nil {
				return err
			}
			return badgerstore.Released(c.Context(), store, func(owner badgerstore.LockOwner) {
				fmt.Fprintf(t.err, "waiting for %s to commit and to release %s\n", owner, store)
			})
		},
	}
}
