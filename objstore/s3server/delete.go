package s3server

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

// keysMax is the most keys one DeleteObjects has.
const keysMax = 1000

func (c *call) deleteObject() error {
	test, err := c.deleteTest()
	if err != nil {
		return err
	}
	if err := c.deleteKey(c.key, test, c.r.Header.Get(hdrWriteID)); err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

// deleteTest is the condition of DeleteObject.
func (c *call) deleteTest() (writeTest, error) {
	h := c.r.Header
	w := writeTest{
		tests:    tests{match: tagsOf(h, hdrIfMatch), version: objstore.Version(h.Get(hdrIfVersionMatch))},
		extended: c.opt.Conditions == ConditionsExtended,
	}
	for _, name := range []string{hdrIfMatchModified, hdrIfMatchSize} {
		if h.Get(name) != "" && !w.extended {
			return w, s3code.NotImplemented.With("", s3code.Detail{Name: "Header", Value: name})
		}
	}
	if tagsOf(h, hdrIfNoneMatch).present() {
		return w, refusedValue(hdrIfNoneMatch)
	}
	if w.isPresent() && c.query.Has("versionId") && !w.extended {
		return w, s3code.NotImplemented.With("", s3code.Detail{Name: "Header", Value: hdrIfMatch})
	}
	return w, w.exactlyOf(h.Get(hdrIfMatchSize), h.Get(hdrIfMatchModified))
}

// exactlyOf reads the size and the time a delete is conditional on.
func (w *writeTest) exactlyOf(size, modified string) error {
	if size != "" {
		n, err := strconv.ParseInt(size, 10, 64)
		if err != nil || n < 0 {
			return s3code.InvalidArgument.With("The size of a condition is a number of bytes.")
		}
		w.size = &n
	}
	if modified != "" {
		t, ok := parseDate(modified)
		if !ok {
			return s3code.InvalidArgument.With("The last modified time of a condition is a date.")
		}
		w.exactly = date{t, true}
	}
	return nil
}

// deleteKey deletes one key under a condition. What is not there is deleted already, unless an
// If-Match asks for it; with extended conditions even then, as Ceph has it.
func (c *call) deleteKey(key objstore.Key, test writeTest, writeID string) error {
	err := c.decided(key, test, writeID, func(cond objstore.Cond) error {
		if cond.IsIfAbsent() {
			return nil
		}
		return c.store.Delete(c.ctx(), key, cond, objstore.DeleteOptions{WriteID: writeID})
	})
	if test.extended && errors.Is(err, s3code.NoSuchKey) {
		return nil
	}
	return err
}

// decided runs a mutation that has no body under a condition on key, and decides again when
// the object changed in between.
func (c *call) decided(key objstore.Key, test writeTest, writeID string, f func(objstore.Cond) error) error {
	for range attemptsMax {
		cond, err := c.decidePut(test, key, writeID)
		if err != nil {
			return err
		}
		err = f(cond)
		if !objstore.IsLostCondition(err) || errors.Is(err, objstore.NoSuchUpload) || !test.isPresent() {
			return err
		}
		if test.repeatable(writeID) {
			return test.lost(key, objstore.KindOf(err))
		}
		s, headErr := c.head(key)
		if headErr != nil {
			return headErr
		}
		if _, err := test.decide(key, s, c.now()); err != nil {
			return err
		}
	}
	return test.inFlight(key)
}

func (c *call) deleteObjects() error {
	request, err := readDocument[s3xml.Delete](c, deleteBytesMax)
	if err != nil {
		return err
	}
	if n := len(request.Objects); n == 0 || n > keysMax {
		return s3code.MalformedXML.With("")
	}
	result := &s3xml.DeleteResult{}
	for _, object := range request.Objects {
		if err := c.deleteOne(object); err != nil {
			e := s3code.Of(err)
			result.Errors = append(result.Errors, s3xml.DeleteError{Key: object.Key, VersionID: object.VersionID, Code: e.Code.String(), Message: e.Text()})
		} else if !request.Quiet {
			result.Deleted = append(result.Deleted, s3xml.Deleted{Key: object.Key, VersionID: object.VersionID})
		}
	}
	return c.answer(http.StatusOK, result)
}

// deleteOne deletes one of many. Each is allowed, decided and deleted by itself.
func (c *call) deleteOne(object s3xml.ObjectIdentifier) error {
	key := objstore.Key(object.Key)
	test := writeTest{tests: tests{match: parseTags(object.ETag)}, extended: c.opt.Conditions == ConditionsExtended}
	if err := c.permitDelete(key, object.ETag, test); err != nil {
		return err
	}
	switch {
	case object.Key == "":
		return s3code.UserKeyMustBeSpecified.With("")
	case object.VersionID != "" && object.VersionID != versionNull:
		return s3code.NoSuchVersion.With("")
	case object.VersionID != "" && test.isPresent() && !test.extended:
		return s3code.NotImplemented.With("")
	case (object.Size != "" || object.LastModifiedTime != "") && !test.extended:
		return s3code.NotImplemented.With("")
	}
	if err := test.exactlyOf(object.Size, object.LastModifiedTime); err != nil {
		return err
	}
	return c.deleteKey(key, test, "")
}

func (c *call) permitDelete(key objstore.Key, etag string, test writeTest) error {
	keys := func() map[string]string {
		if etag == "" {
			return noKeys()
		}
		return map[string]string{"s3:if-match": etag}
	}
	if err := c.permit("s3:DeleteObject", accessWrite, c.bucket, key, string(key), keys); err != nil {
		return err
	}
	if test.match.present() && !test.match.any {
		return c.permitKey("s3:GetObject", accessRead, key)
	}
	return nil
}
