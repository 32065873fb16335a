package badgerstore

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
)

// badgerLogger passes on what Badger has to say. Badger opens without a table
// whose index is damaged and only logs that; the logger notices.
//
// What it says is also the only way to learn what it does: some of it is said by the goroutine that
// is about to do it, which waits until the logger returns.
type badgerLogger struct {
	log         *slog.Logger
	beforeTable func()       // called before a compaction makes a table, which waits for it; may be nil
	flushFailed func(string) // called when a log could not be made a table; may be nil
	compacted   func()       // called when tables were compacted; may be nil
	flattens    func()       // called when a Flatten has stopped the compactors, which waits for it; may be nil
	ignored     atomic.Pointer[string]
}

const (
	saysTableIgnored = "Ignoring table"
	saysFlushFailed  = "error flushing memtable to disk"
	saysTableIsNext  = "[%d] LOG Compact. Added"
	saysCompacted    = "[Compactor: %d] Compaction for level"
	saysFlattens     = "\n"
)

func (l *badgerLogger) say(level slog.Level, format string, args []any) string {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	l.log.Log(context.Background(), level, "badger: "+text)
	return text
}

// Errorf implements badger.Logger.
func (l *badgerLogger) Errorf(format string, args ...any) {
	text := l.say(slog.LevelError, format, args)
	switch {
	case strings.HasPrefix(text, saysTableIgnored):
		l.ignored.Store(&text)
	case strings.HasPrefix(text, saysFlushFailed) && l.flushFailed != nil:
		l.flushFailed(text)
	}
}

// Warningf implements badger.Logger.
func (l *badgerLogger) Warningf(format string, args ...any) { l.say(slog.LevelWarn, format, args) }

// Infof implements badger.Logger. What is news to Badger is detail to us.
func (l *badgerLogger) Infof(format string, args ...any) {
	if l.flattens != nil && format == saysFlattens {
		l.flattens()
	}
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.say(slog.LevelDebug, format, args)
	}
}

// Debugf implements badger.Logger.
func (l *badgerLogger) Debugf(format string, _ ...any) {
	switch {
	case strings.HasPrefix(format, saysTableIsNext) && l.beforeTable != nil:
		l.beforeTable()
	case strings.HasPrefix(format, saysCompacted) && l.compacted != nil:
		l.compacted()
	}
}
