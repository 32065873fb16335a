package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/pflag"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore"
)

// The files of the control directory that anybody may read. They name no user's file.
const (
	statsName  = "stats"  // what was counted, as Prometheus takes it
	configName = "config" // what the mount is, JSON
)

// gauges are what a mount shows of itself.
type gauges struct {
	// Constant.
	registry *prometheus.Registry
	timings  *timings
	config   mountConfig

	mount atomic.Pointer[mount.Mount] // nil until it is mounted
}

// mountConfig is .etagfs/config. Fields are only ever added.
type mountConfig struct {
	build
	PID         int       `json:"pid"`
	Host        string    `json:"host"`
	Began       time.Time `json:"began"`
	Dir         string    `json:"dir"`
	DirBytes    []byte    `json:"dir_base64,omitempty"` // if Dir could not say it
	Source      string    `json:"source"`
	SourceBytes []byte    `json:"source_base64,omitempty"` // if Source could not say it
	Store       string    `json:"store"`                   // "embedded", "attached", "server" or "s3"
	Log         string    `json:"log,omitempty"`
	exposed
	Options      map[string]string `json:"options"`
	Capabilities map[string]bool   `json:"capabilities"`
}

// show makes the gauges of a store that is about to be mounted, and the namespace they watch.
func (s *openStore) show(options mount.Options, point, host string) (*gauges, objstore.Namespace) {
	g := &gauges{registry: prometheus.NewRegistry(), timings: &timings{}}
	g.config = mountConfig{
		build: readBuild(), PID: os.Getpid(), Host: host, Began: time.Now().UTC(), Dir: point, DirBytes: fs.PathBytes(point), Source: s.source, SourceBytes: fs.PathBytes(s.source), Store: s.kind,
		Options: options.InForce(), Capabilities: capabilityNames(s.namespace.Capabilities()),
	}
	if s.kind == "embedded" || s.kind == "attached" { // a URL names its bucket
		g.config.Options["bucket"] = cmp.Or(options.Bucket, bucketDefault)
	}
	metrics := mountMetrics{counts: g.counts, kept: keptSizes(s.namespace), usage: s.namespace.Usage, cache: s.cached, timings: g.timings, build: g.config.build}
	g.registry.MustRegister(metrics.describe(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return g, timed{s.namespace, g.timings}
}

// counts are those of the mount, once there is one.
func (g *gauges) counts() (mount.Activity, fs.Counts) {
	m := g.mount.Load()
	if m == nil {
		return mount.Activity{}, fs.Counts{}
	}
	return m.Activity(), m.Counts()
}

// keptSizes counts the kept copies of a store.
func keptSizes(ns objstore.Namespace) func(context.Context) (int, int64, error) {
	return func(ctx context.Context) (copies int, bytes int64, err error) {
		all, err := ns.ListConflicts(ctx)
		for _, c := range all {
			bytes += c.Bytes
		}
		return len(all), bytes, err
	}
}

// capabilityNames are those of a store that a mount depends on.
func capabilityNames(c objstore.Capabilities) map[string]bool {
	return map[string]bool{
		"unique_versions": c.UniqueVersions, "pinned_readers": c.PinnedReaders, "one_delete": c.OneDelete, "rename_file": c.RenameFile,
		"rename_dir": c.RenameDir, "hard_links": c.HardLinks, "attributes": c.Attributes, "access_times": c.AccessTimes, "partial_commit": c.PartialCommit,
		"server_copy": c.ServerCopy, "watch": c.Watch,
	}
}

// files are those of the control directory.
func (g *gauges) files() []fs.ControlFile {
	public := func(name string, text func(context.Context) []byte) fs.ControlFile {
		return fs.ControlFile{Name: name, Mode: 0o444, UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Text: text}
	}
	return []fs.ControlFile{public(statsName, g.stats), public(configName, g.configText)}
}

func (g *gauges) configText(context.Context) []byte {
	text, err := json.MarshalIndent(g.config, "", "  ")
	if err != nil {
		return []byte(err.Error() + "\n") // none of the fields can fail
	}
	return append(text, '\n')
}

// stats is what /metrics answers.
func (g *gauges) stats(ctx context.Context) []byte {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return []byte("# " + err.Error() + "\n") // the request is a constant
	}
	var answer textAnswer
	g.handler().ServeHTTP(&answer, r)
	return answer.Bytes()
}

func (g *gauges) handler() http.Handler {
	return promhttp.HandlerFor(g.registry, promhttp.HandlerOpts{})
}

// textAnswer is the body of an answer.
type textAnswer struct {
	bytes.Buffer
	header http.Header
}

// Header implements [http.ResponseWriter].
func (a *textAnswer) Header() http.Header {
	if a.header == nil {
		a.header = make(http.Header)
	}
	return a.header
}

// WriteHeader implements [http.ResponseWriter].
func (a *textAnswer) WriteHeader(int) {}

// exposure is what a mount or a server serves over HTTP beside.
type exposure struct {
	metrics string // address; empty: not
	pprof   string
}

func (e *exposure) flags(f *pflag.FlagSet) {
	f.StringVar(&e.metrics, "metrics", "", "address to serve Prometheus metrics on, at /metrics; empty: none")
	f.StringVar(&e.pprof, "pprof", "", "address to serve profiles of the process on, at /debug/pprof/, on the loopback interface unless it names a host; empty: none")
}

// check finds addresses that make no sense.
func (e exposure) check() error {
	for name, value := range map[string]string{"metrics": e.metrics, "pprof": e.pprof} {
		if value == "" {
			continue
		}
		if _, err := net.ResolveTCPAddr("tcp", value); err != nil {
			return usageErrorf("--%s is HOST:PORT: %v", name, err)
		}
	}
	return nil
}

// exposed is where that is.
type exposed struct {
	Metrics string `json:"metrics,omitempty"`
	Pprof   string `json:"pprof,omitempty"`
}

// serve begins, and says where.
func (e exposure) serve(metrics http.Handler, logger *slog.Logger) (at exposed, stop func(), err error) {
	var stopMetrics, stopProfiles func()
	if at.Metrics, stopMetrics, err = exposeAt(e.metrics, "/metrics", metrics, logger); err != nil {
		return at, nil, err
	}
	if at.Pprof, stopProfiles, err = exposeAt(onLoopback(e.pprof), "/debug/pprof/", pprofHandler(), logger); err != nil {
		stopMetrics()
		return at, nil, err
	}
	return at, func() {
		stopProfiles()
		stopMetrics()
	}, nil
}

// onLoopback is an address that others reach only if it says so: profiles show what is in memory.
func onLoopback(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host != "" {
		return address
	}
	return net.JoinHostPort("127.0.0.1", port)
}

func pprofHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// exposeAt serves handler below path until stop is called, which waits. Without an address it does nothing.
func exposeAt(address, path string, handler http.Handler, logger *slog.Logger) (url string, stop func(), err error) {
	if address == "" {
		return "", func() {}, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(path, handler)
	h := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := h.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("serving "+path, "error", err)
		}
	}()
	return "http://" + listener.Addr().String() + path, func() {
		if err := h.Close(); err != nil {
			logger.Warn("ending "+path, "error", err)
		}
		<-ended
	}, nil
}
