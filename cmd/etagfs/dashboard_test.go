package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/etagfs/etagfs/fs"
	durations "github.com/etagfs/etagfs/fs/meter"
	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// exported are the names a mount and a server export, every metric having a value.
func exported(t *testing.T) map[string]bool {
	took := durations.Distribution{Sum: time.Second}
	took.Counts[3] = 1
	timings := &timings{}
	for r := range storeRequests {
		timings.done(r, time.Now(), nil)
	}
	registry := prometheus.NewRegistry()
	serveOnce(t, registry)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), mountMetrics{
		counts: func() (mount.Activity, fs.Counts) {
			return mount.Activity{Requests: []mount.RequestCount{{Kind: "write", Took: took}}}, fs.Counts{Commits: took}
		},
		kept:  func(context.Context) (int, int64, error) { return 1, 1, nil },
		usage: func(context.Context) (objstore.Usage, error) { return objstore.Usage{}, nil },
		cache: func() int64 { return 1 }, timings: timings,
	}.describe())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, family := range families {
		names[family.GetName()] = true
		for _, m := range family.GetMetric() {
			if m.GetHistogram() != nil {
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					names[family.GetName()+suffix] = true
				}
			}
		}
	}
	return names
}

// serveOnce has a server count a request.
func serveOnce(t *testing.T, registry *prometheus.Registry) {
	everything := s3server.Users{Anonymous: &s3server.User{Admin: []string{"*"}}}
	server, err := s3server.New(s3server.Options{
		Buckets: memstore.New(memstore.Options{}), Users: everything, Metrics: registry, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	server.HTTP(nil).Handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}

// The dashboard asks for what there is, in panels that are where they can be seen.
func TestDashboardAsksForWhatIsExported(t *testing.T) {
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Title         string
		UID           string
		SchemaVersion int
		Panels        []struct {
			ID      int
			Title   string
			Type    string
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.Title == "" || dashboard.UID == "" || dashboard.SchemaVersion == 0 || len(dashboard.Panels) == 0 {
		t.Errorf("not a dashboard: %+v", dashboard)
	}
	known, ids, asked := exported(t), make(map[int]bool), make(map[string]bool)
	name := regexp.MustCompile(`\b(etagfs|process|go)_[a-z0-9_]+`)
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" || p.Type == "" || p.GridPos.W == 0 || p.GridPos.H == 0 || p.GridPos.X+p.GridPos.W > 24 || len(p.Targets) == 0 {
			t.Errorf("panel %d %q is not one: %+v", p.ID, p.Title, p)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			names := name.FindAllString(target.Expr, -1)
			if len(names) == 0 || target.RefID == "" || strings.Count(target.Expr, "(") != strings.Count(target.Expr, ")") {
				t.Errorf("panel %q asks %q", p.Title, target.Expr)
			}
			for _, n := range names {
				asked[n] = true
				if !known[n] {
					t.Errorf("panel %q asks for %s, which is not exported", p.Title, n)
				}
			}
		}
	}
	for n := range known {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(n, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(n, "etagfs_") && !asked[n] && !asked[base+"_bucket"] && !asked[base+"_count"] && n != "etagfs_build_info" {
			t.Errorf("%s is on no panel", n)
		}
	}
}
