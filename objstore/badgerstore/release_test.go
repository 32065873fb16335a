package badgerstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

func TestReleasedWaitsForTheOwnerAndNamesIt(t *testing.T) {
	dir := makeStore(t)
	e := openTest(t, dir, Options{Program: "somebody", MountPoint: "/some/where"})
	if owner, held, err := Owner(dir); err != nil || !held || owner.PID != os.Getpid() || owner.MountPoint != "/some/where" {
		t.Fatalf("owner %v, %v, %v", owner, held, err)
	}
	named := 0
	err := Released(t.Context(), dir, func(owner LockOwner) {
		named++
		if owner.Program != "somebody" {
			t.Errorf("waiting for %v", owner)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil || named != 1 {
		t.Errorf("released: %v, after naming the owner %d times", err, named)
	}
	if last, held, err := Owner(dir); err != nil || held || last.Program != "somebody" || last.PID != os.Getpid() {
		t.Errorf("last owner %v, held %v, %v", last, held, err)
	}
}

func TestReleasedEndsWithItsContext(t *testing.T) {
	dir := makeStore(t)
	e := openTest(t, dir, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Released(ctx, dir, func(LockOwner) {}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func TestAStoreThatIsGoneIsHeldByNobody(t *testing.T) {
	if _, held, err := Owner(t.TempDir()); err != nil || held {
		t.Errorf("held %v, %v", held, err)
	}
}

func TestWhoLooksForTheOwnerKeepsNobodyOut(t *testing.T) {
	dir := makeStore(t)
	looker, err := disk.OS{}.LockToRead(filepath.Join(dir, lockName))
	if err != nil {
		t.Fatal(err)
	}
	if owner, held, err := Owner(dir); err != nil || held {
		t.Errorf("while another looks: %v, held %v, %v", owner, held, err)
	}
	asked := 0
	parts := testParts(t)
	parts.Disk = disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if op.Name != filepath.Join(dir, lockName) || op.Kind != disk.OpCreate {
			return nil
		}
		if asked++; asked == 3 {
			return looker.Close()
		}
		return nil
	})
	e, err := Open(t.Context(), dir, Options{}, parts)
	if err != nil || asked != 3 {
		t.Fatalf("opened at the %d. time: %v", asked, err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
