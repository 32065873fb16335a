package s3server

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// renameObject moves an object within its bucket in one step; a source that ends in "/" is a directory with
// all below it.
func (c *call) renameObject() error {
	if err := checkNewKey(c.key); err != nil {
		return err
	}
	src, err := c.renameSource()
	if err != nil {
		return err
	}
	if err := c.permitRename(src); err != nil {
		return err
	}
	test, err := c.renameTest()
	if err != nil {
		return err
	}
	info, err := c.renameDecided(src, test, c.renameID())
	if err != nil {
		return err
	}
	showVersion(c.w.Header(), info)
	return c.done(http.StatusOK)
}

// permitRename asks for the right to take the source away. What a policy says of single keys below a directory
// nobody looks at, so where there is one only an administrator moves directories.
func (c *call) permitRename(src source) error {
	if err := c.permitKey("s3:DeleteObject", accessWrite, src.key); err != nil {
		return err
	}
	if src.tests.isPresent() {
		if err := c.permitKey("s3:GetObject", accessRead, src.key); err != nil {
			return err
		}
	}
	if src.isDirectory() && c.conf.policy != nil && (c.user == nil || !c.user.may(accessAdmin, c.bucket, "")) {
		return s3code.AccessDenied
	}
	return nil
}

// renameID identifies a rename across its repetitions.
func (c *call) renameID() string {
	if token := c.r.Header.Get(hdrClientToken); token != "" {
		return "token:" + c.userName() + ":" + token
	}
	return c.r.Header.Get(hdrWriteID)
}

// renameSource reads x-amz-rename-source: a key, or a slash, the bucket of the request and a key, encoded as
// in an address.
func (c *call) renameSource() (source, error) {
	key, err := url.PathUnescape(c.r.Header.Get(hdrRenameSource))
	if rest, ok := strings.CutPrefix(key, "/"); ok {
		key, _ = strings.CutPrefix(rest, c.bucket+"/")
		if key == rest {
			key = ""
		}
	}
	if err != nil || key == "" {
		return source{}, s3code.InvalidRequest.With("The rename source is a key of the same bucket.")
	}
	return source{bucket: c.bucket, key: objstore.Key(key), store: c.store, tests: testsOf(c.r.Header, renameSourceIf)}, nil
}

// renameTest is the condition on the destination. If-None-Match takes "*" only, unless conditions are extended.
func (c *call) renameTest() (writeTest, error) {
	test := writeTest{tests: testsOf(c.r.Header, ""), extended: c.opt.Conditions == ConditionsExtended}
	if test.noneMatch.present() && !test.noneMatch.any && !test.extended {
		return test, refusedValue(hdrIfNoneMatch)
	}
	return test, nil
}

func (c *call) renameDecided(src source, test writeTest, writeID string) (objstore.Info, error) {
	req := objstore.RenameRequest{Src: src.key, Dst: c.key, WriteID: writeID}
	for range attemptsMax {
		var err error
		if req.SrcCond, err = c.pinRename(src, writeID); err != nil {
			return objstore.Info{}, err
		}
		if req.DstCond, err = c.decidePut(test, c.key, writeID); err != nil {
			return objstore.Info{}, err
		}
		info, err := c.store.Rename(c.ctx(), req)
		if !objstore.IsLostCondition(err) {
			return info, err
		}
		if src.isDirectory() {
			return info, c.lostDirectory(src, test, err)
		}
		if err := c.stillLost(src, test); err != nil {
			return objstore.Info{}, err
		}
	}
	return objstore.Info{}, test.inFlight(c.key)
}

// pinRename is the condition on the source. A repeated request must reach the store, which knows that
// the source is gone because it moved it.
func (c *call) pinRename(src source, writeID string) (objstore.Cond, error) {
	given := writeTest{tests: src.tests}
	if !given.isPresent() {
		return objstore.IfPresent(), nil
	}
	if cond, ok := given.asGiven(); ok && writeID != "" {
		return cond, nil
	}
	_, cond, err := c.pin(src)
	return cond, err
}

// stillLost decides both conditions on what is there now, after the store found one lost. Nil means that
// they hold again.
func (c *call) stillLost(src source, test writeTest) error {
	if _, _, err := c.pin(src); err != nil {
		return err
	}
	s, err := c.head(c.key)
	if err != nil {
		return err
	}
	if _, err := test.decide(c.key, s, c.now()); err != nil {
		return err
	}
	return nil
}

func (s source) isDirectory() bool { return strings.HasSuffix(string(s.key), "/") }

// lostDirectory is why a directory was not moved. It is no object that could be looked at again.
func (c *call) lostDirectory(src source, test writeTest, err error) error {
	switch header := test.firstHeader(); {
	case objstore.KindOf(err) == objstore.ErrNotFound:
		return c.missingKey(src.bucket, src.key, noSuchKey(src.key))
	case header != "" && objstore.KindOf(err) == objstore.ErrPrecondition:
		return failedCondition(header)
	}
	return err
}
