package load

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// A daemon plans with the memory it is told it may take, and with no more than its control group allows, and leaves a fifth of that to others than
// its own heap. Who sets GOMEMLIMIT knows better than the group.
func TestDaemonPlansWithTheMemoryItMayTake(t *testing.T) {
	mounttest.Need(t, "binary", "fuse")
	part := func(bytes float64) int64 { return int64(0.8 * bytes) }
	for _, row := range []struct {
		name string
		args []string
		env  string
		held bool // in a control group of 192 MiB
		want int64
	}{
		{"--memory", []string{"--memory=96M"}, "", false, part(96 << 20)},
		{"-o memory", []string{"-o", "memory=96M"}, "", false, part(96 << 20)},
		{"a control group", nil, "", true, part(192 << 20)},
		{"less than its control group", []string{"--memory=96M"}, "", true, part(96 << 20)},
		{"more than its control group", []string{"--memory=512M"}, "", true, part(192 << 20)},
		{"GOMEMLIMIT in a control group", nil, "GOMEMLIMIT=40MiB", true, 40 << 20},
		{"--memory and GOMEMLIMIT", []string{"--memory=96M"}, "GOMEMLIMIT=40MiB", false, part(96 << 20)},
	} {
		t.Run(row.name, func(t *testing.T) {
			begin := []string{"sh", "-c", `exec "$@"`, "sh"}
			if row.held {
				dir, _ := newGroup(t, fmt.Sprintf("begun-%d", os.Getpid()), 192<<20)
				begin = []string{"sh", "-c", `echo $$ >"$1" && shift && exec "$@"`, "sh", filepath.Join(dir, "cgroup.procs")}
			}
			for what, limit := range map[string]func(*testing.T, []string, string) int64{"mount": mountLimit, "serve": serverLimit} {
				args := row.args
				if what == "serve" && len(args) == 2 {
					continue // it has no -o
				}
				if got := limit(t, slices.Concat(begin, []string{mounttest.Binary(), what}, args), row.env); got != row.want {
					t.Errorf("%s plans with %d bytes, want %d", what, got, row.want)
				}
			}
		})
	}
}

// limitOf is the memory limit of Go in metrics.
func limitOf(t *testing.T, metrics []byte) int64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^go_gc_gomemlimit_bytes (\S+)$`).FindSubmatch(metrics)
	if found == nil {
		t.Fatalf("there is no limit of memory among the metrics")
	}
	limit, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(limit)
}

// mountLimit is the limit of a mount that command makes.
func mountLimit(t *testing.T, command []string, env string) int64 {
	t.Helper()
	store, dir := filepath.Join(t.TempDir(), "store"), t.TempDir()
	run := exec.Command(command[0], append(command[1:], store, dir)...)
	run.Env = append(os.Environ(), env)
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", command, err, out)
	}
	defer func() {
		if out, err := exec.Command(mounttest.Binary(), "unmount", dir).CombinedOutput(); err != nil {
			t.Errorf("unmount: %v: %s", err, out)
		}
	}()
	metrics, err := os.ReadFile(filepath.Join(dir, ".etagfs/stats"))
	if err != nil {
		t.Fatal(err)
	}
	return limitOf(t, metrics)
}

// serverLimit is the limit of a server that command starts.
func serverLimit(t *testing.T, command []string, env string) int64 {
	t.Helper()
	run := exec.Command(command[0], append(command[1:], "--json", "--listen=127.0.0.1:0", "--metrics=127.0.0.1:0", "--anonymous=read", filepath.Join(t.TempDir(), "store"))...)
	run.Env = append(os.Environ(), env)
	var said struct{ Metrics string }
	_, out := mounttest.StartPiped(t, run)
	defer func() {
		if err := run.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := run.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	}()
	if err := json.NewDecoder(out).Decode(&said); err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get(said.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var metrics strings.Builder
	if _, err := io.Copy(&metrics, answer.Body); err != nil {
		t.Fatal(err)
	}
	return limitOf(t, []byte(metrics.String()))
}
