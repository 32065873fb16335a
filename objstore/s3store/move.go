package s3store

import (
	"context"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/etagfs/etagfs/objstore"
)

// source is a key as headers name it: /bucket/key, encoded.
func (s *Store) source(k objstore.Key) *string {
	return aws.String("/" + s.opt.Bucket + "/" + strings.ReplaceAll(url.PathEscape(s.prefix+string(k)), "%2F", "/"))
}

// idOr is the caller's write id, else a new one.
func (s *Store) idOr(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	return s.newID()
}

// Delete removes key.
func (s *Store) Delete(ctx context.Context, key objstore.Key, cond objstore.Cond, opt objstore.DeleteOptions) error {
	if err := s.check("delete", key, cond, s.caps.Delete); err != nil {
		return err
	}
	id, err := s.idOr(opt.WriteID)
	if err != nil {
		return writeError("delete", key, objstore.ErrUnavailable, err)
	}
	match, _ := headers(cond)
	w := write{op: "delete", key: key, cond: cond, id: id, repeatable: s.replays || !cond.IsUnconditional()}
	w.send = func(ctx context.Context) (objstore.ETag, error) {
		_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: s.bucket(), Key: s.key(key), IfMatch: match}, once(id))
		return "", err
	}
	if !s.replays {
		w.look = s.lookForDelete(key, cond)
	}
	_, err = s.settle(ctx, w)
	return err
}

// Copy copies within the store.
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
	from, _, err := s.head(ctx, req.Src, req.SrcCond)
	if err != nil {
		return objstore.Info{}, readError("copy", req.Src, err)
	}
	d := &draft{key: req.Dst, cond: req.DstCond, opt: req.Put, size: from.Size}
	if !req.ReplaceAttrs {
		d.opt.ContentType, d.opt.UserMeta = from.ContentType, from.UserMeta
	}
	if err := s.identify(ctx, d); err != nil {
		return objstore.Info{}, err
	}
	etag, err := s.settle(ctx, s.copyOf(d, req, from))
	if err != nil {
		return objstore.Info{}, err
	}
	return s.described(ctx, req.Dst, etag, d), nil
}

// copyOf is the request. Attributes are sent, for the copy has a lineage of its own; they are those of the
// version that is copied only if the store is asked for that one.
func (s *Store) copyOf(d *draft, req objstore.CopyRequest, from objstore.Info) write {
	match, noneMatch := headers(d.cond)
	var pin *string
	if s.caps.CopySource.Has(objstore.IfVersion(from.Version)) {
		pin, _ = headers(objstore.IfVersion(from.Version))
	}
	w := s.writeOf(d, func(ctx context.Context) (objstore.ETag, error) {
		out, err := s.client.CopyObject(ctx, &s3.CopyObjectInput{
			Bucket: s.bucket(), Key: s.key(d.key), CopySource: s.source(req.Src), CopySourceIfMatch: pin,
			IfMatch: match, IfNoneMatch: noneMatch, MetadataDirective: types.MetadataDirectiveReplace,
			ContentType: optional(d.opt.ContentType), Metadata: d.meta,
		}, once(d.id))
		if err != nil {
			return "", err
		}
		return etagOf(out.CopyObjectResult.ETag), nil
	})
	w.op = "copy"
	return w
}

// Rename uses RenameObject, which only few stores have. Its token makes it repeatable.
func (s *Store) Rename(ctx context.Context, req objstore.RenameRequest) (objstore.Info, error) {
	if !s.caps.RenameFile {
		return objstore.Info{}, refusal("rename", req.Src, objstore.ErrUnsupported, "the store has no RenameObject")
	}
	if err := s.check("rename", req.Src, req.SrcCond, s.caps.RenameSource); err != nil {
		return objstore.Info{}, err
	}
	if err := s.check("rename", req.Dst, req.DstCond, s.caps.RenameTarget); err != nil {
		return objstore.Info{}, err
	}
	if strings.HasSuffix(string(req.Src), "/") && !s.caps.RenameDir {
		return objstore.Info{}, refusal("rename", req.Src, objstore.ErrUnsupported, "the store cannot rename directories")
	}
	id, err := s.idOr(req.WriteID)
	if err != nil {
		return objstore.Info{}, writeError("rename", req.Src, objstore.ErrUnavailable, err)
	}
	srcMatch, _ := headers(req.SrcCond)
	match, noneMatch := headers(req.DstCond)
	_, err = s.settle(ctx, write{op: "rename", key: req.Src, id: id, repeatable: true, send: func(ctx context.Context) (objstore.ETag, error) {
		_, err := s.client.RenameObject(ctx, &s3.RenameObjectInput{
			Bucket: s.bucket(), Key: s.key(req.Dst), RenameSource: s.source(req.Src), ClientToken: aws.String(id),
			SourceIfMatch: srcMatch, DestinationIfMatch: match, DestinationIfNoneMatch: noneMatch,
		}, once(""))
		return "", err
	}})
	if err != nil {
		return objstore.Info{}, err
	}
	info, _, err := s.head(ctx, req.Dst, objstore.Unconditional())
	if err != nil {
		info = objstore.Info{} // it was renamed, if not for long; only the description is missing
	}
	return info, nil
}
