package badgerstore

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/objstoretest"
)

func testParts(t testing.TB) Parts {
	return Parts{Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
}

func openTest(t testing.TB, dir string, opt Options) *Engine {
	t.Helper()
	e, err := Open(t.Context(), dir, opt, testParts(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil && e.Refusing() == nil { // of a store that stopped it is no news
			t.Error(err)
		}
	})
	return e
}

func mainBucket(t testing.TB, e *Engine) *Bucket {
	t.Helper()
	b, err := e.bucket(t.Context(), MainBucket)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// copyStore copies the files of a store as they are at one moment, holes kept. Badger's background
// work may come between, and then it is done again.
func copyStore(from, to string) error {
	var err error
	for range 100 {
		before := listing(from)
		var out []byte
		out, err = exec.Command("cp", "-a", "--sparse=always", from, to).CombinedOutput()
		if err == nil && listing(from) == before {
			return nil
		}
		err = errors.Join(err, errors.New("cp: "+string(out)), os.RemoveAll(to))
	}
	return err
}

// listing is the names below dir, with what changes when a file does.
func listing(dir string) string {
	out, err := exec.Command("find", dir, "-printf", "%p %s %T@\n").CombinedOutput()
	if err != nil {
		return ""
	}
	return string(out)
}

func subjectOf(t *testing.T, dir string, profile Profile) (*objstoretest.Subject, error) {
	e, err := Open(context.Background(), dir, Options{Profile: profile, Create: true}, testParts(t))
	if err != nil {
		return nil, err
	}
	b, err := e.bucket(context.Background(), MainBucket)
	if err != nil {
		return nil, err
	}
	return &objstoretest.Subject{
		Store: b, Namespace: b, Buckets: e,
		Check: e.checkInvariants,
		Close: func() error { return errors.Join(e.Close(), os.RemoveAll(dir)) },
		Reopen: func(context.Context) (*objstoretest.Subject, error) {
			crashed := dir + "+"
			if err := copyStore(dir, crashed); err != nil {
				return nil, err
			}
			if err := errors.Join(e.Close(), os.RemoveAll(dir)); err != nil {
				return nil, err
			}
			return subjectOf(t, crashed, profile)
		},
	}, nil
}

func oracle(context.Context) (*objstoretest.Subject, error) {
	engine := memstore.New(memstore.Options{})
	b, err := engine.Bucket(context.Background(), memstore.MainBucket)
	if err != nil {
		return nil, err
	}
	return &objstoretest.Subject{Store: b, Namespace: b.(objstore.Namespace), Buckets: engine}, nil
}

// testDir is a directory for stores: in memory, where syncs are cheap, unless
// ETAGFS_TEST_DIR names another place.
func testDir(t testing.TB) string {
	t.Helper()
	base := os.Getenv("ETAGFS_TEST_DIR")
	if base == "" {
		base = "/dev/shm"
	}
	dir, err := os.MkdirTemp(base, "badgerstore-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestConformance(t *testing.T) {
	for _, profile := range []Profile{ProfileMount, ProfileServer} {
		t.Run(map[Profile]string{ProfileMount: "mount", ProfileServer: "server"}[profile], func(t *testing.T) {
			if testing.Short() && profile == ProfileServer {
				t.Skip("long: the short form has it with the sizes of a mount")
			}
			base := testDir(t)
			n := 0
			objstoretest.Run(t, objstoretest.Config{
				Open: func(context.Context) (*objstoretest.Subject, error) {
					n++
					return subjectOf(t, filepath.Join(base, "store"+string(rune('a'+n%26))), profile)
				},
				Oracle:   oracle,
				Sizes:    []int64{int64(profile.sizes().inlineBytes), 64 << 10, 4 << 20},
				Complete: true,
			})
		})
	}
}
