package main

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// A store is taken over from a mount. A server is begun anew by whoever watches over it, and must find the store free.
func TestOnlyMountsHaveHeirs(t *testing.T) {
	for point, want := range map[string]bool{"/some/where": true, "": false} {
		dir := filepath.Join(t.TempDir(), "store")
		engine, err := badgerstore.Open(t.Context(), dir, storeOptions(badgerstore.Options{Create: true, MountPoint: point}), badgerstore.Parts{})
		if err != nil {
			t.Fatal(err)
		}
		h := newHeir(dir, "/else/where", slog.New(slog.DiscardHandler))
		if h.succeeds() {
			t.Error("a store that is open was taken over")
		}
		if err := engine.Close(); err != nil {
			t.Fatal(err)
		}
		if got := h.succeeds(); got != want {
			t.Errorf("after an owner that was mounted at %q it was taken over: %v", point, got)
		}
		close(h.ended) // nothing runs
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
}
