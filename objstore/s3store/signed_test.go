package s3store_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/s3server"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// Requests are signed, with odd keys and in parts too, below a prefix; over a plain connection and a secure one.
func TestSignedRequestsAreAccepted(t *testing.T) {
	engine := memstore.New(memstore.Options{})
	handler, err := s3server.New(s3server.Options{Buckets: engine, Users: s3server.Users{Users: []s3server.User{
		{Name: "one", AccessKey: "access-of-one", SecretKey: "secret-of-one", Admin: []string{"*"}},
	}}, Limits: s3server.Limits{PartBytesMin: 4}})
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.CreateBucket(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	for _, start := range []func() *httptest.Server{
		func() *httptest.Server { return httptest.NewServer(handler) },
		func() *httptest.Server { return httptest.NewTLSServer(handler) },
	} {
		server := start()
		t.Cleanup(server.Close)
		opt, err := s3store.ParseURL("s3://box/deep/er?region=us-east-1&endpoint=" + server.URL)
		if err != nil {
			t.Fatal(err)
		}
		opt.PartBytes = 8 << 10
		keys := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "access-of-one", SecretAccessKey: "secret-of-one"}, nil
		})
		store, err := s3store.Open(t.Context(), opt, s3store.Parts{HTTP: server.Client(), Clock: noWait{}, Credentials: keys})
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []objstore.Key{"a", "a b/../c+d//é%", objstore.Key(strings.Repeat("k", 900))} {
			put(t, store, key, strings.Repeat("text", 5000), objstore.Unconditional())
			want(t, store, key, strings.Repeat("text", 5000))
			page, err := store.List(t.Context(), objstore.ListOptions{Prefix: key})
			if err != nil || len(page.Entries) != 1 || page.Entries[0].Key != key {
				t.Errorf("%s: listed %v (%v)", key, page.Entries, err)
			}
			req := objstore.CopyRequest{Src: key, SrcCond: objstore.IfPresent(), Dst: "copy", DstCond: objstore.Unconditional()}
			if _, err := store.Copy(t.Context(), req); err != nil {
				t.Errorf("%s: copy: %v", key, err)
			}
			if err := store.Delete(t.Context(), key, objstore.Unconditional(), objstore.DeleteOptions{}); err != nil {
				t.Errorf("%s: delete: %v", key, err)
			}
		}
	}
}
