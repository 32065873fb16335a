package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) count(line string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), line)
}

// Conflicts never wait for a hook that does not end, and neither does the end of the mount: neither would return here.
func TestNobodyWaitsForAHookThatDoesNotEnd(t *testing.T) {
	began := filepath.Join(t.TempDir(), "began")
	var log lockedBuffer
	h := newConflictHook("touch "+began+"; exec sleep 100000", "/mnt", "", slog.New(slog.NewTextHandler(&log, nil)))
	conflict := func(n int) objstore.Conflict {
		return objstore.Conflict{ID: objstore.ConflictID(fmt.Sprint(n)), Path: "f"}
	}
	h.happened(conflict(0))
	awaitFile(t, began)
	const surplus = 3
	for n := range hookQueue + surplus {
		h.happened(conflict(n + 1))
	}
	if n := log.count("too many conflicts wait"); n != surplus {
		t.Errorf("%d conflicts were turned away, want %d", n, surplus)
	}
	h.Close()
	if n := log.count(fmt.Sprintf(`reason="the mount is ending" conflicts=%d`, hookQueue)); n != 1 {
		t.Errorf("the end is not told: %s", log.text.String())
	}
	h.happened(conflict(1000))
	if n := log.count(`reason="the mount is ending" conflict=1000`); n != 1 {
		t.Errorf("a conflict after the end is not told: %s", log.text.String())
	}
}

func awaitFile(t *testing.T, name string) {
	t.Helper()
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	deadline := time.After(patience)
	for {
		if _, err := os.Stat(name); err == nil {
			return
		}
		select {
		case <-ticks.C:
		case <-deadline:
			t.Fatalf("waited for %s in vain", name)
		}
	}
}
