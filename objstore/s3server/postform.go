package s3server

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/checksum"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

// postForm is a form that a browser sends: its fields up to the file, and the file.
type postForm struct {
	fields sigv4.Form
	file   *multipart.Part
}

// formFieldsMax bounds the number of fields before the file.
const formFieldsMax = 200

// postObject is the upload by a form. Its policy, which the form carries, is its signature; fields stand
// for headers.
func (c *call) postObject() error {
	form, err := c.readForm()
	if err != nil {
		return err
	}
	post, err := c.verifyForm(form)
	if err == nil {
		err = c.missing
	}
	if err != nil {
		return err
	}
	c.key = objstore.Key(form.fields["key"])
	if err := c.permitForm(); err != nil {
		return err
	}
	if err := checkNewKey(c.key); err != nil {
		return err
	}
	test, err := putTest(c.r.Header, c.opt.Conditions)
	if err != nil {
		return err
	}
	info, err := c.putForm(form, post, test)
	if err != nil {
		return err
	}
	showVersion(c.w.Header(), info)
	showChecksum(c.w.Header(), info.Checksum)
	return c.answerForm(form.fields, info)
}

// permitForm asks for what PutObject needs. The conditions are headers of the request, as those of PutObject.
func (c *call) permitForm() error {
	if err := c.permit("s3:PutObject", accessWrite, c.bucket, c.key, string(c.key), c.creationKeys); err != nil {
		return err
	}
	if err := c.permitProbe(hdrIfMatch); err != nil {
		return err
	}
	return c.requireCondition()
}

// readForm reads the fields, which are few and small, and stops at the file.
func (c *call) readForm() (*postForm, error) {
	reader, err := c.r.MultipartReader()
	if kind, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || kind != "multipart/form-data" {
		return nil, s3code.RequestIsNotMultiPartContent.With("")
	}
	form := &postForm{fields: sigv4.Form{"bucket": c.bucket}}
	left := c.opt.Limits.FormBytes
	for range formFieldsMax {
		p, err := reader.NextPart()
		switch {
		case errors.Is(err, io.EOF):
			return nil, s3code.IncorrectNumberOfFilesInPostRequest.With("")
		case err != nil:
			return nil, formError(err)
		}
		name := strings.ToLower(p.FormName())
		if name == "" {
			return nil, s3code.MalformedPOSTRequest.With("")
		}
		if name == "file" {
			form.file = p
			form.fields["bucket"] = c.bucket // whatever the form says
			form.fields["key"] = strings.ReplaceAll(form.fields["key"], "${filename}", p.FileName())
			if form.fields["key"] == "" {
				return nil, s3code.UserKeyMustBeSpecified.With("")
			}
			return form, nil
		}
		value, err := io.ReadAll(io.LimitReader(p, left+1))
		if err != nil {
			return nil, formError(err)
		}
		if left -= int64(len(value) + len(name)); left < 0 {
			return nil, s3code.MaxPostPreDataLengthExceededError.With("")
		}
		form.fields[name] = string(value)
	}
	return nil, s3code.MaxPostPreDataLengthExceededError.With("")
}

// formError tells a form that is none from a client that is gone.
func formError(err error) error {
	if errors.Is(err, errStalled) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return &s3code.Error{Code: s3code.MalformedPOSTRequest, Err: err}
}

func (c *call) verifyForm(form *postForm) (*sigv4.PostPolicy, error) {
	signed, post, err := c.verifier.VerifyForm(form.fields)
	if err != nil {
		return nil, err
	}
	c.signed = signed
	if err := c.identify(signed.AccessKey); err != nil {
		return nil, err
	}
	if post == nil {
		return nil, nil
	}
	return post, post.Check(form.fields)
}

// putForm puts the file.
func (c *call) putForm(form *postForm, post *sigv4.PostPolicy, test writeTest) (objstore.Info, error) {
	h := make(http.Header, len(form.fields))
	for name, value := range form.fields {
		h.Set(name, value)
	}
	h.Del(hdrTagging)
	d, err := describe(h)
	if err != nil {
		return objstore.Info{}, err
	}
	if !d.sendable() {
		return objstore.Info{}, s3code.InvalidArgument.With("A field has characters that no header can have.")
	}
	if d.tags, err = formTags(form.fields["tagging"]); err != nil {
		return objstore.Info{}, err
	}
	wanted, err := checksum.FromHeader(h)
	if err != nil {
		return objstore.Info{}, err
	}
	body := c.hashed(form.file, -1, wanted, c.conf.options.ETag == "md5")
	if post != nil {
		if least, most, ok := post.LengthRange(); ok {
			body.bytesMin, body.bytesMax = least, min(most, body.bytesMax)
		}
	}
	cond, err := c.decidePut(test, c.key, "")
	if err != nil {
		return objstore.Info{}, err
	}
	info, err := c.store.Put(c.ctx(), c.key, body, cond, objstore.PutOptions{
		ContentType: d.contentType, UserMeta: d.meta, Headers: d.headers, Tags: d.tags, Finish: body.finish,
	})
	if err != nil {
		return info, c.failPut(test, "", body.refusal(err))
	}
	return info, nil
}

func formTags(text string) (map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	document, err := decodeDocument[s3xml.Tagging]([]byte(text))
	if err != nil {
		return nil, err
	}
	return tagsOfDocument(document)
}

// answerForm answers as the form asks: with a redirect, or with a status.
func (c *call) answerForm(fields sigv4.Form, info objstore.Info) error {
	location := c.locationOf(c.bucket, c.key)
	if to, err := url.Parse(fields["success_action_redirect"]); err == nil && to.IsAbs() && to.Host != "" {
		query := to.Query()
		query.Set("bucket", c.bucket)
		query.Set("key", string(c.key))
		query.Set("etag", quoted(info.ETag))
		to.RawQuery = query.Encode()
		c.w.Header().Set("Location", to.String())
		return c.done(http.StatusSeeOther)
	}
	c.w.Header().Set("Location", location)
	status, err := strconv.Atoi(fields["success_action_status"])
	switch {
	case err == nil && status == http.StatusCreated:
		return c.answer(status, &s3xml.PostResponse{Location: location, Bucket: c.bucket, Key: string(c.key), ETag: quoted(info.ETag)})
	case err == nil && status == http.StatusOK:
		return c.done(status)
	default:
		return c.done(http.StatusNoContent)
	}
}
