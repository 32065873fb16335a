package packaging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// callsOf are the system calls of a set of systemd's, those of the sets in it included.
func callsOf(t *testing.T, set string) map[string]bool {
	t.Helper()
	sets, name := make(map[string][]string), ""
	for line := range strings.Lines(command(t, "systemd-analyze", "syscall-filter")) {
		word := strings.TrimSpace(line)
		switch {
		case word == "" || word[0] == '#':
		case line[0] == '@':
			name = word
		default:
			sets[name] = append(sets[name], word)
		}
	}
	calls := make(map[string]bool)
	for left := []string{set}; len(left) > 0; left = left[1:] {
		for _, word := range sets[left[0]] {
			if word[0] == '@' {
				left = append(left, word)
			}
			calls[word] = true
		}
	}
	if len(calls) < 50 {
		t.Skipf("needs systemd-analyze: it lists %d calls in %s", len(calls), set)
	}
	return calls
}

// traced is what etagfs serve asks the kernel for while it begins, stores, reads, lists, deletes and ends.
func traced(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	const script = `exec strace -f -qq -o "$1/trace" "$2" serve --listen=127.0.0.1:0 --metrics=127.0.0.1:0 --anonymous=admin --json "$1/store" >"$1/said" 2>"$1/log"`
	cmd := exec.Command("sh", "-c", script, "sh", dir, mounttest.Binary())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	server := awaitServer(t, filepath.Join(dir, "said"), ended)
	for _, request := range []struct{ method, path, body string }{
		{"PUT", "/main/small", "x"}, {"PUT", "/main/large", strings.Repeat("x", 1<<20)},
		{"GET", "/main/large", ""}, {"GET", "/main", ""}, {"DELETE", "/main/small", ""},
	} {
		req, err := http.NewRequest(request.method, server.URL+request.path, strings.NewReader(request.body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil || answer.StatusCode >= 300 {
			t.Fatalf("%s %s: %v, %v", request.method, request.path, answer, err)
		}
		answer.Body.Close()
	}
	if err := syscall.Kill(server.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// announced is what a server says when it listens.
type announced struct {
	URL string
	PID int
}

// awaitServer waits until it does.
func awaitServer(t *testing.T, file string, ended <-chan error) (server announced) {
	t.Helper()
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	deadline := time.After(patience)
	for {
		said, err := os.ReadFile(file)
		if err == nil && json.Unmarshal(said, &server) == nil {
			return server
		}
		select {
		case <-ticks.C:
		case err := <-ended:
			t.Fatalf("the server ended: %v", err)
		case <-deadline:
			t.Fatalf("the server says %q", said)
		}
	}
}

// dispensable are system calls that the server goes on without if they are refused, and that the set of an older systemd does not
// have: what is in the page cache is not known then, and large objects are read once more before the kernel has them.
func dispensable(call string) bool {
	return call == "cachestat" || call == fmt.Sprintf("syscall_%#x", unix.SYS_CACHESTAT) // as strace knows it, or does not
}

// The unit of the server takes nothing from it that it needs: every system call it makes is in the sets the unit allows, every socket of
// a family it allows, and no memory is both writable and executable.
func TestServerNeedsNoMoreThanItsUnitAllows(t *testing.T) {
	mounttest.Need(t, "binary", "strace", "systemd-analyze")
	unit, err := os.ReadFile(filepath.Join(top, "cmd/etagfs/packaging/etagfs-serve.service"))
	if err != nil || !bytes.Contains(unit, []byte("\nSystemCallFilter=@system-service\n")) || !bytes.Contains(unit, []byte("\nRestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\n")) {
		t.Fatalf("the unit allows something else: %v", err)
	}
	allowed, trace := callsOf(t, "@system-service"), traced(t)
	made := make(map[string]bool)
	for _, match := range regexp.MustCompile(`(?m)^\d+ +([a-z0-9_]+)\(`).FindAllSubmatch(trace, -1) {
		made[string(match[1])] = true
	}
	if !made["openat"] || !made["fsync"] && !made["fdatasync"] && !made["syncfs"] {
		t.Fatalf("the trace shows %v", made)
	}
	for call := range made {
		if !allowed[call] && !dispensable(call) {
			t.Errorf("the server calls %s", call)
		}
	}
	for _, match := range regexp.MustCompile(`socket\((AF_[A-Z0-9]+)`).FindAllSubmatch(trace, -1) {
		if family := string(match[1]); family != "AF_INET" && family != "AF_INET6" && family != "AF_UNIX" {
			t.Errorf("the server has a socket of family %s", family)
		}
	}
	if match := regexp.MustCompile(`.*PROT_WRITE\|PROT_EXEC.*`).Find(trace); match != nil {
		t.Errorf("memory is writable and executable: %s", match)
	}
}
