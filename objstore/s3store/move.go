package s3store

import (
	"context"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/etagfs/etagfs/objstore"
)

// source is a key as headers name it: /bucket/key, encoded.
func (s *Store) source(k objstore.Key) *string {
	return aws.String("/" + s.opt.Bucket + "/" + strings.ReplaceAll(url.PathEscape(s.prefix+string(k)), "%2F", "/"))
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
	if !s.caps.OneDelete && !cond.IsUnconditional() {
		if err := s.present(ctx, key, cond); err != nil {
			return err
		}
	}
	w := write{op: "delete", key: key, repeatable: s.ours, recognised: s.ours}
	w.send = func(ctx context.Context) (stamp, error) {
		in := &s3.DeleteObjectInput{Bucket: s.bucket(), Key: s.key(key), IfMatch: s.match(cond)}
		_, err := s.client.DeleteObject(ctx, in, named(id), s.own(headerIfVersion, cond))
		return stamp{}, err
	}
	if !s.ours {
		w.look = s.lookForDelete(key, cond)
	}
	_, err = s.settle(ctx, w)
	return err
}

// present is for stores that answer 204 to a conditional delete of what is not there, as Ceph does. What protects another
// version is still the condition that goes with the delete; this only tells who comes too late.
func (s *Store) present(ctx context.Context, key objstore.Key, cond objstore.Cond) error {
	info, _, err := s.head(ctx, "delete", key, objstore.Unconditional())
	if err != nil {
		return err
	}
	if kind := objstore.KindOf(cond.Check(info.Version, true)); kind != 0 {
		return &objstore.Error{Op: "delete", Key: string(key), Kind: kind, Winner: info.ETag}
	}
	return nil
}

// Rename uses RenameObject, which only few stores have.
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
	w := write{op: "rename", key: req.Src, repeatable: s.tokens, recognised: s.tokens}
	w.send = func(ctx context.Context) (stamp, error) { return stamp{}, s.rename(ctx, req, id) }
	if _, err := s.settle(ctx, w); err != nil {
		return objstore.Info{}, err
	}
	info, _, err := s.head(ctx, "rename", req.Dst, objstore.Unconditional())
	if err != nil {
		info = objstore.Info{} // it was renamed, if not for long; only the description is missing
	}
	return info, nil
}

// rename is the request. Its token makes it repeatable where tokens are known.
func (s *Store) rename(ctx context.Context, req objstore.RenameRequest, token string) error {
	_, err := s.client.RenameObject(ctx, &s3.RenameObjectInput{
		Bucket: s.bucket(), Key: s.key(req.Dst), RenameSource: s.source(req.Src), ClientToken: aws.String(token),
		SourceIfMatch: s.sourceMatch(req.SrcCond), DestinationIfMatch: s.match(req.DstCond), DestinationIfNoneMatch: noneMatch(req.DstCond),
	}, s.own(headerRenameIfVersion, req.SrcCond), s.own(headerIfVersion, req.DstCond))
	return err
}

// sourceMatch is the If-Match of a source, which has to be there anyway.
func (s *Store) sourceMatch(c objstore.Cond) *string {
	if _, ok := c.Version(); ok {
		return s.match(c)
	}
	return nil
}
