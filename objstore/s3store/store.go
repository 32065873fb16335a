package s3store

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/etagfs/etagfs/objstore"
)

// The headers of a server of this program.
const (
	headerVersion = "x-etagfs-version"
	headerWriteID = "x-etagfs-write-id"
)

// Store is one bucket, or the keys of it below a prefix.
type Store struct {
	// Constant once opened.
	client  *s3.Client
	opt     Options
	parts   Parts
	prefix  string // of keys in the bucket: empty, or ending in "/"
	caps    objstore.Capabilities
	replays bool          // the server answers repetitions by write id
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

// once makes a call a single request with a write id: what became of it is found out here, not by the SDK.
func once(id string) func(*s3.Options) {
	return func(o *s3.Options) {
		o.Retryer = aws.NopRetryer{}
		if id != "" {
			o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue(headerWriteID, id))
		}
	}
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

// headers of a condition: If-Match and If-None-Match.
func headers(c objstore.Cond) (match, noneMatch *string) {
	if v, ok := c.Version(); ok {
		return aws.String(`"` + string(v) + `"`), nil
	}
	if c.IsIfAbsent() {
		return nil, aws.String("*")
	}
	return nil, nil
}

func etagOf(quoted *string) objstore.ETag {
	return objstore.ETag(strings.Trim(aws.ToString(quoted), `"`))
}

// Head describes key.
func (s *Store) Head(ctx context.Context, key objstore.Key) (objstore.Info, error) {
	info, _, err := s.head(ctx, key, objstore.Unconditional())
	if err != nil {
		return objstore.Info{}, readError("head", key, err)
	}
	return info, nil
}

func (s *Store) head(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Info, lineage, error) {
	if key == "" {
		return objstore.Info{}, lineage{}, objstore.ErrInvalid
	}
	match, _ := headers(cond)
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: s.bucket(), Key: s.key(key), IfMatch: match})
	if err != nil {
		return objstore.Info{}, lineage{}, err
	}
	info := objstore.Info{
		Type: objstore.TypeFile, Nlink: 1,
		Size: aws.ToInt64(out.ContentLength), Modified: aws.ToTime(out.LastModified), ContentType: aws.ToString(out.ContentType),
		UserMeta: shown(out.Metadata),
	}
	return withETag(info, etagOf(out.ETag)), lineageOf(out.Metadata), nil
}

// withETag fills in what follows from the ETag and the size.
func withETag(info objstore.Info, etag objstore.ETag) objstore.Info {
	info.ETag, info.Version, info.Allocated = etag, objstore.Version(etag), info.Size
	info.Attr.Mtime = info.Modified
	return info
}

// shown is the user metadata without ours.
func shown(meta map[string]string) map[string]string {
	var own map[string]string
	for k, v := range meta {
		if k = strings.ToLower(k); k != metaWrite && k != metaLineage {
			if own == nil {
				own = make(map[string]string)
			}
			own[k] = v
		}
	}
	return own
}
