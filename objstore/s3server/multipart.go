package s3server

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/checksum"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

// uploadsOf is the store's side of multipart uploads, if it has one.
func uploadsOf(store objstore.Store) (objstore.Uploads, bool) {
	if !store.Capabilities().Multipart {
		return nil, false
	}
	uploads, ok := store.(objstore.Uploads)
	return uploads, ok
}

func (c *call) uploads() (objstore.Uploads, error) {
	uploads, ok := uploadsOf(c.store)
	if !ok {
		return nil, s3code.NotImplemented.With("")
	}
	return uploads, nil
}

func (c *call) uploadID() objstore.UploadID { return objstore.UploadID(c.query.Get("uploadId")) }

func (c *call) createUpload() error {
	if err := checkNewKey(c.key); err != nil {
		return err
	}
	uploads, err := c.uploads()
	if err != nil {
		return err
	}
	opt, err := c.uploadOptions()
	if err != nil {
		return err
	}
	upload, err := uploads.CreateUpload(c.ctx(), c.key, opt)
	if err != nil {
		return err
	}
	setAll(c.w.Header(), map[string]string{hdrChecksumAlgo: opt.ChecksumAlgorithm, hdrChecksumType: opt.ChecksumType})
	return c.answer(http.StatusOK, &s3xml.InitiateMultipartUploadResult{Bucket: c.bucket, Key: string(c.key), UploadID: string(upload.ID)})
}

func (c *call) uploadOptions() (objstore.UploadOptions, error) {
	d, err := describe(c.r.Header)
	if err != nil {
		return objstore.UploadOptions{}, err
	}
	algorithm, kind, err := announcedChecksum(c.r.Header)
	if err != nil {
		return objstore.UploadOptions{}, err
	}
	return objstore.UploadOptions{
		ContentType: d.contentType, UserMeta: d.meta, Headers: d.headers, Tags: d.tags,
		ChecksumAlgorithm: algorithm, ChecksumType: kind,
	}, nil
}

// announcedChecksum reads which checksum the object will have. Without one the server makes its own, of
// the whole object.
func announcedChecksum(h http.Header) (algorithm, kind string, err error) {
	name, kindName := h.Get(hdrChecksumAlgo), h.Get(hdrChecksumType)
	if name == "" {
		if kindName != "" {
			return "", "", s3code.InvalidRequest.With("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return "", "", nil
	}
	a, ok := checksum.Parse(name)
	if !ok {
		return "", "", s3code.InvalidRequest.With("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	}
	t := a.DefaultType()
	if kindName != "" {
		if t, ok = checksum.ParseType(strings.ToUpper(kindName)); !ok {
			return "", "", s3code.InvalidRequest.With("Value for x-amz-checksum-type header is invalid.")
		}
	}
	if !a.Allows(t) {
		return "", "", s3code.InvalidRequest.With("The " + t.String() + " checksum type cannot be used with the " + lower(a.String()) + " checksum algorithm.")
	}
	return a.String(), t.String(), nil
}

func (c *call) uploadPart() error {
	uploads, number, err := c.partAddress()
	if err != nil {
		return err
	}
	wanted, err := checksum.FromHeader(c.r.Header)
	if err != nil {
		return err
	}
	if wanted.Algorithm, err = c.partAlgorithm(uploads, wanted); err != nil {
		return err
	}
	body, err := c.contentOf(wanted, c.conf.options.ETag == "md5" || wanted.MD5 != "")
	if err != nil {
		return err
	}
	part, err := uploads.PutPart(c.ctx(), c.key, c.uploadID(), number, body,
		objstore.PartOptions{Length: body.length, LengthKnown: true, Finish: body.finish})
	if err != nil {
		return body.refusal(err)
	}
	c.w.Header()["ETag"] = []string{quoted(part.ETag)}
	showChecksum(c.w.Header(), part.Checksum)
	return c.done(http.StatusOK)
}

// partAddress reads which part of which upload a request is about.
func (c *call) partAddress() (objstore.Uploads, int, error) {
	uploads, err := c.uploads()
	if err != nil {
		return nil, 0, err
	}
	number, err := partNumber(c.query.Get("partNumber"))
	return uploads, number, err
}

// partAlgorithm is the algorithm of a part's checksum: the one its upload announced, which must be the one
// the part brings.
func (c *call) partAlgorithm(uploads objstore.Uploads, wanted checksum.Wanted) (checksum.Algorithm, error) {
	page, err := uploads.ListParts(c.ctx(), c.key, c.uploadID(), objstore.PartNumberMax, 1)
	if err != nil {
		return 0, err
	}
	announced, known := checksum.Parse(page.Upload.Options.ChecksumAlgorithm)
	given := wanted.Value != nil || wanted.Trailer != 0
	switch {
	case !known || wanted.Algorithm == announced:
		return wanted.Algorithm, nil
	case given:
		return 0, checksum.MismatchedType(announced, wanted.Algorithm)
	default:
		return announced, nil
	}
}

func (c *call) uploadPartCopy() error {
	uploads, number, err := c.partAddress()
	if err != nil {
		return err
	}
	src, err := c.copySource()
	if err != nil {
		return err
	}
	span, err := copyRange(c.r.Header.Get("x-amz-copy-source-range"))
	if err != nil {
		return err
	}
	part, err := c.copyPart(uploads, src, span, number)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, &s3xml.CopyPartResult{ETag: quoted(part.ETag), LastModified: part.Modified, Checksum: shownChecksum(part.Checksum)})
}

func (c *call) copyPart(uploads objstore.Uploads, src source, s span, number int) (objstore.Part, error) {
	req := objstore.CopyPartRequest{Src: src.key, SrcBucket: src.otherBucket(c), Key: c.key, ID: c.uploadID(), Number: number, Offset: s.offset, Length: s.length}
	if req.SrcBucket != "" && !c.store.Capabilities().CrossBucket {
		return objstore.Part{}, s3code.NotImplemented.With("")
	}
	page, err := uploads.ListParts(c.ctx(), c.key, c.uploadID(), objstore.PartNumberMax, 1)
	if err != nil {
		return objstore.Part{}, err
	}
	for range attemptsMax {
		info, cond, err := c.pin(src)
		if err != nil {
			return objstore.Part{}, err
		}
		if s.length >= 0 && (s.offset > info.Size || s.length > info.Size-s.offset) {
			return objstore.Part{}, s3code.InvalidArgument.With("Range specified is not valid for source object of size: " + strconv.FormatInt(info.Size, 10))
		}
		req.SrcCond = cond
		if algorithm := page.Upload.Options.ChecksumAlgorithm; algorithm != "" {
			if req.Digests.Checksum, req.SrcCond, err = c.checksumSource(src, s, algorithm); err != nil {
				return objstore.Part{}, err
			}
		}
		part, err := uploads.CopyPart(c.ctx(), req)
		if !objstore.IsLostCondition(err) || errors.Is(err, objstore.NoSuchUpload) {
			return part, err
		}
	}
	return objstore.Part{}, (writeTest{tests: src.tests}).inFlight(c.key)
}

// copyRange reads "bytes=first-last", both ends given; all without it.
func copyRange(text string) (span, error) {
	if text == "" {
		return span{0, -1}, nil
	}
	first, last, ok := parseRange(text)
	if !ok || first < 0 || last < 0 {
		return span{}, s3code.InvalidArgument.With("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
	}
	return span{first, min(last-first, math.MaxInt64-1) + 1}, nil
}

func (c *call) abortUpload() error {
	uploads, err := c.uploads()
	if err != nil {
		return err
	}
	conditional := c.r.Header.Get(hdrIfMatchInitiated) != ""
	if conditional {
		err = c.checkInitiated(uploads)
	}
	if err == nil {
		err = uploads.AbortUpload(c.ctx(), c.key, c.uploadID(), objstore.Durable)
	}
	if err != nil && !(conditional && errors.Is(err, objstore.NoSuchUpload)) {
		return err
	}
	return c.done(http.StatusNoContent)
}

// hdrIfMatchInitiated is the condition of an abort on when the upload began.
const hdrIfMatchInitiated = "x-amz-if-match-initiated-time"

func (c *call) checkInitiated(uploads objstore.Uploads) error {
	t, ok := parseDate(c.r.Header.Get(hdrIfMatchInitiated))
	if !ok {
		return s3code.InvalidArgument.With("The initiated time of a condition is a date.")
	}
	page, err := uploads.ListParts(c.ctx(), c.key, c.uploadID(), objstore.PartNumberMax, 1)
	if err != nil {
		return err
	}
	if !t.Equal(page.Upload.Initiated.UTC().Truncate(time.Second)) {
		return failedCondition(hdrIfMatchInitiated)
	}
	return nil
}
