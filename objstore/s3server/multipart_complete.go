package s3server

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/checksum"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

func (c *call) completeUpload() error {
	uploads, err := c.uploads()
	if err != nil {
		return err
	}
	if err := checkFinalHeaders(c.r.Header); err != nil {
		return err
	}
	named, err := c.readParts()
	if err != nil {
		return err
	}
	info, err := c.complete(uploads, named)
	if err != nil {
		return err
	}
	showVersion(c.w.Header(), info)
	return c.answer(http.StatusOK, &s3xml.CompleteMultipartUploadResult{
		Location: c.locationOf(c.bucket, c.key), Bucket: c.bucket, Key: string(c.key), ETag: quoted(info.ETag), Checksum: shownChecksum(info.Checksum),
	})
}

// checkFinalHeaders checks what the headers say of the object, as far as that can be done without it.
func checkFinalHeaders(h http.Header) error {
	values := 0
	for _, a := range checksum.Algorithms() {
		values += len(h.Values(a.Header()))
	}
	if values > 1 {
		return s3code.InvalidRequest.With("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	}
	if text := h.Get(hdrChecksumType); text != "" {
		if _, ok := checksum.ParseType(text); !ok {
			return s3code.InvalidRequest.With("Value for x-amz-checksum-type header is invalid.")
		}
	}
	text := h.Get("x-amz-mp-object-size")
	switch size, err := strconv.ParseInt(text, 10, 64); {
	case text == "":
		return nil
	case err != nil:
		return s3code.InvalidRequest.With("Value for x-amz-mp-object-size header is invalid.")
	case size < 0:
		return s3code.InvalidRequest.With("Value for x-amz-mp-object-size header is less than zero: '" + text + "'")
	default:
		return nil
	}
}

// readParts reads which parts the object shall have. Checksum headers of this request are about the
// object, not about the body.
func (c *call) readParts() ([]s3xml.CompletedPart, error) {
	body, err := c.payloadOf(checksum.Wanted{Algorithm: checksum.CRC64NVME}, false)
	if err != nil {
		return nil, err
	}
	text, err := c.readBody(body, completeBytesMax)
	if err != nil {
		return nil, err
	}
	if len(text) == 0 {
		return nil, s3code.InvalidRequest.With("You must specify at least one part")
	}
	request, err := decodeDocument[s3xml.CompleteMultipartUpload](text)
	if err != nil {
		return nil, err
	}
	if len(request.Parts) == 0 || len(request.Parts) > objstore.PartNumberMax {
		return nil, s3code.MalformedXML.With("")
	}
	for i, p := range request.Parts {
		if p.PartNumber < 1 {
			return nil, s3code.InvalidArgument.With("PartNumber must be >= 1",
				s3code.Detail{Name: "ArgumentName", Value: "PartNumber"}, s3code.Detail{Name: "ArgumentValue", Value: strconv.Itoa(p.PartNumber)})
		}
		if p.PartNumber > objstore.PartNumberMax {
			return nil, s3code.InvalidPart.With("")
		}
		if i > 0 && p.PartNumber <= request.Parts[i-1].PartNumber {
			return nil, s3code.InvalidPartOrder.With("")
		}
	}
	return request.Parts, nil
}

// complete checks the parts, then the condition, and asks the store, which checks both again. An upload
// that is no more may be one that was completed by the same request before: the store knows.
func (c *call) complete(uploads objstore.Uploads, named []s3xml.CompletedPart) (objstore.Info, error) {
	req := objstore.CompleteRequest{Key: c.key, ID: c.uploadID(), Cond: objstore.Unconditional()}
	for _, p := range named {
		req.Parts = append(req.Parts, objstore.CompletedPart{Number: p.PartNumber, ETag: parseTag(p.ETag).value})
	}
	upload, parts, err := c.partsPut(uploads)
	if errors.Is(err, objstore.NoSuchUpload) {
		return uploads.CompleteUpload(c.ctx(), req)
	}
	if err != nil {
		return objstore.Info{}, err
	}
	test, err := putTest(c.r.Header, c.opt.Conditions)
	if err != nil {
		return objstore.Info{}, err
	}
	chosen, err := c.chooseParts(upload, parts, named)
	if err != nil {
		return objstore.Info{}, err
	}
	if req.Digests, err = c.assembledDigests(upload, chosen); err != nil {
		return objstore.Info{}, err
	}
	var info objstore.Info
	err = c.decided(c.key, test, "", func(cond objstore.Cond) (err error) {
		req.Cond = cond
		info, err = uploads.CompleteUpload(c.ctx(), req)
		return err
	})
	if errors.Is(err, objstore.KeyChanged) {
		return info, test.inFlight(c.key)
	}
	return info, err
}

// partsPut lists all parts of the upload, by number.
func (c *call) partsPut(uploads objstore.Uploads) (objstore.Upload, map[int]objstore.Part, error) {
	parts := make(map[int]objstore.Part)
	after := 0
	for {
		page, err := uploads.ListParts(c.ctx(), c.key, c.uploadID(), after, 0)
		if err != nil {
			return objstore.Upload{}, nil, err
		}
		for _, p := range page.Parts {
			parts[p.Number] = p
			after = p.Number
		}
		if !page.More {
			return page.Upload, parts, nil
		}
	}
}

// chooseParts finds the named parts and checks their tags, checksums and sizes.
func (c *call) chooseParts(upload objstore.Upload, parts map[int]objstore.Part, named []s3xml.CompletedPart) ([]objstore.Part, error) {
	chosen := make([]objstore.Part, 0, len(named))
	total := int64(0)
	for i, n := range named {
		p, ok := parts[n.PartNumber]
		if !ok || parseTag(n.ETag).value.Content() != p.ETag.Content() {
			return nil, s3code.InvalidPart.With("")
		}
		if err := matchPart(upload.Options, p, n); err != nil {
			return nil, err
		}
		if p.Size < c.opt.Limits.PartBytesMin && i < len(named)-1 {
			return nil, s3code.EntityTooSmall.With("", s3code.Detail{Name: "ProposedSize", Value: strconv.FormatInt(p.Size, 10)},
				s3code.Detail{Name: "MinSizeAllowed", Value: strconv.FormatInt(c.opt.Limits.PartBytesMin, 10)}, s3code.Detail{Name: "PartNumber", Value: strconv.Itoa(p.Number)},
				s3code.Detail{Name: "ETag", Value: string(p.ETag)})
		}
		total += p.Size
		chosen = append(chosen, p)
	}
	if want := c.r.Header.Get("x-amz-mp-object-size"); want != "" && want != strconv.FormatInt(total, 10) {
		return nil, s3code.InvalidRequest.With(fmt.Sprintf("The provided 'x-amz-mp-object-size' header value %s does not match what was computed: %d", want, total))
	}
	return chosen, nil
}

// matchPart compares a part's checksum with the one named. A composite checksum is made of what the client
// names, so each part needs one.
func matchPart(announced objstore.UploadOptions, p objstore.Part, named s3xml.CompletedPart) error {
	given := named.Checksum
	if given.Algorithm == 0 {
		if announced.ChecksumType == checksum.Composite.String() {
			return s3code.InvalidRequest.With(fmt.Sprintf("The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.",
				lower(announced.ChecksumAlgorithm), p.Number))
		}
		return nil
	}
	stored, ok := checksumOf(p.Checksum)
	if ok && stored.Algorithm == given.Algorithm && stored.String() != given.Text {
		return s3code.InvalidPart.With("")
	}
	if announced.ChecksumAlgorithm != "" && given.Algorithm.String() != announced.ChecksumAlgorithm {
		return s3code.BadDigest.With("The " + lower(given.Algorithm.String()) + " you specified for part " + strconv.Itoa(p.Number) + " did not match what we received.")
	}
	return nil
}

// assembledDigests are the checksum and the tag of the object that the parts make.
func (c *call) assembledDigests(upload objstore.Upload, parts []objstore.Part) (objstore.Digests, error) {
	if err := checkTypeRepeated(upload.Options, c.r.Header.Get(hdrChecksumType)); err != nil {
		return objstore.Digests{}, err
	}
	d := objstore.Digests{}
	if c.conf.options.ETag == "md5" {
		d.ETag = assembledMD5(parts)
	}
	sum, ok, err := assembledChecksum(upload.Options, parts)
	if err != nil {
		return d, err
	}
	if ok {
		d.Checksum = objstore.Checksum{Algorithm: sum.Algorithm.String(), Value: sum.String()}
	}
	return d, c.matchObject(sum, ok)
}

// checkTypeRepeated: a type that is not the algorithm's own has to be said again.
func checkTypeRepeated(announced objstore.UploadOptions, given string) error {
	a, known := checksum.Parse(announced.ChecksumAlgorithm)
	expected := announced.ChecksumType
	if given == expected || given == "" && (!known || expected == a.DefaultType().String()) || !known && given == checksum.FullObject.String() {
		return nil
	}
	if expected == "" {
		expected = "null"
	}
	return s3code.InvalidRequest.With("The upload was created using the " + expected + " checksum mode. The complete request must use the same checksum mode.")
}

// assembledChecksum is the checksum of the object, if all parts have one of the same algorithm.
func assembledChecksum(announced objstore.UploadOptions, parts []objstore.Part) (sum checksum.Value, ok bool, err error) {
	first, ok := checksumOf(parts[0].Checksum)
	if !ok {
		return sum, false, nil
	}
	t, announcedType := checksum.ParseType(announced.ChecksumType)
	switch {
	case announcedType:
	case first.Algorithm.Allows(checksum.FullObject):
		t = checksum.FullObject
	default:
		t = checksum.Composite
	}
	assembly, err := checksum.NewAssembly(first.Algorithm, t)
	if err != nil {
		return sum, false, err
	}
	for _, p := range parts {
		v, ok := checksumOf(p.Checksum)
		if !ok || v.Algorithm != first.Algorithm {
			return sum, false, nil
		}
		if err := assembly.Add(v, p.Size); err != nil {
			return sum, false, err
		}
	}
	return assembly.Sum(), true, nil
}

// matchObject compares the checksum of the whole object that the request brings, if it does.
func (c *call) matchObject(sum checksum.Value, ok bool) error {
	for _, a := range checksum.Algorithms() {
		text := c.r.Header.Get(a.Header())
		if text == "" {
			continue
		}
		want, err := checksum.ParseValue(a, text)
		if err != nil {
			return err
		}
		same := want.Algorithm == sum.Algorithm && want.Digest == sum.Digest && (want.Parts == 0 || want.Parts == sum.Parts)
		if !ok || !same {
			return s3code.BadDigest.With("The " + a.String() + " you specified did not match the calculated checksum.")
		}
	}
	return nil
}

// assembledMD5 is S3's ETag of an object in parts: empty unless every part's ETag is an MD5.
func assembledMD5(parts []objstore.Part) objstore.ETag {
	all := md5.New()
	for _, p := range parts {
		digest, err := hex.DecodeString(string(p.ETag))
		if err != nil || len(digest) != md5.Size {
			return ""
		}
		all.Write(digest)
	}
	return objstore.ETag(hex.EncodeToString(all.Sum(nil)) + "-" + strconv.Itoa(len(parts)))
}

func md5ETag(digest string) objstore.ETag { return objstore.ETag(hex.EncodeToString([]byte(digest))) }

func lower(s string) string { return strings.ToLower(s) }
