package main

import (
	"bytes"
	"os"
	"runtime/debug"
	"sync"

	"github.com/etagfs/etagfs/cmd/etagfs/internal/rotate"
)

// The log of a background mount: STORE/etagfs.log and three older ones.
const (
	logName     = "etagfs.log"
	logBytesMax = 4 << 20
	logsKept    = 3
)

// lateLog holds back what is logged until it is known that the store's
// directory is one: nothing may be written to any other.
type lateLog struct {
	mu sync.Mutex
	// Guarded by mu.
	held bytes.Buffer
	file *rotate.File // nil until the log is open
}

// Write logs p, or holds it back.
func (l *lateLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return l.held.Write(p)
	}
	return l.file.Write(p)
}

// open writes what was held back, and from then on whatever is logged. A
// crash is told in the log too.
func (l *lateLog) open(path string) error {
	file, err := rotate.Open(path, logBytesMax, logsKept, func(f *os.File) error {
		return debug.SetCrashOutput(f, debug.CrashOptions{})
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file = file
	_, err = l.file.Write(l.held.Bytes())
	l.held = bytes.Buffer{}
	return err
}

// Close closes the file, if there is one.
func (l *lateLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
