package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/etagfs/etagfs/fs"
	durations "github.com/etagfs/etagfs/fs/meter"
	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore"
)

// countPatience is how long the store may take to list its conflicts for the metrics; after that they are left out.
const countPatience = 2 * time.Second

// What tells of a store that takes no more writes.
const (
	refusingName = "store_refusing"
	refusingHelp = "1 if the store takes no more writes until it is opened again, with why; else 0."
)

// mountMetrics are what a mount has counted, for Prometheus. Nothing is counted twice: they are made when they are asked for.
type mountMetrics struct {
	counts  func() (mount.Activity, fs.Counts)
	kept    func(ctx context.Context) (copies int, bytes int64, err error)
	usage   func(context.Context) (objstore.Usage, error)
	cache   func() int64 // bytes; nil: there is no cache
	timings *timings
	build   build
	requests, failures, running, read, written,
	commits, kepts, copies, copyBytes, transactions, staging, cached,
	store, storeFailures, refusing, about *prometheus.Desc
}

// describe names the metrics.
func (m mountMetrics) describe() mountMetrics {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("etagfs_"+name, help, labels, nil)
	}
	m.requests = d("fuse_request_seconds", "Time to answer requests of the kernel, by operation.", "operation")
	m.failures = d("fuse_failures_total", "Requests of the kernel answered with an error, by operation.", "operation")
	m.running = d("fuse_running_requests", "Requests of the kernel that are being answered.")
	m.read = d("fuse_read_bytes_total", "Bytes given to the kernel; what its page cache has it does not ask for.")
	m.written = d("fuse_written_bytes_total", "Bytes taken from the kernel.")
	m.commits = d("commits_total", "Commits by outcome: committed, rebased (an append, onto what others had committed), conflict (EBUSY), failed, unknown.", "outcome")
	m.kepts = d("kept_total", "Times that bytes were kept because a commit did not come to be.")
	m.copies = d("kept_copies", "Kept copies there are.")
	m.copyBytes = d("kept_bytes", "Sizes of the kept copies.")
	m.transactions = d("transactions", "Files open for writing, those of them that have changes, and those in a commit.", "state")
	m.staging = d("staging_bytes", "Sizes of the files that have changes which are not committed.")
	m.cached = d("cache_bytes", "Bytes of contents cached on local disk.")
	m.store = d("store_request_seconds", "Time the store took to answer, by request.", "request")
	m.storeFailures = d("store_failures_total", "Requests to the store that failed, by request; lost conditions and absence are answers.", "request")
	m.refusing = d(refusingName, refusingHelp, "why")
	m.about = d("build_info", "1, with what the program is.", "version", "commit", "go")
	return m
}

// Describe implements [prometheus.Collector].
func (m mountMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.requests, m.failures, m.running, m.read, m.written, m.commits, m.kepts, m.copies, m.copyBytes, m.transactions, m.staging,
		m.cached, m.store, m.storeFailures, m.refusing, m.about,
	} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (m mountMetrics) Collect(to chan<- prometheus.Metric) {
	activity, counts := m.counts()
	for _, r := range activity.Requests {
		to <- histogram(m.requests, r.Took, r.Kind)
		to <- counter(m.failures, r.Failed, r.Kind)
	}
	to <- gauge(m.running, float64(activity.Running))
	to <- counter(m.read, activity.ReadBytes)
	to <- counter(m.written, activity.WrittenBytes)
	m.collectCommits(to, counts)
	m.collectStore(to, counts)
	to <- gauge(m.about, 1, m.build.Version, m.build.Commit, m.build.Go)
}

func (m mountMetrics) collectCommits(to chan<- prometheus.Metric, c fs.Counts) {
	to <- counter(m.commits, c.Committed, "committed")
	to <- counter(m.commits, c.Rebased, "rebased")
	to <- counter(m.commits, c.Lost, "conflict")
	to <- counter(m.commits, c.Failed, "failed")
	to <- counter(m.commits, c.Unknown, "unknown")
	to <- counter(m.kepts, c.Kept)
	to <- gauge(m.transactions, float64(c.Open), "open")
	to <- gauge(m.transactions, float64(c.Changed), "changed")
	to <- gauge(m.transactions, float64(c.Committing), "committing")
	to <- gauge(m.staging, float64(c.StagingBytes))
	ctx, cancel := context.WithTimeout(context.Background(), countPatience)
	defer cancel()
	if copies, bytes, err := m.kept(ctx); err == nil {
		to <- gauge(m.copies, float64(copies))
		to <- gauge(m.copyBytes, float64(bytes))
	}
}

func (m mountMetrics) collectStore(to chan<- prometheus.Metric, c fs.Counts) {
	for r := range storeRequests {
		if took := m.timings[r].took.Read(); took.Count() > 0 {
			to <- histogram(m.store, took, r.String())
			to <- counter(m.storeFailures, m.timings[r].failed.Load(), r.String())
		}
	}
	if c.Commits.Count() > 0 {
		to <- histogram(m.store, c.Commits, "commit")
	}
	ctx, cancel := context.WithTimeout(context.Background(), countPatience)
	defer cancel()
	if usage, err := m.usage(ctx); err == nil {
		to <- gauge(m.refusing, float64(min(1, len(usage.Refusing))), usage.Refusing)
	}
	if m.cache != nil {
		to <- gauge(m.cached, float64(m.cache()))
	}
}

func counter(d *prometheus.Desc, n uint64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func gauge(d *prometheus.Desc, n float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
}

func histogram(d *prometheus.Desc, took durations.Distribution, labels ...string) prometheus.Metric {
	upTo, all := make(map[float64]uint64, durations.Buckets), uint64(0)
	for i, count := range took.Counts {
		all += count
		if i < durations.Buckets-1 {
			upTo[durations.Bound(i).Seconds()] = all
		}
	}
	return prometheus.MustNewConstHistogram(d, all, took.Sum.Seconds(), upTo, labels...)
}
