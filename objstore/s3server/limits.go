package s3server

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"crypto/tls"
	"log/slog"
)

// What limits are if they are not given.
const (
	LockLeaseDefault  = 5 * time.Second
	CacheLeaseDefault = time.Second
)

// Limits bound what clients can take. Zero fields take their defaults.
type Limits struct {
	HeaderBytes  int           // of a request's head: 64 KiB
	HeaderTime   time.Duration // to send it: 10 s
	StallTime    time.Duration // without a byte of a body read or written: 60 s
	DrainTime    time.Duration // for what is left of the body of a refused request: 5 s
	LingerTime   time.Duration // for a client that is refused, and sends on, to notice: 5 s
	IdleTime     time.Duration // of a connection between requests: 120 s
	Connections  int           // at once; more wait to be accepted: 4096
	PutBytes     int64         // of one put or part: 5 GiB, as S3's
	PartBytesMin int64         // of any part but the last: 5 MiB, as S3 has it
	SessionLease time.Duration // of a client of the namespace that sends nothing: 30 s
	CacheLease   time.Duration // of what such a client remembers, and how long others wait for one that does not answer: 1 s
	LockLease    time.Duration // of the file locks of such a client: 5 s
	FormBytes    int64         // of all fields of a POST form but the file: 20 KiB
}

func (l Limits) orDefaults() Limits {
	orDefault(&l.HeaderBytes, 64<<10)
	orDefault(&l.HeaderTime, 10*time.Second)
	orDefault(&l.StallTime, time.Minute)
	orDefault(&l.DrainTime, 5*time.Second)
	orDefault(&l.LingerTime, 5*time.Second)
	orDefault(&l.IdleTime, 2*time.Minute)
	orDefault(&l.Connections, 4096)
	orDefault(&l.PutBytes, 5<<30)
	orDefault(&l.PartBytesMin, 5<<20)
	orDefault(&l.SessionLease, 30*time.Second)
	orDefault(&l.CacheLease, CacheLeaseDefault)
	orDefault(&l.LockLease, LockLeaseDefault)
	orDefault(&l.FormBytes, 20<<10)
	return l
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// The most that documents in a body may have.
const (
	deleteBytesMax   = 2 << 20 // 1,000 keys
	completeBytesMax = 4 << 20 // 10,000 parts with checksums
	documentBytesMax = 64 << 10
	policyBytesMax   = 20 << 10
	metaBytesMax     = 2 << 10
)

// HTTP is a server of net/http for s, with its limits on heads and idle connections. Bodies have
// no time of their own: one that moves may take as long as it likes, one that stalls is cut off.
func (s *Server) HTTP(t *tls.Config) *http.Server {
	return &http.Server{
		Handler:           s,
		TLSConfig:         t,
		ReadHeaderTimeout: s.opt.Limits.HeaderTime,
		IdleTimeout:       s.opt.Limits.IdleTime,
		MaxHeaderBytes:    s.opt.Limits.HeaderBytes,
		ConnContext:       withConn,
		ErrorLog:          slog.NewLogLogger(s.opt.Logger.Handler(), slog.LevelWarn),
	}
}

// Shutdown ends h, which [Server.HTTP] made: new requests are refused, those that run may finish until
// ctx ends, then their connections are closed.
func (s *Server) Shutdown(ctx context.Context, h *http.Server) error {
	s.Drain()
	err := h.Shutdown(ctx)
	if err != nil {
		return h.Close()
	}
	return nil
}

// Listener is l, with at most as many connections at once as the limits say.
func (s *Server) Listener(l net.Listener) net.Listener {
	return &boundedListener{Listener: l, slots: make(chan struct{}, s.opt.Limits.Connections), closed: make(chan struct{})}
}

type boundedListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
	pieces pieces
}

// Accept waits for a connection and for a place for it.
func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &boundedConn{Conn: conn, release: sync.OnceFunc(func() { <-l.slots }), pieces: &l.pieces}, nil
}

// Close ends Accept, also while it waits for a place.
func (l *boundedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}
