package main

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// heard passes on what is logged as an error, and says when a scrub has ended.
type heard struct {
	slog.Handler
	errors chan string
	ended  chan struct{}
}

// Handle implements [slog.Handler].
func (h heard) Handle(_ context.Context, r slog.Record) error {
	switch {
	case r.Level >= slog.LevelError:
		h.errors <- r.Message
	case r.Message == "scrubbed":
		h.ended <- struct{}{}
	}
	return nil
}

// C11: damage of a store that is in use is found and logged without anybody asking.
func TestScrubInTheBackgroundFindsDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	engine, err := badgerstore.Open(t.Context(), dir, badgerstore.Options{Create: true}, badgerstore.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	}()
	b, err := engine.Bucket(t.Context(), bucketDefault)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(t.Context(), "large", bytes.NewReader(make([]byte, 2<<20)), objstore.Unconditional(), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	h := heard{slog.DiscardHandler, make(chan string, 10), make(chan struct{}, 10)}
	scrubs := scrubNowAndThen(engine, time.Hour, 1<<30, 0, slog.New(enabled{h}))
	<-h.ended
	scrubs.Close()
	if len(h.errors) > 0 {
		t.Error(<-h.errors)
	}
	flipLargest(t, dir)
	scrubs = scrubNowAndThen(engine, time.Nanosecond, 1<<30, 0, slog.New(enabled{h}))
	if said := <-h.errors; said != "a scrub found damage" {
		t.Error(said)
	}
	scrubs.Close()
	if last, err := engine.LastScrub(); err != nil || last.Begun.IsZero() {
		t.Errorf("noted is %+v, %v", last, err)
	}
}

// enabled is for everything.
type enabled struct{ heard }

// Enabled implements [slog.Handler].
func (enabled) Enabled(context.Context, slog.Level) bool { return true }

// flipLargest flips a bit in the largest payload file of a store.
func flipLargest(t *testing.T, dir string) {
	largest, size := "", int64(0)
	err := filepath.WalkDir(filepath.Join(dir, "blobs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().IsRegular() && info.Size() > size {
			largest, size = path, info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(largest, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{1}, size/2); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
