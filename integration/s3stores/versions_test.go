package s3stores_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// C2: in a bucket of MinIO that keeps versions readers have all of theirs after the key was replaced and deleted; in one that
// keeps none they are told so, and have no byte of another.
func TestC2MinIOVersionsPinReaders(t *testing.T) {
	url := startMinIO(t)
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String(url), UsePathStyle: true, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
	const size = s3store.PrefetchBytesDefault + 1<<20
	text := func(b byte) []byte { return bytes.Repeat([]byte{b}, size) }
	for _, keeps := range []bool{false, true} {
		if keeps {
			_, err := client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
				Bucket: aws.String(bucket), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		store, err := open(t.Context(), url, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Writable(); err != nil {
			t.Fatal(err)
		}
		put := func(b byte, cond objstore.Cond) objstore.Reader {
			t.Helper()
			if _, err := store.Put(t.Context(), "k", bytes.NewReader(text(b)), cond, objstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			r, err := store.Get(t.Context(), "k", objstore.Unconditional())
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		a := put('a', objstore.IfAbsent())
		b := put('b', objstore.IfVersion(a.Info().Version))
		if err := store.Delete(t.Context(), "k", objstore.Unconditional(), objstore.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		for want, r := range map[byte]objstore.Reader{'a': a, 'b': b} {
			got := make([]byte, size)
			n, err := r.ReadAt(t.Context(), got, 0)
			switch {
			case keeps && (!bytes.Equal(got, text(want)) || err != nil && err != io.EOF):
				t.Errorf("%c: %d bytes (%v), which are not all its own", want, n, err)
			case !keeps && (!objstore.IsLostCondition(err) || !bytes.Equal(got[:n], text(want)[:n])):
				t.Errorf("%c, of a bucket without versions: %d bytes, %v", want, n, err)
			}
		}
	}
}
