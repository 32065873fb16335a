package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore/badgerstore"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// server is what etagfs serve is asked for.
type server struct {
	store  string
	listen string
	exposure
	tlsCert     string
	tlsKey      string
	credentials string
	anonymous   string
	domain      string
	region      string
	conditions  string
	uploadAge   time.Duration
	scrubAge    time.Duration
	scrubEvery  time.Duration
	scrubRate   string
	memory      string
	grace       time.Duration
	user        string
	create      bool
}

func serveCommand(t *terminal) *cobra.Command {
	var s server
	c := &cobra.Command{
		Use:   "serve STORE",
		Short: "Serve a store over S3's HTTP API",
		Long: `Serve the buckets of a store over S3's HTTP API until a SIGTERM or an
interrupt, then let running requests finish.

Who may do what is in a credentials file, JSON that only its owner can read:
  {"users": [{"name": "ana", "accessKey": "...", "secretKey": "...",
              "read": ["main/docs/"], "write": ["main"], "admin": ["*"]}],
   "anonymous": {"read": ["public"]}}
The user of ETAGFS_ACCESS_KEY and ETAGFS_SECRET_KEY, or else of
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, has all rights.

A server that root starts goes on as --user NAME once it listens and has read its
secrets; the STORE must be that user's, or not exist yet. As a service of systemd
(Type=notify) it says when it is ready.

A line of JSON per request goes to standard error. /-/live and /-/ready tell
whether the server lives, and whether it takes requests and its store takes writes.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			s.store = args[0]
			return s.run(c.Context(), t)
		},
	}
	f := c.Flags()
	f.StringVar(&s.listen, "listen", "127.0.0.1:9000", "address to listen on")
	s.exposure.flags(f)
	f.StringVar(&s.metrics, "metrics-listen", "", "the same as --metrics, for scripts of before it was called so")
	if err := f.MarkHidden("metrics-listen"); err != nil {
		panic(err) // the flag was defined one line above
	}
	f.StringVar(&s.tlsCert, "tls-cert", "", "file of the certificate chain, PEM")
	f.StringVar(&s.tlsKey, "tls-key", "", "file of the certificate's key, PEM")
	f.StringVar(&s.credentials, "credentials", "", "file of users and their rights")
	f.StringVar(&s.anonymous, "anonymous", "", "what requests without a signature may do with everything: read, write (and read) or admin")
	completeFlag(c, "anonymous", cobra.FixedCompletions([]string{"read", "write", "admin"}, cobra.ShellCompDirectiveNoFileComp))
	f.StringVar(&s.domain, "domain", "", "also take buckets from host names, as BUCKET.domain")
	f.StringVar(&s.region, "region", "", "region that signatures must be for; empty: any")
	f.StringVar(&s.conditions, "conditions", "strict", "conditional writes to accept: strict, as AWS, or extended, as Ceph, R2 and RFC 9110")
	completeFlag(c, "conditions", cobra.FixedCompletions([]string{"strict", "extended"}, cobra.ShellCompDirectiveNoFileComp))
	f.DurationVar(&s.uploadAge, "abandon-uploads-after", 7*24*time.Hour, "age at which unfinished multipart uploads are dropped; 0: never")
	f.DurationVar(&s.scrubAge, "scrub-age", time.Hour, "how long the kernel may send a large object again without another look at its checksums; 0: never")
	f.DurationVar(&s.scrubEvery, "scrub-every", scrubEveryDefault, "how often all of the store is read and compared with its checksums; 0: never")
	f.StringVar(&s.scrubRate, "scrub-rate", "16M", "bytes to read in a second for that, at most")
	f.StringVar(&s.memory, "memory", "", "bytes the process may take, as 512M (default, and at most: what its control group allows)")
	f.DurationVar(&s.grace, "grace", 30*time.Second, "how long requests may run on after the end was asked for")
	f.StringVar(&s.user, "user", "", "go on as this user, without any privilege, once the address is bound and secrets are read; for root")
	f.BoolVar(&s.create, "create", true, "make a STORE that does not exist or is an empty directory")
	return c
}

// run serves until ctx ends.
func (s server) run(ctx context.Context, t *terminal) (err error) {
	logger := slog.New(slog.NewJSONHandler(t.err, nil))
	users, err := s.users()
	if err != nil {
		return err
	}
	conditions, err := s.mode()
	if err != nil {
		return err
	}
	dir, err := storeDir(s.store)
	if err != nil {
		return err
	}
	certificate, err := s.tls()
	if err != nil {
		return err
	}
	if err := s.checkFlags(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.listen) // before there is a store for nothing
	if err != nil {
		return fmt.Errorf("--listen %s is no address that can be had here: %w", s.listen, err)
	}
	defer listener.Close() // the server has closed it by then, unless it never came to be one
	memory, err := s.memoryBytes()
	if err := errors.Join(err, s.dropPrivileges(dir)); err != nil {
		return err
	}
	engine, err := badgerstore.Open(ctx, dir, storeOptions(badgerstore.Options{
		Create: s.create, Profile: badgerstore.ProfileServer, ScrubAge: s.scrubAge, MemoryBytes: limitMemory(memory),
	}), badgerstore.Parts{Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	registry := prometheus.NewRegistry()
	registry.MustRegister(refusals{engine: engine}.describe())
	offer := offering(engine)
	handler, err := s3server.New(s3server.Options{
		Locks: offer.tables, Clients: engine, Buckets: engine, Users: users, Domain: s.domain, Region: s.region, Conditions: conditions, Logger: logger, Metrics: registry, Refusing: engine.Refusing,
	})
	if err != nil {
		return usageErrorf("%v", err)
	}
	shown, stopShowing, err := s.expose(registry, logger)
	if err != nil {
		return err
	}
	defer stopShowing()
	beside, err := listenBeside(dir, offer, nil, logger)
	if err != nil {
		logger.Warn("no other process of this machine can use the store meanwhile", "error", err)
	} else {
		defer func() { err = errors.Join(err, beside.Close(context.WithoutCancel(ctx))) }()
	}
	offer.begins(reclaimTime)
	stopSweep := sweep(ctx, engine, s.uploadAge, logger)
	defer stopSweep()
	scrubRate, err := mount.ParseBytes(s.scrubRate)
	if err != nil {
		return usageErrorf("--scrub-rate %s %v", s.scrubRate, err)
	}
	scrubbing := scrubNowAndThen(engine, s.scrubEvery, scrubRate, scrubDelay, logger)
	defer scrubbing.Close()
	return s.serve(offer.until(ctx), t, listener, handler, certificate, shown, logger)
}

// memoryBytes is what --memory asks for; 0: nothing.
func (s server) memoryBytes() (int64, error) {
	if s.memory == "" {
		return 0, nil
	}
	n, err := mount.ParseMemory(s.memory)
	if err != nil {
		return 0, usageErrorf("--memory %s %v", s.memory, err)
	}
	return n, nil
}

// checkFlags finds values that make no sense.
func (s server) checkFlags() error {
	if _, err := s.memoryBytes(); err != nil {
		return err
	}
	if _, err := net.ResolveTCPAddr("tcp", s.listen); err != nil {
		return usageErrorf("--listen is HOST:PORT: %v", err)
	}
	if err := s.exposure.check(); err != nil {
		return err
	}
	switch {
	case s.grace < 0:
		return usageErrorf("--grace cannot be negative")
	case s.scrubEvery < 0:
		return usageErrorf("--scrub-every cannot be negative; 0 is never")
	case s.uploadAge < 0:
		return usageErrorf("--abandon-uploads-after cannot be negative; 0 is never")
	case strings.ContainsAny(s.domain, "/: \t"):
		return usageErrorf("--domain is the name of a host, without scheme, port or path, not %q", s.domain)
	case strings.ContainsAny(s.region, "/ \t"):
		return usageErrorf("--region is one word, like us-east-1, not %q", s.region)
	}
	return nil
}

// serve answers who comes to listener until ctx ends, and then a while for those who are still served.
func (s server) serve(ctx context.Context, t *terminal, listener net.Listener, handler *s3server.Server, certificate *tls.Config, shown exposed, logger *slog.Logger) error {
	h := handler.HTTP(certificate)
	bounded := handler.Listener(listener)
	scheme := "http"
	if certificate != nil {
		scheme = "https"
	}
	if err := s.announce(t, scheme+"://"+listener.Addr().String(), shown); err != nil {
		return errors.Join(err, bounded.Close())
	}
	if err := notify(notifyReady); err != nil {
		logger.Warn("systemd cannot be told that the server is ready", "error", err)
	}
	ended := make(chan error, 1)
	go func() {
		if certificate != nil {
			ended <- h.ServeTLS(bounded, "", "")
			return
		}
		ended <- h.Serve(bounded)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	logger.Info("ending", "grace", s.grace)
	if err := notify(notifyStopping); err != nil {
		logger.Warn("systemd cannot be told that the server ends", "error", err)
	}
	return s.shutdown(ctx, handler, h, ended)
}

// shutdown waits for running requests; who asks a second time does not want to wait.
func (s server) shutdown(ctx context.Context, handler *s3server.Server, h *http.Server, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.grace)
	defer cancel()
	ctx, stop := signal.NotifyContext(ctx, endings()...)
	defer stop()
	err := handler.Shutdown(ctx, h)
	handler.Close()
	if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// announce tells where the server listens: with --listen :0 nobody else knows.
func (s server) announce(t *terminal, url string, shown exposed) error {
	if t.json {
		return t.printJSON(struct {
			URL string `json:"url"`
			exposed
			PID int `json:"pid"`
		}{url, shown, os.Getpid()})
	}
	_, err := fmt.Fprintf(t.out, "serving %s at %s\n", s.store, url)
	if err == nil && shown.Metrics != "" {
		_, err = fmt.Fprintf(t.out, "metrics at %s\n", shown.Metrics)
	}
	if err == nil && shown.Pprof != "" {
		_, err = fmt.Fprintf(t.out, "profiles at %s\n", shown.Pprof)
	}
	return err
}

// users are all who may ask; nobody is a mistake.
func (s server) users() (s3server.Users, error) {
	users, err := s3server.UsersOfEnvironment(os.Getenv)
	if err != nil {
		return users, usageErrorf("%v", err)
	}
	if s.credentials != "" {
		file, err := s3server.ReadUsers(s.credentials)
		if err != nil {
			return users, err
		}
		if users, err = users.With(file); err != nil {
			return users, usageErrorf("%v", err)
		}
	}
	everything := []string{"*"}
	switch s.anonymous {
	case "":
	case "read":
		users.Anonymous = &s3server.User{Read: everything}
	case "write":
		users.Anonymous = &s3server.User{Read: everything, Write: everything}
	case "admin":
		users.Anonymous = &s3server.User{Admin: everything}
	default:
		return users, usageErrorf("--anonymous is read, write or admin, not %q", s.anonymous)
	}
	if len(users.Users) == 0 && users.Anonymous == nil {
		return users, usageErrorf("nobody could use this server: set ETAGFS_ACCESS_KEY and ETAGFS_SECRET_KEY, or give --credentials FILE or --anonymous read")
	}
	return users, nil
}

func (s server) mode() (s3server.Conditions, error) {
	switch s.conditions {
	case "strict":
		return s3server.ConditionsStrict, nil
	case "extended":
		return s3server.ConditionsExtended, nil
	default:
		return 0, usageErrorf("--conditions is strict or extended, not %q", s.conditions)
	}
}

func (s server) tls() (*tls.Config, error) {
	if s.tlsCert == "" && s.tlsKey == "" {
		return nil, nil
	}
	if s.tlsCert == "" || s.tlsKey == "" {
		return nil, usageErrorf("--tls-cert and --tls-key belong together")
	}
	pair, err := tls.LoadX509KeyPair(s.tlsCert, s.tlsKey)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", s.tlsCert, s.tlsKey, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// expose serves metrics and profiles on ports of their own: they are not for those who use the store.
func (s server) expose(registry *prometheus.Registry, logger *slog.Logger) (at exposed, stop func(), err error) {
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s.exposure.serve(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), logger)
}
