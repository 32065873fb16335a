package s3store

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/etagfs/etagfs/objstore"
)

// headerDescribe asks our server for a listing with what a head of each key would tell.
const headerDescribe = "x-etagfs-describe"

// describing asks for that, and reads it, which the SDK would leave out. A server that does not know it answers as ever.
func (s *Store) describing(wanted bool) func(*s3.Options) {
	return func(o *s3.Options) {
		if !s.ours || !wanted {
			return
		}
		o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue(headerDescribe, "true"), func(stack *middleware.Stack) error {
			own := &listingReader{}
			before, err := stack.Deserialize.Swap("OperationDeserializer", own)
			own.failures = before
			return err
		})
	}
}

// listingReader reads an answer to ListObjectsV2 with all that our server says in it.
type listingReader struct {
	failures middleware.DeserializeMiddleware // reads what is none
}

// ID implements [middleware.DeserializeMiddleware].
func (r *listingReader) ID() string { return "OperationDeserializer" }

// HandleDeserialize implements [middleware.DeserializeMiddleware].
func (r *listingReader) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	out middleware.DeserializeOutput, meta middleware.Metadata, err error,
) {
	out, meta, err = next.HandleDeserialize(ctx, in)
	reply, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok {
		return out, meta, err
	}
	if reply.StatusCode != http.StatusOK {
		answered := func(context.Context, middleware.DeserializeInput) (middleware.DeserializeOutput, middleware.Metadata, error) {
			return out, meta, nil
		}
		return r.failures.HandleDeserialize(ctx, in, middleware.DeserializeHandlerFunc(answered))
	}
	var page describedPage
	if err := xml.NewDecoder(reply.Body).Decode(&page); err != nil {
		return out, meta, &smithy.DeserializationError{Err: err}
	}
	out.Result = page.output()
	meta.Set(toldKey{}, page.told())
	return out, meta, nil
}

// describedPage is a page of a listing of our server.
type describedPage struct {
	IsTruncated           bool
	NextContinuationToken string
	Contents              []struct {
		Key               string
		ETag              string
		Size              int64
		LastModified      time.Time
		EtagfsDescription *string
	}
	CommonPrefixes []struct {
		Prefix            string
		EtagfsDescription *string
	}
}

// output is what the SDK would have read, as far as it is looked at.
func (p *describedPage) output() *s3.ListObjectsV2Output {
	out := &s3.ListObjectsV2Output{IsTruncated: &p.IsTruncated, NextContinuationToken: optional(p.NextContinuationToken)}
	for i := range p.Contents {
		o := &p.Contents[i]
		out.Contents = append(out.Contents, types.Object{Key: &o.Key, ETag: &o.ETag, Size: &o.Size, LastModified: &o.LastModified})
	}
	for i := range p.CommonPrefixes {
		out.CommonPrefixes = append(out.CommonPrefixes, types.CommonPrefix{Prefix: &p.CommonPrefixes[i].Prefix})
	}
	return out
}

// told is what a listing says of objects and of common prefixes, in order; nil: nothing of that one.
type told struct{ objects, prefixes []*string }

type toldKey struct{}

func (p *describedPage) told() *told {
	t := &told{}
	for i := range p.Contents {
		t.objects = append(t.objects, p.Contents[i].EtagfsDescription)
	}
	for i := range p.CommonPrefixes {
		t.prefixes = append(t.prefixes, p.CommonPrefixes[i].EtagfsDescription)
	}
	return t
}

// toldOf is what an answer says of its entries.
func toldOf(meta middleware.Metadata) *told {
	if t, ok := meta.Get(toldKey{}).(*told); ok {
		return t
	}
	return &told{}
}

// object describes the next object.
func (t *told) object(e objstore.ListEntry) objstore.ListEntry {
	if len(t.objects) == 0 {
		return e
	}
	text := t.objects[0]
	t.objects = t.objects[1:]
	if text == nil || *text == "" {
		return e
	}
	return describedBy(e, *text)
}

// prefix describes the next common prefix.
func (t *told) prefix(e objstore.ListEntry) objstore.ListEntry {
	if len(t.prefixes) == 0 {
		return e
	}
	text := t.prefixes[0]
	t.prefixes = t.prefixes[1:]
	if text == nil {
		return e
	}
	if *text == "" { // there is no such key
		e.Described = true
		return e
	}
	return describedBy(e, *text)
}

// describedBy is an entry with what the headers say that a head would be answered with; as it was if they make no sense.
func describedBy(e objstore.ListEntry, text string) objstore.ListEntry {
	values, err := url.ParseQuery(text)
	if err != nil {
		return e
	}
	h := http.Header(values)
	size, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil {
		return e
	}
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	if err != nil || h.Get(headerVersion) == "" {
		return e
	}
	etag := values["ETag"] // as S3 writes it, and no http.Header
	e.Described, e.Info = true, described(objstore.Info{
		Type: objstore.TypeFile, Nlink: 1, Size: size, Modified: modified, ContentType: h.Get("Content-Type"), UserMeta: shown(metaOf(h)),
		Headers: objstore.Headers{
			CacheControl: h.Get("Cache-Control"), ContentDisposition: h.Get("Content-Disposition"),
			ContentEncoding: h.Get("Content-Encoding"), ContentLanguage: h.Get("Content-Language"), Expires: h.Get("Expires"),
		},
	}, stamp{objstore.ETag(strings.Trim(strings.Join(etag, ""), `"`)), objstore.Version(h.Get(headerVersion))})
	return e
}

// metaOf is the user metadata in headers.
func metaOf(h http.Header) map[string]string {
	meta := make(map[string]string)
	for name, values := range h {
		if key, ok := strings.CutPrefix(strings.ToLower(name), "x-amz-meta-"); ok && len(values) > 0 {
			meta[key] = values[0]
		}
	}
	return meta
}
