package s3_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/etagfs/etagfs/objstore/badgerstore"
	"github.com/etagfs/etagfs/objstore/s3server"
)

const bucket = "main"

// site is a server over a store on the disk, with users.
type site struct {
	t       *testing.T
	engine  *badgerstore.Engine
	handler *s3server.Server
	http    *httptest.Server
}

// users has an administrator, and one who may only read below "docs/".
func users() s3server.Users {
	return s3server.Users{Users: []s3server.User{
		{Name: "root", AccessKey: "AKIDROOT", SecretKey: "root-secret", Admin: []string{"*"}},
		{Name: "reader", AccessKey: "AKIDREADER", SecretKey: "reader-secret", Read: []string{"main/docs/"}},
	}}
}

func open(t *testing.T, tls bool, opt s3server.Options) *site {
	t.Helper()
	engine, err := badgerstore.Open(t.Context(), t.TempDir(), badgerstore.Options{Create: true, Profile: badgerstore.ProfileServer}, badgerstore.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	opt.Buckets = engine
	if opt.Users.Users == nil {
		opt.Users = users()
	}
	s := &site{t: t, engine: engine}
	if s.handler, err = s3server.New(opt); err != nil {
		t.Fatal(err)
	}
	if tls {
		s.http = httptest.NewTLSServer(s.handler)
	} else {
		s.http = httptest.NewServer(s.handler)
	}
	t.Cleanup(func() {
		s.handler.Drain()
		s.http.Close()
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client signs as one of the users.
func (s *site) client(key, secret string) *s3.Client {
	return clientOf(s.http.URL, key, secret, s.http.Client())
}

func clientOf(url, key, secret string, client *http.Client) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(url),
		Region:       "us-east-1",
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(key, secret, ""),
		HTTPClient:   client,
		Retryer:      aws.NopRetryer{},

		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, // as a client from a loaded configuration has it
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	})
}

func (s *site) root() *s3.Client { return s.client("AKIDROOT", "root-secret") }

// code is the S3 error code of err.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func refused[T any](t *testing.T, _ T, err error, want string) {
	t.Helper()
	if code(err) != want {
		t.Errorf("%v instead of %s", err, want)
	}
}

func read(t *testing.T, ctx context.Context, c *s3.Client, key string) string {
	t.Helper()
	out := must(c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key}))(t)
	defer out.Body.Close()
	return string(must(io.ReadAll(out.Body))(t))
}
