package s3store

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/etagfs/etagfs/objstore"
)

const listMax = 1000

// List asks for one page, and for more only while all of it lies before StartAfter, as
// a common prefix can.
func (s *Store) List(ctx context.Context, opt objstore.ListOptions) (objstore.ListPage, error) {
	limit := opt.Max
	if limit <= 0 || limit > listMax {
		limit = listMax
	}
	in := &s3.ListObjectsV2Input{
		Bucket: s.bucket(), Prefix: s.key(opt.Prefix), MaxKeys: aws.Int32(int32(limit)), EncodingType: types.EncodingTypeUrl,
		Delimiter: optional(opt.Delimiter),
	}
	if opt.StartAfter != "" {
		in.StartAfter = s.key(opt.StartAfter)
	}
	for {
		out, err := again(ctx, s, func() (*s3.ListObjectsV2Output, error) {
			return s.client.ListObjectsV2(ctx, in, s.describing(opt.Describe))
		})
		if err != nil {
			return objstore.ListPage{}, readError("list", opt.Prefix, err)
		}
		entries, err := s.entries(out, opt.StartAfter)
		if err != nil {
			return objstore.ListPage{}, readError("list", opt.Prefix, err)
		}
		more := aws.ToBool(out.IsTruncated)
		if len(entries) > 0 || !more {
			return objstore.ListPage{Entries: entries, More: more}, nil
		}
		in.ContinuationToken = out.NextContinuationToken
	}
}

// entries merges objects and common prefixes, both in order, and leaves out what does not come after the key.
func (s *Store) entries(out *s3.ListObjectsV2Output, after objstore.Key) ([]objstore.ListEntry, error) {
	objects, prefixes, told := out.Contents, out.CommonPrefixes, toldOf(out.ResultMetadata)
	var all []objstore.ListEntry
	for len(objects) > 0 || len(prefixes) > 0 {
		object, err := listed(s, objects, func(o types.Object) *string { return o.Key })
		if err != nil {
			return nil, err
		}
		prefix, err := listed(s, prefixes, func(p types.CommonPrefix) *string { return p.Prefix })
		if err != nil {
			return nil, err
		}
		var e objstore.ListEntry
		if len(prefixes) == 0 || len(objects) > 0 && object < prefix {
			e = told.object(s.listedObject(object, objects[0]))
			objects = objects[1:]
		} else {
			e = told.prefix(objstore.ListEntry{Key: prefix, Prefix: true})
			prefixes = prefixes[1:]
		}
		if after == "" || e.Key > after {
			all = append(all, e)
		}
	}
	return all, nil
}

// listedObject is what any store tells of an object.
func (s *Store) listedObject(key objstore.Key, o types.Object) objstore.ListEntry {
	return objstore.ListEntry{Key: key, Info: described(objstore.Info{
		Type: objstore.TypeFile, Nlink: 1, Size: aws.ToInt64(o.Size),
		Modified: aws.ToTime(o.LastModified).Truncate(time.Second), // as a head tells it
	}, s.listedStamp(o.ETag))}
}

// listedStamp is what a listing tells. Of an object of our server with an ETag like an MD5 it does not tell the version.
func (s *Store) listedStamp(etag *string) stamp {
	tag := etagOf(etag)
	if !s.ours {
		return stamp{tag, objstore.Version(tag)}
	}
	_, version, _ := tag.Split()
	return stamp{tag, version}
}

// listed is the key of the first of some entries.
func listed[E any](s *Store, entries []E, name func(E) *string) (objstore.Key, error) {
	if len(entries) == 0 {
		return "", nil
	}
	key, err := url.QueryUnescape(aws.ToString(name(entries[0])))
	return objstore.Key(strings.TrimPrefix(key, s.prefix)), err
}
