package s3server

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/locks"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sessions"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

// RegionDefault is what a server without a region says it is in.
const RegionDefault = "us-east-1"

// Options are what a server works with. Buckets is needed, all else has a default.
type Options struct {
	Buckets    objstore.Buckets
	Users      Users      // who may do what; the zero value lets nobody in
	Domain     string     // BUCKET.Domain names a bucket as a host; empty: buckets are in paths only
	Region     string     // signatures for another one are refused; empty: RegionDefault, and any
	Conditions Conditions // which conditional writes are accepted
	Limits     Limits     // zero fields take their defaults
	// Settled is called after every change and before it is acknowledged: it returns once those who cache
	// what was changed have forgotten it. nil: nobody does.
	Settled func(context.Context)
	// Moving is called before a rename by a mount: it returns once those who cache names have forgotten its two. They do not
	// cache them before moved is called, after Settled. nil: nobody does.
	Moving   func(context.Context, objstore.MoveRequest) (moved func())
	Locks    *locks.Buckets // file locks, for several who serve a store; nil: its own
	Clients  Clients        // is told of clients of the namespace; nil: nobody is
	Refusing func() error   // why the store takes no more writes until it is opened again, nil if it does; nil: nobody can tell

	Logger  *slog.Logger          // one record per request; nil: none
	Metrics prometheus.Registerer // nil: none are kept
	Now     func() time.Time      // nil: time.Now
	Rand    io.Reader             // of request ids; nil: crypto/rand
}

// Clients are told how many clients of the namespace there are. They may come back to the next server of the store,
// and want what they were reading.
type Clients interface {
	ClientCame()
	// ClientWent is not called for those that are left when the server is closed.
	ClientWent()
}

type nobody struct{}

// ClientCame does nothing.
func (nobody) ClientCame() {}

// ClientWent does nothing.
func (nobody) ClientWent() {}

// Server is an [http.Handler].
type Server struct {
	// Constant.
	opt      Options
	router   *router
	verifier *sigv4.Verifier
	settings *settings
	metrics  *metrics
	buffers  *buffers
	sessions *sessions.Table

	closing context.Context // ends when listeners of events shall go
	stop    context.CancelFunc
	ready   atomic.Bool
}

// New makes a server. It is ready at once.
func New(opt Options) (*Server, error) {
	if err := opt.Users.check(); err != nil {
		return nil, err
	}
	opt.Limits = opt.Limits.orDefaults()
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Locks == nil {
		opt.Locks = locks.NewBuckets()
	}
	if opt.Clients == nil {
		opt.Clients = nobody{}
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Rand == nil {
		opt.Rand = rand.Reader
	}
	m, err := newMetrics(opt.Metrics)
	if err != nil {
		return nil, err
	}
	s := &Server{
		opt:      opt,
		router:   newRouter(),
		verifier: sigv4.New(sigv4.Options{Region: opt.Region, Secret: opt.Users.secret, Now: opt.Now}),
		settings: newSettings(opt.Buckets),
		metrics:  m,
		buffers:  newBuffers(),
		sessions: sessions.New(sessions.Options{
			Lease: opt.Limits.SessionLease, CacheLease: opt.Limits.CacheLease, LockLease: opt.Limits.LockLease,
			Locks: opt.Locks, Rand: opt.Rand, Settled: opt.Settled, Moving: opt.Moving, Clients: opt.Clients,
		}),
	}
	s.closing, s.stop = context.WithCancel(context.Background())
	s.ready.Store(true)
	return s, nil
}

// Drain says that the server is going: readiness is refused, and streams of events end so that
// they do not keep [http.Server.Shutdown] waiting. Other requests go on.
func (s *Server) Drain() {
	s.ready.Store(false)
	s.stop()
	s.sessions.Drain()
}

// Close gives back what is held for clients: the server must not be asked any more. The store is
// not closed.
func (s *Server) Close() { s.sessions.Close() }

// Settle returns once no client answers from what it remembered before the changes there have been. Whoever changes the store
// otherwise than through s acknowledges after it. It takes at most Limits.CacheLease.
func (s *Server) Settle() { s.sessions.Settle() }

// settle does that for a change through s.
func (c *call) settle() {
	c.sessions.Settle()
	if c.opt.Settled != nil {
		c.opt.Settled(context.WithoutCancel(c.ctx()))
	}
}

// region is what the server says it is in.
func (s *Server) region() string {
	if s.opt.Region == "" {
		return RegionDefault
	}
	return s.opt.Region
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.serveHealth(w, r) {
		return
	}
	c := s.newCall(w, r)
	if rest := c.run(); rest != nil {
		c.w.drain(c.ctx(), rest, s.opt.Limits)
	}
}

// The paths of health and readiness: no bucket is called "-".
const (
	PathLive  = "/-/live"
	PathReady = "/-/ready"
)

func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.URL.Path != PathLive && r.URL.Path != PathReady || targetOf(r, s.opt.Domain).bucket != "-":
		return false
	case r.URL.Path == PathLive:
		w.WriteHeader(http.StatusOK)
		return true
	}
	if why := s.unready(r.Context()); why != "" {
		http.Error(w, "not ready: "+why, http.StatusServiceUnavailable)
		return true
	}
	w.WriteHeader(http.StatusOK)
	return true
}

// unready is why requests are better not sent here, empty if they may be. Anybody may ask: it says no more than which of three
// things it is.
func (s *Server) unready(ctx context.Context) string {
	if !s.ready.Load() {
		return "the server is about to end"
	}
	if _, err := s.opt.Buckets.ListBuckets(ctx); err != nil {
		return "the store does not answer"
	}
	if s.opt.Refusing != nil && s.opt.Refusing() != nil {
		return "the store takes no more writes until it is opened again; the log says why"
	}
	return ""
}
