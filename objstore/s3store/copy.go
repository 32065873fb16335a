package s3store

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/etagfs/etagfs/objstore"
)

// Copy copies within the store. Attributes are sent along, for the copy has a lineage of its own; so the source is looked
// at first, and the copy is made of that version or not at all. A source that may be of any version is looked at again if it
// changed in between.
func (s *Store) Copy(ctx context.Context, req objstore.CopyRequest) (objstore.Info, error) {
	if err := s.check("copy", req.Src, req.SrcCond, s.caps.CopySource); err != nil {
		return objstore.Info{}, err
	}
	if err := s.check("copy", req.Dst, req.DstCond, s.caps.CopyTarget); err != nil {
		return objstore.Info{}, err
	}
	if req.SrcBucket != "" || req.ReplaceTags || req.Digests != (objstore.Digests{}) || req.Put.Headers != (objstore.Headers{}) {
		return objstore.Info{}, refusal("copy", req.Dst, objstore.ErrUnsupported, "buckets, tags, headers and digests are not")
	}
	from, err := s.copied(ctx, req)
	for try := 1; err == nil; try++ {
		info, failed := s.copyFrom(ctx, req, from)
		if !objstore.IsLostCondition(failed) {
			return info, failed
		}
		now, err := s.copied(ctx, req)
		if err != nil {
			return objstore.Info{}, err // the source's condition is the lost one, or reported first
		}
		if now.Version == from.Version || try == triesMax || s.backOff(ctx, try) != nil {
			return objstore.Info{}, failed
		}
		from = now
	}
	return objstore.Info{}, err
}

// copied is the source, if its condition holds.
func (s *Store) copied(ctx context.Context, req objstore.CopyRequest) (objstore.Info, error) {
	info, _, err := s.head(ctx, "copy", req.Src, objstore.Unconditional())
	if err != nil {
		return info, err
	}
	if kind := objstore.KindOf(req.SrcCond.Check(info.Version, true)); kind != 0 {
		return info, &objstore.Error{Op: "copy", Key: string(req.Src), Kind: kind, Winner: info.ETag}
	}
	return info, nil
}

// copyFrom copies one version of the source.
func (s *Store) copyFrom(ctx context.Context, req objstore.CopyRequest, from objstore.Info) (objstore.Info, error) {
	d := &draft{op: "copy", key: req.Dst, cond: req.DstCond, opt: req.Put, size: from.Size}
	if !req.ReplaceAttrs {
		d.opt.ContentType, d.opt.UserMeta, d.opt.Headers = from.ContentType, from.UserMeta, from.Headers
	}
	if err := s.identify(ctx, d); err != nil {
		return objstore.Info{}, err
	}
	pin := objstore.IfVersion(from.Version)
	made, err := s.settle(ctx, s.writeOf(d, func(ctx context.Context) (stamp, error) {
		h := d.opt.Headers
		out, err := s.client.CopyObject(ctx, &s3.CopyObjectInput{
			Bucket: s.bucket(), Key: s.key(d.key), CopySource: s.source(req.Src), CopySourceIfMatch: s.match(pin),
			IfMatch: s.match(d.cond), IfNoneMatch: noneMatch(d.cond), MetadataDirective: types.MetadataDirectiveReplace,
			ContentType: optional(d.opt.ContentType), Metadata: d.meta,
			CacheControl: optional(h.CacheControl), ContentDisposition: optional(h.ContentDisposition),
			ContentEncoding: optional(h.ContentEncoding), ContentLanguage: optional(h.ContentLanguage),
		}, named(d.id), s.own(headerCopyIfVersion, pin), s.own(headerIfVersion, d.cond))
		if err != nil {
			return stamp{}, err
		}
		return stampOf(out.CopyObjectResult.ETag, out.ResultMetadata), nil
	}))
	if err != nil {
		return objstore.Info{}, err
	}
	return s.describe(ctx, d, made), nil
}
