package s3server

import (
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/policy"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

// checkBucketName is S3's rule for new buckets.
func checkBucketName(name string) error {
	outside := func(r rune) bool { return r != '.' && r != '-' && !isAlphanumeric(r) }
	switch {
	case len(name) < 3 || len(name) > 63, strings.ContainsFunc(name, outside):
	case !isAlphanumeric(rune(name[0])) || !isAlphanumeric(rune(name[len(name)-1])):
	case strings.Contains(name, "..") || net.ParseIP(name) != nil:
	default:
		return nil
	}
	return s3code.InvalidBucketName.With("", s3code.Detail{Name: "BucketName", Value: name})
}

func isAlphanumeric(r rune) bool { return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' }

// listBuckets shows the buckets the caller has any right in.
func (c *call) listBuckets() error {
	all, err := c.opt.Buckets.ListBuckets(c.ctx())
	if err != nil {
		return err
	}
	prefix, after, count, err := c.bucketsAsked()
	if err != nil {
		return err
	}
	result := &s3xml.ListAllMyBucketsResult{Owner: s3xml.Owner{ID: owner, DisplayName: owner}, Prefix: prefix}
	for _, b := range all {
		switch n := len(result.Buckets); {
		case b.Name <= after || !strings.HasPrefix(b.Name, prefix) || !c.user.touches(b.Name):
		case n == count:
			result.ContinuationToken = makeToken(result.Buckets[n-1].Name)
			return c.answer(http.StatusOK, result)
		default:
			result.Buckets = append(result.Buckets, s3xml.Bucket{Name: b.Name, CreationDate: b.Created})
		}
	}
	return c.answer(http.StatusOK, result)
}

// bucketsPerPage is the most buckets a page has.
const bucketsPerPage = 10_000

// bucketsAsked reads which buckets a listing shall have.
func (c *call) bucketsAsked() (prefix, after string, count int, err error) {
	prefix, count = c.query.Get("prefix"), bucketsPerPage
	if text := c.query.Get("max-buckets"); text != "" {
		count, err = strconv.Atoi(text)
		if err != nil || count < 1 || count > bucketsPerPage {
			return "", "", 0, s3code.InvalidArgument.With("Argument max-buckets must be an integer between 1 and 10000",
				s3code.Detail{Name: "ArgumentName", Value: "max-buckets"}, s3code.Detail{Name: "ArgumentValue", Value: text})
		}
	}
	if token := c.query.Get("continuation-token"); token != "" {
		after, err = parseToken(token)
	}
	return prefix, after, count, err
}

func (c *call) createBucket() error {
	if err := checkBucketName(c.bucket); err != nil {
		return err
	}
	if err := refuseFeatures(c.r.Header); err != nil {
		return err
	}
	if c.r.Header.Get("x-amz-bucket-object-lock-enabled") == "true" {
		return s3code.NotImplemented.With("", s3code.Detail{Name: "Header", Value: "x-amz-bucket-object-lock-enabled"})
	}
	switch c.r.Header.Get("x-amz-object-ownership") {
	case "", "BucketOwnerEnforced":
	default:
		return s3code.NotImplemented.With("", s3code.Detail{Name: "Header", Value: "x-amz-object-ownership"})
	}
	if err := c.checkLocation(); err != nil {
		return err
	}
	err := c.settings.change(c.bucket, func() error { return c.opt.Buckets.CreateBucket(c.ctx(), c.bucket) })
	switch objstore.KindOf(err) {
	case objstore.ErrPrecondition:
		return s3code.BucketAlreadyOwnedByYou.With("", s3code.Detail{Name: "BucketName", Value: c.bucket})
	case objstore.ErrInvalid:
		return s3code.InvalidBucketName.With("", s3code.Detail{Name: "BucketName", Value: c.bucket})
	}
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", "/"+c.bucket)
	return c.done(http.StatusOK)
}

// checkLocation reads where the bucket shall be: here is the only place there is. A server that was
// given no region is in whichever the client takes it for.
func (c *call) checkLocation() error {
	body, err := c.newPayload(false)
	if err != nil {
		return err
	}
	text, err := c.readBody(body, documentBytesMax)
	if err != nil || len(text) == 0 {
		return err
	}
	request, err := decodeDocument[s3xml.CreateBucketConfiguration](text)
	if err != nil {
		return err
	}
	if len(request.Tags) > 0 || request.Directory {
		return s3code.NotImplemented.With("")
	}
	if at := request.LocationConstraint; at != "" && at != c.region() && c.opt.Region != "" {
		return s3code.IllegalLocationConstraintException.With("")
	}
	return nil
}

func (c *call) deleteBucket() error {
	err := c.settings.change(c.bucket, func() error { return c.opt.Buckets.DeleteBucket(c.ctx(), c.bucket) })
	if err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

func (c *call) headBucket() error {
	c.w.Header().Set("x-amz-bucket-region", c.region())
	return c.done(http.StatusOK)
}

// bucketLocation says nothing for the default region, as S3 does.
func (c *call) bucketLocation() error {
	location := &s3xml.LocationConstraint{}
	if c.region() != RegionDefault {
		location.Region = c.region()
	}
	return c.answer(http.StatusOK, location)
}

// bucketVersioning says that versions were never kept.
func (c *call) bucketVersioning() error {
	return c.answer(http.StatusOK, &s3xml.VersioningConfiguration{})
}

// documents are those of the bucket of the request.
func (c *call) documents() (objstore.Documents, error) {
	d, ok := documents(c.store)
	if !ok {
		return nil, s3code.NotImplemented.With("")
	}
	return d, nil
}

// document reads one; missing is the answer if there is none.
func (c *call) document(name string, missing s3code.Code) ([]byte, error) {
	d, err := c.documents()
	if err != nil {
		return nil, err
	}
	text, err := d.Document(c.ctx(), name)
	if objstore.KindOf(err) == objstore.ErrNotFound {
		return nil, missing.With("", s3code.Detail{Name: "BucketName", Value: c.bucket})
	}
	return text, err
}

func (c *call) setDocument(name string, text []byte) error {
	d, err := c.documents()
	if err != nil {
		return err
	}
	return c.settings.change(c.bucket, func() error { return d.SetDocument(c.ctx(), name, text) })
}

func (c *call) deleteDocument(name string) error {
	d, err := c.documents()
	if err != nil {
		return err
	}
	if err := c.settings.change(c.bucket, func() error { return d.DeleteDocument(c.ctx(), name) }); err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

func (c *call) getPolicy() error {
	text, err := c.document(docPolicy, s3code.NoSuchBucketPolicy)
	if err != nil {
		return err
	}
	return c.answerJSON(text)
}

func (c *call) answerJSON(text []byte) error {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(http.StatusOK)
	c.w.send(text)
	return nil
}

func (c *call) putPolicy() error {
	body, err := c.newPayload(false)
	if err != nil {
		return err
	}
	text, err := c.readBody(body, policyBytesMax) // the one document S3 asks no checksum for
	if err != nil {
		return err
	}
	document, err := policy.Parse(text, c.bucket)
	if err != nil {
		return err
	}
	for _, name := range document.Users() {
		if !c.opt.Users.has(name) {
			return s3code.MalformedPolicy.With("Invalid principal in policy")
		}
	}
	if err := c.setDocument(docPolicy, text); err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

func (c *call) deletePolicy() error { return c.deleteDocument(docPolicy) }

func (c *call) getCORS() error {
	text, err := c.document(docCORS, s3code.NoSuchCORSConfiguration)
	if err != nil {
		return err
	}
	document, err := decodeDocument[s3xml.CORSConfiguration](text)
	if err != nil {
		return unreadable(err)
	}
	return c.answer(http.StatusOK, document)
}

func (c *call) putCORS() error {
	text, err := c.readChecked(documentBytesMax)
	if err != nil {
		return err
	}
	if _, err := compileCORS(text); err != nil {
		return err
	}
	if err := c.setDocument(docCORS, text); err != nil {
		return err
	}
	return c.done(http.StatusOK)
}

func (c *call) deleteCORS() error { return c.deleteDocument(docCORS) }

func (c *call) getBucketOptions() error {
	text, err := json.Marshal(c.conf.options)
	if err != nil {
		return err
	}
	return c.answerJSON(text)
}

func (c *call) putBucketOptions() error {
	text, err := c.readChecked(documentBytesMax)
	if err != nil {
		return err
	}
	if _, err := parseOptions(text); err != nil {
		return err
	}
	if err := c.setDocument(docOptions, text); err != nil {
		return err
	}
	return c.done(http.StatusOK)
}
