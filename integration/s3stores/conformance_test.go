package s3stores_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/objstoretest"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// partBytes is the least these servers take.
const partBytes = 5 << 20

func open(ctx context.Context, url, prefix string) (*s3store.Store, error) {
	return s3store.Open(ctx, s3store.Options{
		Bucket: bucket, Prefix: prefix, Endpoint: url, Region: "us-east-1", PartBytes: partBytes,
	}, s3store.Parts{Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, "")})
}

// conformance runs the suite, each case below a prefix of its own, but for what differs, with the reason.
func conformance(t *testing.T, url string, least int, differs map[string]string) {
	cases, ran := 0, 0
	cfg := objstoretest.Config{Sizes: []int64{64 << 10, partBytes}, Open: func(ctx context.Context) (*objstoretest.Subject, error) {
		cases++
		store, err := open(ctx, url, fmt.Sprint("case", cases))
		if err != nil {
			return nil, err
		}
		return &objstoretest.Subject{Store: store, Close: func() error { return nil }}, nil
	}}
	for _, c := range objstoretest.Cases() {
		if differs[c.Name] != "" || objstoretest.OfNamespace(c) {
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
	t.Logf("%d cases ran", ran)
	if ran < least {
		t.Errorf("only %d cases ran", ran)
	}
}

// differs is what neither server keeps.
func differs(more map[string]string) map[string]string {
	const once = "an id is recognised within the call that made it, not by other calls"
	all := map[string]string{
		"ETagIsHashAndVersion":         "ETags are the store's own",
		"RepeatedPutIsAppliedOnce":     once,
		"RepeatedDeleteIsAppliedOnce":  once,
		"CopyCopies":                   "demands copies that are conditional on absence",
		"KeysTooLongOrEmptyAreRefused": "a head of such a key is refused, not answered",
	}
	maps.Copy(all, more)
	return all
}

func TestMinIOConforms(t *testing.T) {
	const paths = "keys are paths: without empty components and dots"
	conformance(t, startMinIO(t), 25, differs(map[string]string{
		"MissingKeysAreNotFound": paths, "ListMatchesItsDefinition": paths, "OddKeysAreKeys": paths,
	}))
}

func TestVersitygwConforms(t *testing.T) {
	const paths = "keys are paths of files: without empty components and dots, and no file is a directory too"
	conformance(t, startVersitygw(t), 25, differs(map[string]string{
		"MissingKeysAreNotFound": paths, "ListMatchesItsDefinition": paths, "OddKeysAreKeys": paths, "ListWhileWritersRun": paths,
		"KeysDoNotDisturbTheirPrefixes": paths, "DirectoriesMayHaveContent": paths,
	}))
}

// lacks are the findings that are not there.
func lacks(store *s3store.Store) string {
	var names []string
	for _, f := range store.Findings() {
		if !f.OK {
			names = append(names, f.Name)
		}
	}
	return strings.Join(names, "\n")
}

// MinIO ignores If-Match on deletes and both conditions on copies; it decides about puts.
func TestMinIOIsSeenThrough(t *testing.T) {
	store, err := open(t.Context(), startMinIO(t), "")
	if err != nil {
		t.Fatal(err)
	}
	const want = `served by etagfs
versions never come back
copy with If-Match
copy with If-None-Match
RenameObject
append at an offset
delete with If-Match`
	if got := lacks(store); got != want {
		t.Errorf("it lacks:\n%s\ninstead of:\n%s", got, want)
	}
	if err := store.Writable(); err != nil {
		t.Error(err)
	}
	caps, ifVersion := store.Capabilities(), objstore.IfVersion("v")
	if caps.Delete.Has(ifVersion) || caps.CopyTarget.Has(ifVersion) || caps.CopyTarget.Has(objstore.IfAbsent()) || !caps.Put.Has(ifVersion) {
		t.Errorf("%+v", caps)
	}
	err = store.Delete(t.Context(), "k", ifVersion, objstore.DeleteOptions{})
	if objstore.KindOf(err) != objstore.ErrUnsupported {
		t.Errorf("a conditional delete: %v", err)
	}
}

// versitygw ignores both conditions on copies, and its deletes take "*" for an ETag.
func TestVersitygwIsSeenThrough(t *testing.T) {
	store, err := open(t.Context(), startVersitygw(t), "")
	if err != nil {
		t.Fatal(err)
	}
	const want = `served by etagfs
versions never come back
copy with If-Match
copy with If-None-Match
RenameObject
append at an offset
delete with If-Match of what is gone
delete with If-Match: *`
	if got := lacks(store); got != want {
		t.Errorf("it lacks:\n%s\ninstead of:\n%s", got, want)
	}
}

// versitygw takes directories away with their last key, and calls a put that came in between one to a directory.
func TestVersitygwPutsBesideDeletesOfDirectories(t *testing.T) {
	store, err := open(t.Context(), startVersitygw(t), "shared")
	if err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for j := range 50 {
				key := objstore.Key(fmt.Sprintf("d%d/%d", i, j))
				if _, err := store.Put(t.Context(), key, strings.NewReader("x"), objstore.IfAbsent(), objstore.PutOptions{}); err != nil {
					t.Error(err)
				}
				if err := store.Delete(t.Context(), key, objstore.Unconditional(), objstore.DeleteOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
}
