package s3store

import (
	"context"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/etagfs/etagfs/objstore"
)

// Store is one bucket, or the keys of it below a prefix.
type Store struct {
	// Constant once opened.
	client   *s3.Client
	opt      Options
	parts    Parts
	prefix   string // of keys in the bucket: empty, or ending in "/"
	caps     objstore.Capabilities
	server   string // what it calls itself
	ours     bool   // a server of this program: it has versions, and answers repetitions by write id
	tokens   bool   // a repeated rename is recognised by its token
	marks    bool   // an upload may have a part that is not named in the end
	findings []Finding

	uploads chan struct{} // one token for each put that holds a body
}

func newStore(client *s3.Client, opt Options, parts Parts) *Store {
	s := &Store{client: client, opt: opt, parts: parts, uploads: make(chan struct{}, opt.Uploads)}
	if opt.Prefix != "" {
		s.prefix = opt.Prefix + "/"
	}
	s.caps = objstore.Capabilities{
		ServerCopy:     true,
		ObjectBytesMax: partsMax * opt.PartBytes,
		KeyBytesMax:    objstore.KeyBytesMax - len(s.prefix),
	}
	return s
}

// Capabilities are what the probe found.
func (s *Store) Capabilities() objstore.Capabilities { return s.caps }

// Findings are what was learned when the store was opened; none if it was opened for reading.
func (s *Store) Findings() []Finding { return slices.Clone(s.findings) }

// Sync has nothing to do: what S3 acknowledged is durable.
func (s *Store) Sync(context.Context) error { return nil }

func (s *Store) bucket() *string { return aws.String(s.opt.Bucket) }

func (s *Store) key(k objstore.Key) *string { return aws.String(s.prefix + string(k)) }

// newID makes a write id: 32 hex digits.
func (s *Store) newID() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.parts.Rand, b[:]); err != nil {
		return "", err
	}
	return hex.EncodeToString(b[:]), nil
}

// idOr is the caller's write id, else a new one.
func (s *Store) idOr(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	return s.newID()
}

// replyHeader is the HTTP head of a reply.
func replyHeader(meta middleware.Metadata) http.Header {
	if reply, ok := awsmiddleware.GetRawResponse(meta).(*smithyhttp.Response); ok && reply != nil {
		return reply.Header
	}
	return nil
}

// check refuses what cannot be sent.
func (s *Store) check(op string, key objstore.Key, cond objstore.Cond, honoured objstore.CondSet) error {
	switch {
	case s.opt.ReadOnly:
		return refusal(op, key, objstore.ErrReadOnly, "the store was opened for reading")
	case !cond.Valid():
		return refusal(op, key, objstore.ErrInvalid, "no condition")
	case !honoured.Has(cond):
		return refusal(op, key, objstore.ErrUnsupported, "the store does not honour the condition "+cond.String())
	case key == "":
		return refusal(op, key, objstore.ErrInvalid, "the key is empty")
	case len(key) > s.caps.KeyBytesMax:
		return refusal(op, key, objstore.ErrTooLarge, "the key is too long")
	}
	return nil
}

// stamp is how a store names one content.
type stamp struct {
	etag    objstore.ETag
	version objstore.Version
}

// stampOf reads a reply. Where the store has no versions the ETag is all there is.
func stampOf(etag *string, meta middleware.Metadata) stamp {
	tag := etagOf(etag)
	if v := replyHeader(meta).Get(headerVersion); v != "" {
		return stamp{tag, objstore.Version(v)}
	}
	return stamp{tag, objstore.Version(tag)}
}

func etagOf(quoted *string) objstore.ETag {
	return objstore.ETag(strings.Trim(aws.ToString(quoted), `"`))
}

// Head describes key.
func (s *Store) Head(ctx context.Context, key objstore.Key) (objstore.Info, error) {
	info, _, err := s.head(ctx, "head", key, objstore.Unconditional())
	return info, err
}

// head also tells the lineage. It asks again as reads do; an object of another version is a lost condition.
func (s *Store) head(ctx context.Context, op string, key objstore.Key, cond objstore.Cond) (objstore.Info, lineage, error) {
	if key == "" {
		return objstore.Info{}, lineage{}, refusal(op, key, objstore.ErrInvalid, "the key is empty")
	}
	out, err := again(ctx, s, func() (*s3.HeadObjectOutput, error) {
		in := &s3.HeadObjectInput{Bucket: s.bucket(), Key: s.key(key), IfMatch: s.match(cond)}
		return s.client.HeadObject(ctx, in, s.own(headerIfVersion, cond))
	})
	if err != nil {
		return objstore.Info{}, lineage{}, readError(op, key, err)
	}
	info := objstore.Info{
		Type: objstore.TypeFile, Nlink: 1,
		Size: aws.ToInt64(out.ContentLength), Modified: aws.ToTime(out.LastModified), ContentType: aws.ToString(out.ContentType),
		UserMeta: shown(out.Metadata),
		Headers: objstore.Headers{
			CacheControl: aws.ToString(out.CacheControl), ContentDisposition: aws.ToString(out.ContentDisposition),
			ContentEncoding: aws.ToString(out.ContentEncoding), ContentLanguage: aws.ToString(out.ContentLanguage),
			Expires: aws.ToString(out.ExpiresString),
		},
	}
	info = described(info, stampOf(out.ETag, out.ResultMetadata))
	if v, ok := cond.Version(); ok && v != info.Version {
		return objstore.Info{}, lineage{}, refusal(op, key, objstore.ErrPrecondition, "")
	}
	return info, lineageOf(out.Metadata), nil
}

// described fills in what follows from a stamp and the size.
func described(info objstore.Info, is stamp) objstore.Info {
	info.ETag, info.Version, info.Allocated = is.etag, is.version, info.Size
	info.Attr.Mtime = info.Modified
	return info
}

// shown is the user metadata without ours.
func shown(meta map[string]string) map[string]string {
	own := make(map[string]string, len(meta))
	for k, v := range meta {
		own[strings.ToLower(k)] = v
	}
	maps.DeleteFunc(own, func(k, _ string) bool { return k == metaWrite || k == metaLineage })
	if len(own) == 0 {
		return nil
	}
	return own
}
