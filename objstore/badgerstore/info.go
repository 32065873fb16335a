package badgerstore

import (
	"maps"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

func etagOf(o *record.Object) objstore.ETag {
	if o.ShownETag != "" {
		return objstore.ETag(o.ShownETag)
	}
	return objstore.MakeETag(o.Content.Hash, objstore.VersionOf(o.Version))
}

// checksumOf is the checksum a client sent with o. There is one at the most.
func checksumOf(o *record.Object) (c objstore.Checksum) {
	for algorithm, value := range o.Checksums {
		c = objstore.Checksum{Algorithm: algorithm, Value: string(value)}
	}
	return c
}

// nlinkOf is the link count of an object that has at least one name, or had one embedded.
func nlinkOf(o *record.Object) uint32 {
	switch {
	case o.IsDir():
		return uint32(2 + o.Subdirs)
	case o.Links > 0:
		return o.Links
	case o.Place.Parent != 0:
		return 1
	default:
		return 0
	}
}

// infoOf is o as the namespace sees it.
func infoOf(o *record.Object) objstore.Info {
	info := objstore.Info{
		ID: objstore.ID(o.ID), Type: o.Type, Size: o.Content.Size, Allocated: o.Content.Allocated,
		Version: objstore.VersionOf(o.Version), ETag: etagOf(o), MetaVersion: o.MetaVersion,
		Modified: o.Modified, Attr: o.Attr, Nlink: nlinkOf(o), Rdev: o.Rdev,
		ContentType: o.ContentType, UserMeta: o.UserMeta, Headers: o.Headers, Tags: o.Tags,
		Checksum: checksumOf(o), PartCount: int(o.PartCount), Xattrs: o.Xattrs, Explicit: o.Explicit,
	}
	if o.Type == objstore.TypeSymlink {
		info.Size = int64(len(o.Target))
	}
	return info
}

// objectInfoOf is o as the flat store sees it: a symlink is a zero-byte object.
func objectInfoOf(o *record.Object) objstore.Info {
	info := infoOf(o)
	if o.Type == objstore.TypeSymlink {
		info.Size = 0
		meta := maps.Clone(o.UserMeta)
		if meta == nil {
			meta = map[string]string{}
		}
		meta[objstore.SymlinkMeta] = o.Target
		info.UserMeta = meta
	}
	return info
}

// isObject reports whether S3 can see o: files, symlinks and explicit directories.
func isObject(o *record.Object) bool {
	switch {
	case o == nil:
		return false
	case o.IsDir():
		return o.Explicit
	default:
		return o.Type == objstore.TypeFile || o.Type == objstore.TypeSymlink
	}
}
