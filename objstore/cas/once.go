package cas

import (
	"context"
	"io"
	"maps"

	"github.com/etagfs/etagfs/objstore"
)

// onceMeta is the user metadata that holds the id of an upload.
const onceMeta = "etagfs-once"

// Once makes what open returns the content of key, once, however often it is called with the same id, by
// whomever, and whatever answers get lost. A later call finds the object and returns what it is. An object
// that was made with another id, or otherwise, is [Taken].
//
// The object is the record of what happened: "once" is for as long as nobody deletes it.
func Once(ctx context.Context, s Store, key objstore.Key, id string, open func() (io.ReadCloser, error), opt objstore.PutOptions) (info objstore.Info, err error) {
	opt.UserMeta = maps.Clone(opt.UserMeta)
	if opt.UserMeta == nil {
		opt.UserMeta = make(map[string]string)
	}
	opt.UserMeta[onceMeta] = id
	err = Tries{}.do(ctx, "once", key, func() (again bool, err error) {
		info, err = put(ctx, s, key, open, objstore.IfAbsent(), opt)
		if err == nil || busy(err) {
			return err != nil, err
		}
		if !objstore.IsLostCondition(err) && objstore.KindOf(err) != objstore.ErrUnknown {
			return false, err
		}
		there, found := s.Get(ctx, key, objstore.Unconditional())
		switch {
		case found == nil:
			info, err = there.Info(), there.Close()
			if info.UserMeta[onceMeta] != id {
				err = &objstore.Error{Op: "once", Key: string(key), Kind: objstore.ErrPrecondition, Winner: info.ETag, Err: Taken}
			}
			return false, err
		case objstore.KindOf(found) == objstore.ErrNotFound || busy(found):
			return true, err // it is asked for under the same condition again
		}
		return false, found
	})
	return info, err
}
