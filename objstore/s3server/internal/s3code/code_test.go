package s3code_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

func TestEveryCodeIsWhole(t *testing.T) {
	names := map[string]bool{}
	for _, c := range s3code.Codes() {
		if c.String() == "" || c.Message() == "" || http.StatusText(c.Status()) == "" || c.Status() < 300 {
			t.Errorf("%d: %q %d %q", c, c.String(), c.Status(), c.Message())
		}
		if names[c.String()] {
			t.Errorf("%s stands twice", c)
		}
		names[c.String()] = true
		if found, ok := s3code.Parse(c.String()); !ok || found != c {
			t.Errorf("Parse(%s) = %v, %v", c, found, ok)
		}
	}
	if _, ok := s3code.Parse("NoSuchCode"); ok {
		t.Error("a code that is none was found")
	}
	for _, c := range []s3code.Code{0, 255} {
		if c.Status() != 500 {
			t.Errorf("code %d has status %d", c, c.Status())
		}
	}
}

func TestDocumentedStatuses(t *testing.T) {
	want := map[s3code.Code]int{
		s3code.PreconditionFailed: 412, s3code.NoSuchKey: 404, s3code.ConditionalRequestConflict: 409,
		s3code.NotImplemented: 501, s3code.NotModified: 304, s3code.AccessDenied: 403, s3code.BadDigest: 400,
		s3code.InvalidDigest: 400, s3code.XAmzContentSHA256Mismatch: 400, s3code.IncompleteBody: 400,
		s3code.MissingContentLength: 411, s3code.MalformedTrailerError: 400, s3code.MethodNotAllowed: 405,
		s3code.InvalidWriteOffset: 400, s3code.TooManyParts: 400, s3code.IdempotencyParameterMismatch: 400,
		s3code.SignatureDoesNotMatch: 403, s3code.RequestTimeTooSkewed: 403, s3code.InvalidRange: 416,
	}
	for c, status := range want {
		if c.Status() != status {
			t.Errorf("%s: %d, want %d", c, c.Status(), status)
		}
	}
}

func TestEveryKindHasACode(t *testing.T) {
	internal := map[objstore.Kind]bool{objstore.ErrUnknown: true, objstore.ErrCorrupt: true, objstore.ErrNewerFormat: true}
	for _, k := range objstore.Kinds() {
		if got := s3code.OfKind(k); (got == s3code.InternalError) != internal[k] {
			t.Errorf("%v is %s", k, got)
		}
	}
	if got := s3code.OfKind(0); got != s3code.InternalError {
		t.Errorf("an unclassified failure is %s", got)
	}
}

func TestOfTellsAnyError(t *testing.T) {
	refusal := s3code.NoSuchKey.With("", s3code.Detail{Name: "Key", Value: "k"})
	for _, c := range []struct {
		err  error
		code s3code.Code
	}{
		{refusal, s3code.NoSuchKey},
		{fmt.Errorf("get: %w", refusal), s3code.NoSuchKey},
		{fmt.Errorf("get: %w", s3code.InvalidURI), s3code.InvalidURI},
		{&objstore.Error{Op: "put", Kind: objstore.ErrPrecondition}, s3code.PreconditionFailed},
		{&objstore.Error{Op: "put", Kind: objstore.ErrInvalid, Err: s3code.BadDigest.With("")}, s3code.BadDigest},
		{&http.MaxBytesError{Limit: 1}, s3code.MaxMessageLengthExceeded},
		{io.ErrShortWrite, s3code.InternalError},
	} {
		got := s3code.Of(c.err)
		if got.Code != c.code || !errors.Is(got, c.code) {
			t.Errorf("Of(%v) = %v, want %v", c.err, got, c.code)
		}
	}
	if s3code.Of(nil) != nil {
		t.Error("nil is an error")
	}
	if s3code.Of(fmt.Errorf("get: %w", refusal)) != refusal {
		t.Error("the refusal itself was not found")
	}
}

func TestCausesAreNotForClients(t *testing.T) {
	e := s3code.Of(&objstore.Error{Op: "read", Key: "/var/lib/secret", Kind: objstore.ErrCorrupt})
	if strings.Contains(e.Text(), "secret") {
		t.Errorf("told to the client: %s", e.Text())
	}
	if !strings.Contains(e.Error(), "secret") || !errors.Is(e, objstore.ErrCorrupt) {
		t.Errorf("lost for the log: %v", e)
	}
	if text := s3code.InvalidRequest.With("because").Error(); text != "InvalidRequest: because" {
		t.Error(text)
	}
}
