package s3store_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/objstoretest"
	"github.com/etagfs/etagfs/objstore/s3server"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// noWait is a clock whose waits are over at once.
type noWait struct{}

func (noWait) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// serve is a server with a bucket "box" in which anyone may do anything.
func serve(ctx context.Context, engine objstore.Buckets) (*httptest.Server, error) {
	handler, err := boxHandler(ctx, engine)
	if err != nil {
		return nil, err
	}
	return httptest.NewServer(handler), nil
}

func boxHandler(ctx context.Context, engine objstore.Buckets) (http.Handler, error) {
	if err := engine.CreateBucket(ctx, "box"); err != nil {
		return nil, err
	}
	return s3server.New(s3server.Options{
		Buckets: engine, Users: s3server.Users{Anonymous: &s3server.User{Admin: []string{"*"}}},
		Limits: s3server.Limits{PartBytesMin: 4},
	})
}

func open(ctx context.Context, endpoint string, transport http.RoundTripper) (*s3store.Store, error) {
	return openWithParts(ctx, endpoint, transport, 8<<10)
}

func openWithParts(ctx context.Context, endpoint string, transport http.RoundTripper, partBytes int64) (*s3store.Store, error) {
	return s3store.Open(ctx, s3store.Options{
		Bucket: "box", Endpoint: endpoint, Region: "us-east-1", PartBytes: partBytes, PrefetchBytes: 4 << 10,
	}, s3store.Parts{HTTP: &http.Client{Transport: transport}, Clock: noWait{}, Credentials: aws.AnonymousCredentials{}})
}

func overMemory(ctx context.Context) (*objstoretest.Subject, error) {
	return subject(ctx, memstore.New(memstore.Options{}), func() error { return nil })
}

func subject(ctx context.Context, engine objstore.Buckets, closeEngine func() error) (*objstoretest.Subject, error) {
	server, err := serve(ctx, engine)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{}
	store, err := openWithParts(ctx, server.URL, transport, suitePartBytes)
	if err != nil {
		server.Close()
		return nil, err
	}
	return &objstoretest.Subject{Store: store, Close: func() error {
		transport.CloseIdleConnections()
		server.Close()
		return closeEngine()
	}}, nil
}

// inMemory is a directory for a store, where syncs need not wait for a disk.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "s3store-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func overBadger(t *testing.T) objstoretest.Opener {
	return func(ctx context.Context) (*objstoretest.Subject, error) {
		engine, err := badgerstore.Open(ctx, inMemory(t), badgerstore.Options{Create: true}, badgerstore.Parts{})
		if err != nil {
			return nil, err
		}
		return subject(ctx, engine, engine.Close)
	}
}

// differs are the claims that S3 cannot keep, with the reason.
func differs() map[string]string {
	return map[string]string{
		"ETagIsHashAndVersion":      "the hash of a body that was sent in parts is of its parts",
		"FailedAppendsLeaveNothing": "whoever wants to have the last word on a body is refused before it is read",
	}
}

// differsInParts are those of a store that hashes a content of parts by its parts.
func differsInParts() map[string]string {
	all := differs()
	all["AppendsGoToTheEnd"] = "compares the hash"
	return all
}

// differsForeign are more claims, which only a server of this program keeps.
func differsForeign() map[string]string {
	const once = "an id is recognised within the call that made it, not by other calls"
	all := differsInParts()
	for _, name := range []string{"RepeatedPutIsAppliedOnce", "RepeatedDeleteIsAppliedOnce", "RepeatedCopyAndRenameAreAppliedOnce", "RepeatedAppendsAreAppliedOnce"} {
		all[name] = once
	}
	all["AppendsAreConditional"] = "demands that a target is present"
	return all
}

// suitePartBytes are few enough for most contents of the suite to be in parts, and so many that they are not in
// thousands of them.
const suitePartBytes = 64 << 10

func conformance(t *testing.T, opener objstoretest.Opener, differs map[string]string) {
	cfg := objstoretest.Config{Open: opener, Sizes: []int64{4 << 10, suitePartBytes, 2 * suitePartBytes}}
	ran := 0
	for _, c := range objstoretest.Cases() {
		if differs[c.Name] != "" {
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
	if ran < 35 {
		t.Errorf("only %d cases ran", ran)
	}
}

func TestConformanceOverMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("long: the short form has it over a store without extensions")
	}
	conformance(t, overMemory, differs())
}

func TestConformanceOverBadger(t *testing.T) {
	if testing.Short() {
		t.Skip("long: the short form has it over a store without extensions")
	}
	conformance(t, overBadger(t), differsInParts())
}

// A store without the extensions of our server, with and without unique ETags.
func TestConformanceOfForeignStores(t *testing.T) {
	for _, kind := range []kind{foreignMD5, foreign} {
		t.Run(kind.String(), func(t *testing.T) {
			if testing.Short() && kind == foreign {
				t.Skip("long: the short form has the kind that differs more")
			}
			conformance(t, func(ctx context.Context) (*objstoretest.Subject, error) {
				server, err := serveKind(ctx, kind)
				if err != nil {
					return nil, err
				}
				store, err := openWithParts(ctx, server.URL, &wire{foreign: true}, suitePartBytes)
				if err != nil {
					server.Close()
					return nil, err
				}
				return &objstoretest.Subject{Store: store, Close: func() error { server.Close(); return nil }}, nil
			}, differsForeign())
		})
	}
}
