package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// ownStore has the store in dir open until end is called, and lets others use it.
func ownStore(t *testing.T, dir, point string) (end func()) {
	t.Helper()
	engine, err := badgerstore.Open(t.Context(), dir, storeOptions(badgerstore.Options{Create: true, MountPoint: point}), badgerstore.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	socket, err := listenBeside(dir, offering(engine), nil, logger)
	if err != nil {
		t.Fatal(errors.Join(err, engine.Close()))
	}
	return func() {
		if err := errors.Join(socket.Close(context.Background()), engine.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// attachedHeir is one that has reached the owner of the store in dir.
func attachedHeir(t *testing.T, dir string) *heir {
	t.Helper()
	h := newHeir(dir, "/else/where", slog.New(slog.DiscardHandler))
	close(h.ended) // nothing runs
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	conn, err := h.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	return h
}

// A store is taken over from a mount. A server is begun anew by whoever watches over it, and must find the store free.
func TestOnlyMountsHaveHeirs(t *testing.T) {
	for point, want := range map[string]bool{"/some/where": true, "": false} {
		dir := filepath.Join(t.TempDir(), "store")
		end := ownStore(t, dir, point)
		h := attachedHeir(t, dir)
		if h.succeeds() {
			t.Error("a store that is open was taken over")
		}
		end()
		if got := h.succeeds(); got != want {
			t.Errorf("after an owner that was mounted at %q it was taken over: %v", point, got)
		}
	}
}

// A command that finds the store without an owner, just after the mount that was it has ended, has it for a moment. The mounts that
// were attached go on all the same.
func TestCommandsAreNotInheritedFrom(t *testing.T) {
	for point, want := range map[string]bool{"/some/where": true, "": false} {
		dir := filepath.Join(t.TempDir(), "store")
		end := ownStore(t, dir, point)
		h := attachedHeir(t, dir)
		end()
		command, err := badgerstore.Open(t.Context(), dir, storeOptions(badgerstore.Options{}), badgerstore.Parts{})
		if err != nil {
			t.Fatal(err)
		}
		if h.succeeds() {
			t.Error("a store that is open was taken over")
		}
		if err := command.Close(); err != nil {
			t.Fatal(err)
		}
		if got := h.succeeds(); got != want {
			t.Errorf("after a command, and an owner that was mounted at %q, it was taken over: %v", point, got)
		}
	}
}
