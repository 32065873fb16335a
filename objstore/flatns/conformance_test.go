package flatns_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/etagfs/etagfs/cache"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/flatns"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/objstoretest"
	"github.com/etagfs/etagfs/objstore/s3server"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// flat hides that a store is more than flat, and takes capabilities from it.
type flat struct {
	objstore.Store
	without func(*objstore.Capabilities)
}

func (f flat) Capabilities() objstore.Capabilities {
	caps := f.Store.Capabilities()
	caps.HardLinks, caps.AccessTimes, caps.PartialCommit, caps.Watch, caps.CrossBucket = false, false, false, false, false
	caps.Headers, caps.Multipart, caps.Append, caps.Tags, caps.Documents, caps.Answers, caps.Feed = false, false, false, false, false, false, false
	if f.without != nil {
		f.without(&caps)
	}
	return caps
}

// over is a namespace over a flat store, with stages in a directory of its own.
func over(store objstore.Store, dir string) (*flatns.Namespace, *cache.Area, error) {
	area, err := cache.OpenArea(dir, cache.Options{})
	if err != nil {
		return nil, nil, err
	}
	ns, err := flatns.New(flatns.Config{
		Store: store, Conflicts: area,
		NewStage: func(ctx context.Context, spec objstore.StageSpec, to flatns.Committer) (objstore.Stage, error) {
			return area.NewStage(ctx, spec, to)
		},
		NewFile: objstore.NewAttr{Mode: 0o644}, NewDir: objstore.NewAttr{Mode: 0o755},
	})
	return ns, area, errors.Join(err, nil)
}

func subject(store objstore.Store, closeStore func() error) (*objstoretest.Subject, error) {
	dir, err := os.MkdirTemp("", "flatns")
	if err != nil {
		return nil, err
	}
	ns, area, err := over(store, dir)
	if err != nil {
		return nil, err
	}
	return &objstoretest.Subject{Store: store, Namespace: ns, Close: func() error {
		return errors.Join(area.Close(), closeStore(), os.RemoveAll(dir))
	}}, nil
}

func memory(ctx context.Context) (objstore.Store, *memstore.Engine, error) {
	engine := memstore.New(memstore.Options{})
	if err := engine.CreateBucket(ctx, "box"); err != nil {
		return nil, nil, err
	}
	store, err := engine.Bucket(ctx, "box")
	return store, engine, err
}

// overMemory is a flat store with all that S3 could offer.
func overMemory(without func(*objstore.Capabilities)) objstoretest.Opener {
	return func(ctx context.Context) (*objstoretest.Subject, error) {
		store, _, err := memory(ctx)
		if err != nil {
			return nil, err
		}
		return subject(flat{store, without}, func() error { return nil })
	}
}

// plain is what S3 offers without extensions: no rename.
func plain(caps *objstore.Capabilities) {
	caps.RenameFile, caps.RenameDir = false, false
	caps.RenameSource, caps.RenameTarget = 0, 0
}

// poor has conditional puts only.
func poor(caps *objstore.Capabilities) {
	plain(caps)
	always := objstore.CondsOf(objstore.Unconditional())
	caps.Delete, caps.CopySource, caps.CopyTarget = always, always, always
}

// noWait is a clock whose waits are over at once.
type noWait struct{}

func (noWait) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// overServer is a bucket of our own server, spoken to as any S3 store.
func overServer(ctx context.Context) (*objstoretest.Subject, error) {
	_, engine, err := memory(ctx)
	if err != nil {
		return nil, err
	}
	handler, err := s3server.New(s3server.Options{
		Buckets: engine, Users: s3server.Users{Anonymous: &s3server.User{Admin: []string{"*"}}},
		Limits: s3server.Limits{PartBytesMin: 4},
	})
	if err != nil {
		return nil, err
	}
	server := httptest.NewServer(handler)
	transport := &http.Transport{}
	store, err := s3store.Open(ctx, s3store.Options{
		Bucket: "box", Endpoint: server.URL, Region: "us-east-1", PartBytes: 1 << 20, PrefetchBytes: 64 << 10,
	}, s3store.Parts{HTTP: &http.Client{Transport: transport}, Clock: noWait{}, Credentials: aws.AnonymousCredentials{}})
	if err != nil {
		server.Close()
		return nil, err
	}
	dir, err := os.MkdirTemp("", "flatns")
	if err != nil {
		return nil, err
	}
	blocks, err := cache.OpenBlocks(dir, cache.BlocksOptions{}) // pins what S3 does not
	if err != nil {
		return nil, err
	}
	return subject(blocks.Over(store), func() error {
		transport.CloseIdleConnections()
		server.Close()
		return errors.Join(blocks.Close(), os.RemoveAll(dir))
	})
}

// differs are the claims that no flat store can keep, with the reason.
func differs() map[string]string {
	const (
		ids     = "ids are the namespace's own: the store has none"
		special = "there are no special files"
		swap    = "two names cannot be swapped"
		others  = "changes through the store are not told"
	)
	return map[string]string{
		"CommitEvaluatesEveryCond":           ids,
		"OneMakerWins":                       special,
		"VersionsSurviveRenameAndAttributes": "the ETag moves with attributes",
		"OddKeysAppearEscaped":               ids + "; see TestListingsMatchANamespace",
		"MakeMakesEveryType":                 special,
		"DirectoriesCountTheirLinks":         "directories are not counted",
		"ParentsFeelChanges":                 "directories have no times of their entries",
		"RenameFollowsPOSIX":                 "a rename by the store leaves the metadata version",
		"ExchangeSwaps":                      swap,
		"SetAttrChangesWhatItNames":          "the root has no attributes",
		"CommitKeepsCurrentAttributes":       "the flat store shows attributes as metadata",
		"PutKeepsPOSIXAttributes":            "a put through the store replaces the metadata they are in",
		"ExplicitDirectoriesAreObjects":      ids,
		"ObjectsStandBesideDirectories":      ids,
		"SymlinksAreEmptyObjects":            "the target is the body, as s3fs has it",
		"SpecialFilesAreNoObjects":           special,
		"StoreAndNamespaceShareObjects":      ids,
		"StagesAreSparse":                    "an object has no holes",
		"WatchTellsEveryName":                swap,
		"WatchTellsShiftedNames":             others,
		"WatchTellsContentsInOrder":          others,
		"WatchStops":                         others,
		"RandomOpsAreWatched":                others,
		"ConcurrentOpsAreWatchedInOrder":     others,
	}
}

func conformance(t *testing.T, open objstoretest.Opener, more map[string]string) {
	cfg := objstoretest.Config{Open: open, Sizes: []int64{64 << 10, 1 << 20}}
	differs, ran := differs(), 0
	for _, c := range objstoretest.Cases() {
		if differs[c.Name] != "" || more[c.Name] != "" || !objstoretest.OfNamespace(c) {
			continue
		}
		err := c.Check(t.Context(), cfg)
		switch {
		case errors.Is(err, objstoretest.ErrSkipped):
		case err != nil:
			t.Errorf("%s: %v", c.Name, err)
		default:
			ran++
		}
	}
	if ran < 45 {
		t.Errorf("only %d cases ran", ran)
	}
}

func TestConformanceOverMemory(t *testing.T) { conformance(t, overMemory(nil), nil) }

// longer leaves the short form with what needs the most of a store.
func longer(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("long: the short form has it over memory, with all that a store may offer")
	}
}

func TestConformanceWithoutRename(t *testing.T) {
	longer(t)
	conformance(t, overMemory(plain), map[string]string{
		"NamespaceCapabilitiesTellTheTruth": "directories are renamed by copies, which is not what RenameDir claims",
	})
}

func TestConformanceWithConditionalPutsOnly(t *testing.T) {
	longer(t)
	conformance(t, overMemory(poor), map[string]string{
		"UnlinkEvaluatesEveryCond":          "without a conditional delete the condition is refused before anything is looked at",
		"NamespaceCapabilitiesTellTheTruth": "directories are renamed by copies, which is not what RenameDir claims",
	})
}

func TestConformanceOverServer(t *testing.T) {
	longer(t)
	conformance(t, overServer, map[string]string{
		"NamespaceCapabilitiesTellTheTruth": "the store by itself claims no attributes",
		"ConflictsHoldBaseAndTheirs":        "the version is the whole ETag",
		"WatchTellsNothingThatFailed":       "puts if present",
		"ImpliedDirectoriesComeAndGo":       "puts if present",
		"NewFilesGetTheirAttributes":        "puts with attributes",
		"KeysMayGrowLongByRenaming":         "S3 takes no keys beyond 1,024 bytes",
	})
}
