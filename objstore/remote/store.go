package remote

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// PatienceDefault is how long requests wait for a server that does not answer. The time counts from the
// first attempt that had no answer, of any request.
const PatienceDefault = 12 * time.Second

// openPatience is how long a store that is being opened waits: who opens it can be told at once.
const openPatience = time.Second

// PrefetchBytes is the size up to which a content comes with the reply to its opening.
const PrefetchBytes = 64 << 10

// Options say which bucket is meant.
type Options struct {
	Endpoint string // URL of the server, without the bucket
	Bucket   string
	Region   string        // of signatures; empty: us-east-1
	StageDir string        // for what is written; empty: the system's directory for temporary files
	Patience time.Duration // 0: PatienceDefault
}

// Parts are what a store is built from. All have defaults.
type Parts struct {
	Transport   http.RoundTripper // nil: one of its own
	Dial        func(context.Context) (net.Conn, error)
	Credentials *Credentials // nil: requests are not signed
	Logger      *slog.Logger
	Rand        io.Reader
	Clock       Clock
}

// Clock waits.
type Clock interface {
	// Sleep returns after d, or with the context's error.
	Sleep(ctx context.Context, d time.Duration) error
}

// Store is one bucket of a server.
type Store struct {
	// Constant.
	opt      Options
	parts    Parts
	http     *http.Client
	address  string
	root     objstore.ID
	caps     objstore.Capabilities
	feed     feed
	lease    lease
	silence  silence
	ahead    clockAhead
	records  records
	locker   locker
	pins     pins
	closing  context.Context
	stop     context.CancelFunc
	running  sync.WaitGroup
	releases chan uint64Handle
	turns    chan struct{} // capacity largePushes: one for each large stage that is being sent
	staging  Staging       // set before there is a stage; nil: nothing that is written outlives the process

	mu sync.Mutex
	// Guarded by mu.
	session  *session
	gone     *session      // the last one that was lost
	renewing chan struct{} // closed when a new session was begun, or could not be; nil: nobody is at it
	ids      []objstore.ID // reserved and not given out
}

// session is one that the server began for us.
type session struct {
	// Constant.
	id        string
	lease     time.Duration
	lockLease time.Duration

	mu sync.Mutex
	// Guarded by mu.
	last    uint64              // request
	pending map[uint64]struct{} // requests without an answer
}

// uint64Handle is a handle to be given back.
type uint64Handle struct {
	session *session
	handle  uint64
}

// ParseURL understands http(s)://host:port/bucket.
func ParseURL(text string) (Options, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return Options{}, invalidURL(text, err)
	}
	bucket := strings.Trim(u.Path, "/")
	if bucket == "" || strings.Contains(bucket, "/") {
		return Options{}, invalidURL(text, nil)
	}
	return Options{Endpoint: u.Scheme + "://" + u.Host, Bucket: bucket}, nil
}

func invalidURL(text string, err error) error {
	return &objstore.Error{Op: "open store", Key: text, Kind: objstore.ErrInvalid, Detail: "use http://host:port/bucket", Err: err}
}

// Open begins a session.
func Open(ctx context.Context, opt Options, parts Parts) (*Store, error) {
	s := &Store{opt: opt.orDefaults(), parts: parts.orDefaults(opt.orDefaults().Patience), releases: make(chan uint64Handle, 4096), turns: make(chan struct{}, largePushes)}
	s.http = &http.Client{Transport: s.parts.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	s.address = strings.TrimSuffix(s.opt.Endpoint, "/") + "/" + s.opt.Bucket + "?etagfs-namespace="
	s.feed.init()
	s.lease.wanted = make(chan struct{}, 1)
	s.pins.init()
	s.locker = locker{s: s, objects: make(map[objstore.ID]*locked)}
	s.closing, s.stop = context.WithCancel(context.Background())
	hello, err := s.hello(ctx, min(s.opt.Patience, openPatience))
	if err != nil {
		s.stop()
		return nil, err
	}
	s.root, s.caps, s.session = hello.Root, hello.Capabilities, newSession(hello)
	s.locker.lease = hello.LockLease
	s.running.Go(s.keepAlive)
	s.running.Go(s.giveBack)
	return s, nil
}

func newSession(hello wire.Hello) *session {
	return &session{id: hello.Session, lease: hello.Lease, lockLease: hello.LockLease, pending: make(map[uint64]struct{})}
}

func (o Options) orDefaults() Options {
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Patience <= 0 {
		o.Patience = PatienceDefault
	}
	return o
}

func (p Parts) orDefaults(patience time.Duration) Parts {
	if p.Logger == nil {
		p.Logger = slog.New(slog.DiscardHandler)
	}
	if p.Rand == nil {
		p.Rand = rand.Reader
	}
	if p.Clock == nil {
		p.Clock = wallClock{}
	}
	if p.Transport == nil {
		p.Transport = &http.Transport{
			MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, DisableCompression: true,
			TLSHandshakeTimeout: patience, ResponseHeaderTimeout: patience, WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
			DialContext: dialSteady(p.Dial, patience),
		}
	}
	return p
}

type wallClock struct{}

// Sleep implements [Clock].
func (wallClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the session. Readers and stages are of no use afterwards.
func (s *Store) Close() error {
	s.stop()
	s.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// A server that cannot be told ends the session by itself.
	if session, err := s.current(ctx); err == nil {
		head := wire.Head{Protocol: wire.Protocol, Method: wire.MethodGoodbye, Session: session.id}
		if r, err := s.send(ctx, &head, &wire.None{}, nil); err == nil {
			r.close()
		}
	}
	s.http.CloseIdleConnections()
	return nil
}

// Capabilities are the server's, as far as they reach here.
func (s *Store) Capabilities() objstore.Capabilities { return s.caps }

// Root implements [objstore.Namespace].
func (s *Store) Root() objstore.ID { return s.root }

// newWriteID makes a write id: 32 hex digits.
func (s *Store) newWriteID() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.parts.Rand, b[:]); err != nil {
		return "", &objstore.Error{Op: "make write id", Kind: objstore.ErrUnavailable, Err: err}
	}
	return hex.EncodeToString(b[:]), nil
}

// keepAlive lets the server know that we are there.
func (s *Store) keepAlive() {
	for {
		session, err := s.current(s.closing)
		if err != nil {
			if s.parts.Clock.Sleep(s.closing, s.opt.Patience/4) != nil {
				return
			}
			continue
		}
		if s.parts.Clock.Sleep(s.closing, session.lease/3) != nil {
			return
		}
		ctx, cancel := context.WithTimeout(s.closing, session.lease/3)
		_ = s.ask(ctx, request{op: "ping", method: wire.MethodPing, message: &wire.None{}}, &wire.None{}) // the next may succeed
		cancel()
	}
}

// giveBack releases handles, many at once.
func (s *Store) giveBack() {
	for {
		select {
		case <-s.closing.Done():
			return
		case h := <-s.releases:
			s.collectReleases()
			m := &wire.Release{Handles: []uint64{h.handle}}
			for range len(s.releases) {
				if more := <-s.releases; more.session == h.session {
					m.Handles = append(m.Handles, more.handle)
				} else if s.isCurrent(more.session) {
					h, m.Handles = more, []uint64{more.handle}
				}
			}
			if s.isCurrent(h.session) {
				// What is not released now is when the session ends.
				_ = s.ask(s.closing, request{op: "release", method: wire.MethodRelease, message: m, within: h.session}, &wire.None{})
			}
		}
	}
}

// releaseDelay is how long what is given back waits for more: each request costs more than what it gives back.
const releaseDelay = 50 * time.Millisecond

// collectReleases waits for more, unless there are many.
func (s *Store) collectReleases() {
	if len(s.releases) > cap(s.releases)/2 {
		return
	}
	timer := time.NewTimer(releaseDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.closing.Done():
	}
}

// release gives a handle back, soon.
func (s *Store) release(in *session, handle uint64) {
	if handle == 0 {
		return
	}
	select {
	case s.releases <- uint64Handle{in, handle}:
	case <-s.closing.Done():
	}
}

func (s *Store) isCurrent(in *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session == in
}
