package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// A mount that was taken out of the tree still answers while it commits what it has: who mounts its store then is not attached to it.
func TestWhoIsUnmountedIsNotAttachedTo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	end := ownStore(t, dir, "/is/mounted/no/more")
	dial := func(context.Context) (net.Conn, error) {
		t.Error("its owner was asked")
		return nil, errors.ErrUnsupported
	}
	opened := 0
	engine, attached, err := ownOrAttach(t.Context(), dir, bucketDefault, dial, slog.New(slog.DiscardHandler), func() (*badgerstore.Engine, error) {
		if opened++; opened == 3 {
			end()
		}
		return badgerstore.Open(t.Context(), dir, storeOptions(badgerstore.Options{}), badgerstore.Parts{})
	})
	if err != nil || attached != nil || opened != 3 {
		t.Fatalf("attached %v after %d times: %v", attached != nil, opened, err)
	}
	if err := engine.Close(); err != nil {
		t.Error(err)
	}
}

// One that does not end, as when something of it is still open, is attached to in the end.
func TestWhoIsUnmountedAndStaysIsAttachedTo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	defer ownStore(t, dir, "/is/mounted/no/more")()
	engine, attached, err := ownOrAttach(t.Context(), dir, bucketDefault, dialing(dir), slog.New(slog.DiscardHandler), func() (*badgerstore.Engine, error) {
		return nil, &objstore.Error{Op: "open store", Key: dir, Kind: objstore.ErrInUse}
	})
	if err != nil || engine != nil || attached == nil {
		t.Fatalf("attached %v: %v", attached != nil, err)
	}
	if err := attached.Close(); err != nil {
		t.Error(err)
	}
}
