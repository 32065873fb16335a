package s3server

import (
	"net/http"
	"strconv"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/checksum"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// attemptsMax bounds how often an operation without a body is decided again when the object changed
// between the decision and the commit.
const attemptsMax = 8

func (c *call) putObject() error {
	if err := checkNewKey(c.key); err != nil {
		return err
	}
	if c.query.Has("partNumber") {
		return s3code.InvalidArgument.With("This operation does not accept a part number without an upload id.")
	}
	test, err := putTest(c.r.Header, c.opt.Conditions)
	if err != nil {
		return err
	}
	opt, body, err := c.putOptions()
	if err != nil {
		return err
	}
	cond, err := c.decidePut(test, c.key, opt.WriteID)
	if err != nil {
		return err
	}
	info, err := c.store.Put(c.ctx(), c.key, body, cond, opt)
	if err != nil {
		return c.failPut(test, opt.WriteID, body.refusal(err))
	}
	return c.answerPut(info)
}

// putOptions are the object a request describes, and its body.
func (c *call) putOptions() (objstore.PutOptions, *payload, error) {
	d, err := describe(c.r.Header)
	if err != nil {
		return objstore.PutOptions{}, nil, err
	}
	wanted, err := checksum.FromHeader(c.r.Header)
	if err != nil {
		return objstore.PutOptions{}, nil, err
	}
	body, err := c.contentOf(wanted, c.conf.options.ETag == "md5")
	if err != nil {
		return objstore.PutOptions{}, nil, err
	}
	return objstore.PutOptions{
		Length:      body.length,
		LengthKnown: true,
		ContentType: d.contentType,
		UserMeta:    d.meta,
		Headers:     d.headers,
		Tags:        d.tags,
		WriteID:     c.r.Header.Get(hdrWriteID),
		Finish:      body.finish,
	}, body, nil
}

func (c *call) answerPut(info objstore.Info) error {
	h := c.w.Header()
	showVersion(h, info)
	showChecksum(h, info.Checksum)
	h.Set("x-amz-object-size", strconv.FormatInt(info.Size, 10))
	return c.done(http.StatusOK)
}

// decidePut evaluates the condition of a mutation early, so that a body that cannot win is not sent.
// A repeated request must reach the store instead, which knows what became of the first.
func (c *call) decidePut(test writeTest, key objstore.Key, writeID string) (objstore.Cond, error) {
	if !test.isPresent() {
		return objstore.Unconditional(), nil
	}
	if test.repeatable(writeID) {
		cond, _ := test.asGiven()
		return cond, nil
	}
	s, err := c.head(key)
	if err != nil {
		return objstore.Cond{}, err
	}
	return test.decide(key, s, c.now())
}

// failPut is the answer to a mutation that the store refused. If it lost its condition, that is decided
// again on what is there now: one that holds again was in the way of another request. The store's answer
// to a repeated request is the one of then.
func (c *call) failPut(test writeTest, writeID string, err error) error {
	kind := objstore.KindOf(err)
	if s3code.Of(err).Code == s3code.ConditionalRequestConflict {
		return test.inFlight(c.key)
	}
	if !test.isPresent() || kind != objstore.ErrPrecondition && kind != objstore.ErrNotFound {
		return err
	}
	if test.repeatable(writeID) {
		return test.lost(c.key, kind)
	}
	s, headErr := c.head(c.key)
	if headErr != nil {
		return headErr
	}
	if _, failed := test.decide(c.key, s, c.now()); failed != nil {
		return failed
	}
	return test.inFlight(c.key)
}
