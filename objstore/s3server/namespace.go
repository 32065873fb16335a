package s3server

import (
	"bytes"
	"io"
	"net/http"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sessions"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

// namespaceBytesMax is the longest body whose digest is signed. Others are bytes of contents: those have checksums.
const namespaceBytesMax = 4 << 20

// namespace answers what S3 has no words for. The request says in its body what it wants.
func (c *call) namespace() error {
	body, err := c.namespaceBody()
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/octet-stream")
	err = c.sessions.Serve(c.ctx(), sessions.Call{
		Bucket: c.bucket, User: c.userName(), Store: c.store, Permit: c.permitNamespace, Body: body, Reply: flushing{c.w},
	})
	if err != nil && !c.w.begun() {
		c.w.Header().Del("Content-Type")
	}
	return err
}

// namespaceBody is the body, compared with its digest if that was signed.
func (c *call) namespaceBody() (io.Reader, error) {
	switch {
	case c.signed.Payload.Chunked():
		return nil, s3code.NotImplemented.With("")
	case c.signed.Payload != sigv4.PayloadDigest:
		return c.r.Body, nil
	}
	body, err := c.newPayload(false)
	if err != nil {
		return nil, err
	}
	text, err := c.readBody(body, namespaceBytesMax)
	return bytes.NewReader(text), err
}

// permitNamespace asks for rights to the whole bucket: names and ids know no prefixes. A policy is made of keys,
// so in a bucket with one only an administrator gets past them.
func (c *call) permitNamespace(write bool) error {
	needed := []access{accessRead}
	if write {
		needed = append(needed, accessWrite)
	}
	if c.conf.policy != nil {
		needed = []access{accessAdmin}
	}
	for _, a := range needed {
		if c.user == nil || !c.user.may(a, c.bucket, "") {
			return s3code.AccessDenied
		}
	}
	return nil
}

// flushing is a reply that can be sent before it is complete.
type flushing struct{ *reply }

// Flush implements [sessions.Reply].
func (f flushing) Flush() error {
	if !f.begun() {
		f.WriteHeader(http.StatusOK)
	}
	return f.deadlines.Flush()
}
