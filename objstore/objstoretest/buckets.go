package objstoretest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

func bucketCases() []Case {
	return []Case{
		{Name: "BucketsComeAndGo", needs: needBuckets, run: bucketsComeAndGo},
		{Name: "BucketsAreApart", needs: needBuckets, run: bucketsAreApart},
		{Name: "BucketNamesAreThoseOfS3", needs: needBuckets, run: bucketNamesAreThoseOfS3},
	}
}

func (e *Env) bucketNames(ctx context.Context) []string {
	all, err := e.Buckets.ListBuckets(ctx)
	e.ok(err, "list buckets")
	var names []string
	for _, b := range all {
		names = append(names, b.Name)
		if b.Created.IsZero() {
			e.Failf("bucket %q has no creation time", b.Name)
		}
	}
	slices.Sort(names)
	return names
}

func bucketsComeAndGo(ctx context.Context, e *Env) {
	if got := e.bucketNames(ctx); !slices.Equal(got, []string{"main"}) {
		e.Failf("buckets from the start: %q", got)
	}
	_, err := e.Buckets.Bucket(ctx, "other")
	e.want(err, objstore.ErrNotFound, "open a bucket that is not there")
	e.oneWins("create bucket", objstore.ErrPrecondition, func(int) error { return e.Buckets.CreateBucket(ctx, "other") })
	b, err := e.Buckets.Bucket(ctx, "other")
	e.ok(err, "open bucket")
	_, err = b.Put(ctx, "k", strings.NewReader(""), objstore.IfAbsent(), objstore.PutOptions{})
	e.ok(err, "put")
	e.want(e.Buckets.DeleteBucket(ctx, "other"), objstore.ErrNotEmpty, "delete a bucket with a key")
	e.ok(b.Delete(ctx, "k", objstore.IfPresent(), objstore.DeleteOptions{}), "delete")
	e.ok(e.Buckets.DeleteBucket(ctx, "other"), "delete bucket")
	e.want(e.Buckets.DeleteBucket(ctx, "other"), objstore.ErrNotFound, "delete bucket again")
	_, err = e.Buckets.Bucket(ctx, "other")
	e.want(err, objstore.ErrNotFound, "open the deleted bucket")
}

func bucketsAreApart(ctx context.Context, e *Env) {
	e.ok(e.Buckets.CreateBucket(ctx, "other"), "create bucket")
	main, err := e.Buckets.Bucket(ctx, "main")
	e.ok(err, "open main")
	other, err := e.Buckets.Bucket(ctx, "other")
	e.ok(err, "open other")
	_, err = main.Put(ctx, "a/k", strings.NewReader("main"), objstore.IfAbsent(), objstore.PutOptions{})
	e.ok(err, "put to main")
	_, err = other.Head(ctx, "a/k")
	e.want(err, objstore.ErrNotFound, "head in other")
	_, err = other.Put(ctx, "a/k", strings.NewReader("other"), objstore.IfAbsent(), objstore.PutOptions{})
	e.ok(err, "put to other")
	e.ok(other.Delete(ctx, "a/k", objstore.IfPresent(), objstore.DeleteOptions{}), "delete in other")
	e.wantContent(ctx, "a/k", "main")
}

func bucketNamesAreThoseOfS3(ctx context.Context, e *Env) {
	for _, name := range []string{"abc", "a.b-c", "0bucket9", strings.Repeat("b", 63)} {
		e.ok(e.Buckets.CreateBucket(ctx, name), fmt.Sprintf("create %q", name))
	}
	for _, name := range []string{"", "ab", strings.Repeat("b", 64), "Abc", "a_b", "-abc", "abc-", ".abc", "a..b", "10.0.0.1", "a/b", "a b", "äbc"} {
		e.want(e.Buckets.CreateBucket(ctx, name), objstore.ErrInvalid, fmt.Sprintf("create %q", name))
	}
}
