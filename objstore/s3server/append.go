package s3server

import (
	"net/http"
	"strconv"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// appendObject is PutObject with x-amz-write-offset-bytes: the body goes to the end of the object, if that
// is where the request thinks it is.
func (c *call) appendObject() error {
	if err := checkNewKey(c.key); err != nil {
		return err
	}
	store, ok := c.store.(objstore.Appender)
	if !ok || !c.store.Capabilities().Append {
		return s3code.NotImplemented.With("", s3code.Detail{Name: "Header", Value: hdrWriteOffset})
	}
	offset, err := strconv.ParseInt(c.r.Header.Get(hdrWriteOffset), 10, 64)
	if err != nil || offset < 0 {
		return s3code.InvalidWriteOffset.With("")
	}
	test, err := putTest(c.r.Header, c.opt.Conditions)
	if err != nil {
		return err
	}
	opt, body, err := c.appendOptions(offset)
	if err != nil {
		return err
	}
	cond, err := c.decideAppend(test, offset, opt.WriteID)
	if err != nil {
		return err
	}
	info, err := store.Append(c.ctx(), c.key, offset, body, cond, opt)
	if err != nil {
		return c.failPut(test, opt.WriteID, body.refusal(err))
	}
	h := c.w.Header()
	showVersion(h, info)
	h.Set("x-amz-object-size", strconv.FormatInt(info.Size, 10))
	return c.done(http.StatusOK)
}

// appendOptions describe what is appended. Its checksum is verified, but it is not that of the object.
func (c *call) appendOptions(offset int64) (objstore.PutOptions, *payload, error) {
	opt, body, err := c.putOptions()
	if err != nil {
		return opt, nil, err
	}
	body.md5 = body.md5 && offset == 0
	if offset > 0 {
		opt.Finish = func() (objstore.Digests, error) {
			_, err := body.finish()
			return objstore.Digests{}, err
		}
	}
	return opt, body, nil
}

// decideAppend also looks at the offset early, unless a repeated request must reach the store.
func (c *call) decideAppend(test writeTest, offset int64, writeID string) (objstore.Cond, error) {
	cond, err := c.decidePut(test, c.key, writeID)
	if err != nil || writeID != "" {
		return cond, err
	}
	s, err := c.head(c.key)
	if err != nil {
		return cond, err
	}
	if s.size != offset {
		return cond, s3code.InvalidWriteOffset.With("", s3code.Detail{Name: "Key", Value: string(c.key)})
	}
	return cond, nil
}
