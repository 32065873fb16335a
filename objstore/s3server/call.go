package s3server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
	"github.com/etagfs/etagfs/objstore/wire"
)

// call is one request on its way through the server. It belongs to one goroutine.
type call struct {
	*Server
	target
	w       *reply
	r       *http.Request
	id      string
	started time.Time
	query   url.Values // nil: none
	op      operation
	changes bool // it may change something

	signed  *sigv4.Signed
	user    *User // nil: nobody
	store   objstore.Store
	conf    bucketSettings
	missing error       // NoSuchBucket, until the signature of a form has been seen
	code    s3code.Code // of the refusal, if there was one
	err     error
}

func (s *Server) newCall(w http.ResponseWriter, r *http.Request) *call {
	c := &call{Server: s, r: r, target: targetOf(r, s.opt.Domain), started: s.opt.Now(), id: s.newID()}
	c.w = newReply(w, s.opt.Limits)
	c.r = c.w.limitBody(r)
	h := c.w.Header()
	h["x-amz-request-id"] = []string{c.id}
	h["Server"] = []string{"etagfs"}
	return c
}

const hexDigits = "0123456789ABCDEF"

// newID is the id of a request: 16 hex digits.
func (s *Server) newID() string {
	var id [8]byte
	if _, err := io.ReadFull(s.opt.Rand, id[:]); err != nil {
		return "unknown" // only a source of a test's own ends
	}
	var text [2 * len(id)]byte
	for i, b := range id {
		text[2*i], text[2*i+1] = hexDigits[b>>4], hexDigits[b&15]
	}
	return string(text[:])
}

// ctx is the request's. What changes something does not end with it: net/http takes a client that has sent all and closed its
// side for one that left, although it waits for the answer. A body that does not come ends a change all the same.
func (c *call) ctx() context.Context {
	if c.changes {
		return context.WithoutCancel(c.r.Context())
	}
	return c.r.Context()
}

func (c *call) now() time.Time { return c.opt.Now() }

// serve takes the steps all operations have in common.
func (c *call) serve() error {
	var err error
	if raw := c.r.URL.RawQuery; raw != "" {
		if c.query, err = url.ParseQuery(raw); err != nil {
			return s3code.InvalidURI.With("")
		}
	}
	if c.r.Method == http.MethodOptions {
		return c.preflight()
	}
	if c.signed, err = c.verifier.Verify(c.r); err != nil {
		return err
	}
	if err := c.identify(c.signed.AccessKey); err != nil {
		return err
	}
	if c.bucket == "" && c.key != "" {
		return s3code.InvalidBucketName.With("") // "//bucket/key" is no request to the service
	}
	op, ok := c.router.find(c.target, c.r.Method, c.query, c.r.Header)
	if !ok {
		return c.noSuchOperation()
	}
	c.op = op
	if r := c.r.Method; r != http.MethodGet && r != http.MethodHead && op.name != opNamespace {
		c.changes = true
		c.w.before = c.settle
	}
	if err := c.openBucket(); err != nil {
		if op.name != opPostObject || !errors.Is(err, s3code.NoSuchBucket) {
			return err
		}
		c.missing = err // its signature is in the body, and is looked at first
	}
	c.allowOrigin()
	if op.action != "" {
		if err := c.permitOperation(); err != nil {
			return err
		}
	}
	if err := c.checkVersionID(); err != nil {
		return err
	}
	if err := checkLines(c.r.Header); err != nil {
		return err
	}
	if err := checkParameters(c.query); err != nil {
		return err
	}
	return op.handle(c)
}

// noSuchOperation tells a method that never works here from an operation this server lacks.
func (c *call) noSuchOperation() error {
	switch c.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete:
		return s3code.NotImplemented.With("")
	default:
		return s3code.MethodNotAllowed.With("")
	}
}

// identify finds whose signature it was.
func (c *call) identify(accessKey string) error {
	if accessKey == "" {
		c.user = c.opt.Users.Anonymous
		return nil
	}
	if c.user = c.opt.Users.byKey(accessKey); c.user == nil {
		return s3code.InvalidAccessKeyId.With("")
	}
	return nil
}

// openBucket opens the bucket of the address, unless the operation is to make it.
func (c *call) openBucket() error {
	if c.bucket == "" || c.op.name == "CreateBucket" {
		return nil
	}
	var err error
	if c.store, err = c.openStore(c.bucket); err != nil {
		return err
	}
	c.conf, err = c.settings.of(c.ctx(), c.bucket, c.store)
	return err
}

func (c *call) openStore(name string) (objstore.Store, error) {
	store, err := c.opt.Buckets.Bucket(c.ctx(), name)
	switch objstore.KindOf(err) {
	case objstore.ErrNotFound, objstore.ErrInvalid:
		return nil, s3code.NoSuchBucket.With("", s3code.Detail{Name: "BucketName", Value: name})
	}
	return store, err
}

// checkVersionID refuses versions this server does not keep: only the current one, "null".
func (c *call) checkVersionID() error {
	if !c.query.Has("versionId") || c.level() != levelObject {
		return nil
	}
	switch id := c.query.Get("versionId"); {
	case c.r.Method == http.MethodPut || c.r.Method == http.MethodPost:
		return s3code.InvalidArgument.With("This operation does not accept a version-id.")
	case id == versionNull:
		return nil
	case id == "":
		return s3code.InvalidArgument.With("Version id cannot be the empty string")
	default:
		return s3code.NoSuchVersion.With("", s3code.Detail{Name: "Key", Value: string(c.key)}, s3code.Detail{Name: "VersionId", Value: id})
	}
}

// checkLines refuses headers with one value that come on several lines: to take the first would be to ignore what the
// others say.
func checkLines(h http.Header) error {
	for name, lines := range h {
		if len(lines) > 1 && hasOneValue(name) {
			return s3code.InvalidRequest.With("The header may be given once only", s3code.Detail{Name: "Header", Value: strings.ToLower(name)})
		}
	}
	return nil
}

// checkParameters does that for the parameters of an address, of which one may come several times.
func checkParameters(query url.Values) error {
	for name, values := range query {
		if len(values) > 1 && name != "events" {
			return s3code.InvalidArgument.With("The parameter may be given once only", s3code.Detail{Name: "ArgumentName", Value: name})
		}
	}
	return nil
}

// hasOneValue reports whether a header of S3's, or of ours, is neither a list nor user metadata nor a condition of AWS's.
func hasOneValue(name string) bool {
	switch name {
	case "Content-Md5":
		return true
	case "X-Amz-Object-Attributes", "X-Amz-Optional-Object-Attributes":
		return false
	}
	if strings.HasPrefix(name, "X-Etagfs-") {
		return true
	}
	return strings.HasPrefix(name, "X-Amz-") && !strings.HasPrefix(name, "X-Amz-Meta-") && !strings.Contains(name, "-If-")
}

// run serves the call. It returns what is left to be drained.
func (c *call) run() *unwanted {
	defer c.finish()
	if c.err = c.serve(); c.err != nil {
		return c.refuse(c.err)
	}
	return nil
}

// refuse answers with an error, if anything can still be answered. It returns what is left to be drained.
func (c *call) refuse(err error) *unwanted {
	e := s3code.Of(c.translate(err))
	c.code = e.Code
	if c.w.begun() {
		panic(http.ErrAbortHandler) // the client must not take what it has for the whole
	}
	h := c.w.Header()
	rest := c.w.answerFirst(c.r)
	if e.Code == s3code.NotModified || c.r.Method == http.MethodHead {
		c.w.WriteHeader(e.Code.Status())
	} else {
		body := s3xml.EncodeError(e, c.r.URL.EscapedPath(), c.id, "")
		h.Set("Content-Type", "application/xml")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		c.w.WriteHeader(e.Code.Status())
		c.w.send(body)
	}
	return rest
}

// translate gives the refusals of the store the words of S3.
func (c *call) translate(err error) error {
	var refusal *s3code.Error
	var code s3code.Code
	if errors.As(err, &refusal) || errors.As(err, &code) {
		return err
	}
	var cause objstore.Cause
	if errors.As(err, &cause) {
		return causes(cause, c.key, err)
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &s3code.Error{Code: s3code.IncompleteBody, Err: err}
	case errors.Is(err, wire.ErrDamaged):
		return &s3code.Error{Code: s3code.BadDigest, Err: err}
	case errors.Is(err, errStalled):
		return &s3code.Error{Code: s3code.RequestTimeout, Err: err}
	case objstore.KindOf(err) == objstore.ErrNotFound && c.key != "":
		return &s3code.Error{Code: s3code.NoSuchKey, Err: err, Details: []s3code.Detail{{Name: "Key", Value: string(c.key)}}}
	case objstore.KindOf(err) == objstore.ErrTooLarge && len(c.key) > objstore.KeyBytesMax:
		return &s3code.Error{Code: s3code.KeyTooLongError, Err: err}
	}
	return err
}

func causes(cause objstore.Cause, key objstore.Key, err error) error {
	details := []s3code.Detail{{Name: "Key", Value: string(key)}}
	switch cause {
	case objstore.NoSuchUpload:
		return &s3code.Error{Code: s3code.NoSuchUpload, Err: err}
	case objstore.NoSuchPart:
		return &s3code.Error{Code: s3code.InvalidPart, Err: err}
	case objstore.KeyChanged:
		return &s3code.Error{Code: s3code.ConditionalRequestConflict, Err: err, Details: details}
	case objstore.WriteIDReused:
		return &s3code.Error{Code: s3code.IdempotencyParameterMismatch, Err: err}
	case objstore.OffsetMoved:
		return &s3code.Error{Code: s3code.InvalidWriteOffset, Err: err, Details: details}
	default:
		return err
	}
}

// answer sends a document.
func (c *call) answer(status int, document s3xml.Response) error {
	c.w.Header().Set("Content-Type", "application/xml")
	body := s3xml.Encode(document)
	c.w.WriteHeader(status)
	c.w.send(body)
	return nil
}

// done answers without a body.
func (c *call) done(status int) error {
	c.w.WriteHeader(status)
	return nil
}
