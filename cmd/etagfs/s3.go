package main

import (
	"context"
	"os"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/remote"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// openS3 opens the bucket a URL names. What was found out about it lately is confirmed; anew: all is tried out again.
func openS3(ctx context.Context, url string, readOnly, anew bool) (*s3store.Store, error) {
	options, err := s3store.ParseURL(url)
	if err != nil {
		return nil, err
	}
	options.ReadOnly = readOnly
	var parts s3store.Parts
	if strings.HasPrefix(url, "http") { // a server somebody runs, often ours: it is asked with the keys a mount of it takes
		keys, err := remote.CredentialsOfEnvironment(os.Getenv)
		if err != nil {
			return nil, usageErrorf("%v", err)
		}
		if keys != nil && os.Getenv("ETAGFS_ACCESS_KEY") != "" { // what AWS has may be more than two keys
			parts.Credentials = s3store.Keys(keys.AccessKey, keys.SecretKey)
		}
	}
	if !readOnly {
		parts.Notes = daemon{}.notesOf(options, anew)
	}
	return s3store.Open(ctx, options, parts)
}

// forgetProbe is for a bucket that did not do what it was taken to be able to.
func forgetProbe(url string) error {
	options, err := s3store.ParseURL(url)
	if err != nil {
		return err
	}
	if notes := (daemon{}).notesOf(options, true); notes != nil {
		return notes.Remove()
	}
	return nil
}

// present is the condition that there is an object, for stores whose deletes know none of that kind: it is looked
// for first, and then meant as it was, if the store can say that.
func present(ctx context.Context, bucket objstore.Store, key objstore.Key) (objstore.Cond, error) {
	deletes := bucket.Capabilities().Delete
	if deletes.Has(objstore.IfPresent()) {
		return objstore.IfPresent(), nil
	}
	info, err := bucket.Head(ctx, key)
	if err != nil {
		return objstore.Cond{}, err
	}
	if same := objstore.IfVersion(info.Version); deletes.Has(same) {
		return same, nil
	}
	return objstore.Unconditional(), nil
}

// copyAndDelete is a rename in two steps, for stores that have no better. Between them both names are there. A source that
// was changed meanwhile stays, if the store can tell.
func copyAndDelete(ctx context.Context, bucket objstore.Store, req objstore.RenameRequest) (objstore.Info, error) {
	from, err := bucket.Head(ctx, req.Src)
	if err != nil {
		return objstore.Info{}, err
	}
	same := objstore.IfVersion(from.Version)
	if kind := objstore.KindOf(req.SrcCond.Check(from.Version, true)); kind != 0 {
		return objstore.Info{}, &objstore.Error{Op: "mv", Key: string(req.Src), Kind: kind, Winner: from.ETag}
	}
	info, err := bucket.Copy(ctx, objstore.CopyRequest{Src: req.Src, SrcCond: same, Dst: req.Dst, DstCond: req.DstCond})
	if err != nil {
		return objstore.Info{}, err
	}
	if !bucket.Capabilities().Delete.Has(same) {
		same = objstore.Unconditional()
	}
	if err := bucket.Delete(ctx, req.Src, same, objstore.DeleteOptions{}); err != nil {
		return objstore.Info{}, &objstore.Error{
			Op: "mv", Key: string(req.Src), Kind: objstore.KindOf(err), Detail: "it was copied to " + string(req.Dst) + " but not deleted", Err: err,
		}
	}
	return info, nil
}
