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
type badgerLogger struct {
	log     *slog.Logger
	ignored atomic.Pointer[string]
}

func (l *badgerLogger) say(level slog.Level, format string, args []any) string {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	l.log.Log(context.Background(), level, "badger: "+text)
	return text
}

// Errorf implements badger.Logger.
func (l *badgerLogger) Errorf(format string, args ...any) {
	text := l.say(slog.LevelError, format, args)
	if strings.HasPrefix(text, "Ignoring table") {
		l.ignored.Store(&text)
	}
}

// Warningf implements badger.Logger.
func (l *badgerLogger) Warningf(format string, args ...any) { l.say(slog.LevelWarn, format, args) }

// Infof implements badger.Logger. What is news to Badger is detail to us.
func (l *badgerLogger) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.say(slog.LevelDebug, format, args)
	}
}

// Debugf implements badger.Logger.
func (l *badgerLogger) Debugf(string, ...any) {}
