package flatns

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// The user metadata that carries attributes, as s3fs names it.
const (
	metaMode  = "mode" // decimal st_mode, type bits included
	metaUID   = "uid"
	metaGID   = "gid"
	metaAtime = "atime" // seconds, with nine digits after a point
	metaMtime = "mtime"
	metaCtime = "ctime"
	metaXattr = "xattr" // URL-encoded JSON of names and base64
	metaBtime = "btime" // ours
	// metaContent names the content version of an object whose store version came about without a change of content.
	metaContent = "etagfs-content"
	// metaMoving is on the marker of a directory that is being renamed: the key it comes from, URL-encoded.
	metaMoving = "etagfs-moving"
)

// xattrBytesMax bounds the encoded xattrs of an object: S3 takes 2 KB of user metadata in all.
const xattrBytesMax = 512

// Type bits of st_mode.
const (
	bitsType    = 0o170000
	bitsDir     = 0o040000
	bitsFile    = 0o100000
	bitsSymlink = 0o120000
	bitsMode    = 0o7777
)

// isOurs reports whether a key of user metadata carries attributes.
func isOurs(key string) bool {
	switch key {
	case metaMode, metaUID, metaGID, metaAtime, metaMtime, metaCtime, metaXattr, metaBtime, metaContent, metaMoving:
		return true
	}
	return false
}

// contentOf is the content version of an object as the store describes it.
func contentOf(raw objstore.Info) objstore.Version {
	said := raw.UserMeta[metaContent]
	if said == "" {
		return raw.Version
	}
	was, _, ok := objstore.ETag(said).Split()
	is, _, ok2 := raw.ETag.Split()
	if !ok || !ok2 || was != is {
		return raw.Version
	}
	_, version, _ := objstore.ETag(said).Split()
	if _, whole, _ := raw.ETag.Split(); whole == raw.Version {
		return version // the store's versions are a part of its ETags
	}
	return objstore.Version(said)
}

// withContent notes in meta which content an object is that is about to get another version. The ETag says it for
// the stores for which contentOf can check it.
func withContent(meta map[string]string, raw objstore.Info) {
	if _, _, ok := raw.ETag.Split(); !ok {
		return
	}
	said := string(raw.ETag)
	if contentOf(raw) != raw.Version {
		said = raw.UserMeta[metaContent]
	}
	meta[metaContent] = said
}

// typeOf is the type of an object that is not a directory's marker.
func typeOf(raw objstore.Info) objstore.FileType {
	mode, err := strconv.ParseUint(raw.UserMeta[metaMode], 10, 32)
	if err == nil && mode&bitsType == bitsSymlink {
		return objstore.TypeSymlink
	}
	return objstore.TypeFile
}

// describe is what the namespace says of an object of node id.
func (n *Namespace) describe(id objstore.ID, typ objstore.FileType, raw objstore.Info, explicit bool) objstore.Info {
	info := objstore.Info{
		ID: id, Type: typ, Size: raw.Size, Allocated: raw.Size, Version: contentOf(raw), ETag: raw.ETag, Modified: raw.Modified,
		Nlink: 1, ContentType: raw.ContentType, MetaVersion: metaVersion(raw), Explicit: explicit,
	}
	fresh := n.cfg.NewFile
	if typ == objstore.TypeDir {
		fresh, info.Nlink, info.Size, info.Allocated = n.cfg.NewDir, 2, 0, 0
	}
	if raw.Modified.IsZero() {
		raw.Modified = n.started
	}
	meta := raw.UserMeta
	info.Attr = objstore.Attr{
		Mode: number(meta[metaMode], fresh.Mode) & bitsMode, UID: number(meta[metaUID], fresh.UID), GID: number(meta[metaGID], fresh.GID),
		Mtime: instant(meta[metaMtime], raw.Modified),
	}
	info.Attr.Atime = instant(meta[metaAtime], info.Attr.Mtime)
	info.Attr.Ctime = instant(meta[metaCtime], raw.Modified)
	info.Attr.Btime = instant(meta[metaBtime], raw.Modified)
	info.Xattrs = decodeXattrs(meta[metaXattr])
	for k, v := range meta {
		if !isOurs(k) {
			if info.UserMeta == nil {
				info.UserMeta = make(map[string]string)
			}
			info.UserMeta[k] = v
		}
	}
	return info
}

// metaVersion moves whenever the version or the metadata does.
func metaVersion(raw objstore.Info) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %s", raw.Version, raw.ContentType) // never fails
	for _, k := range slices.Sorted(maps.Keys(raw.UserMeta)) {
		fmt.Fprintf(h, " %q %q", k, raw.UserMeta[k])
	}
	return h.Sum64()
}

func number(text string, otherwise uint32) uint32 {
	v, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return otherwise
	}
	return uint32(v)
}

func instant(text string, otherwise time.Time) time.Time {
	whole, part, _ := strings.Cut(text, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return otherwise
	}
	nsec, err := strconv.ParseInt((part + "000000000")[:9], 10, 64)
	if err != nil || nsec < 0 {
		return otherwise
	}
	return time.Unix(sec, nsec).UTC()
}

func instantText(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }

func decodeXattrs(text string) map[string][]byte {
	plain, err := url.QueryUnescape(text)
	if err != nil || plain == "" {
		return nil
	}
	var xattrs map[string][]byte
	if json.Unmarshal([]byte(plain), &xattrs) != nil {
		return nil
	}
	return xattrs
}

func encodeXattrs(xattrs map[string][]byte) (string, error) {
	text, err := json.Marshal(xattrs)
	if err != nil {
		return "", err
	}
	encoded := url.QueryEscape(string(text))
	if len(encoded) > xattrBytesMax {
		return "", problem(objstore.ErrNoSpace, "extended attributes do not fit into the metadata of an object")
	}
	return encoded, nil
}

// metadata is the user metadata of an object with info's attributes.
func metadata(info objstore.Info) (map[string]string, error) {
	bits := map[objstore.FileType]uint32{
		objstore.TypeFile: bitsFile, objstore.TypeDir: bitsDir, objstore.TypeSymlink: bitsSymlink,
	}[info.Type]
	meta := make(map[string]string, len(info.UserMeta)+8)
	for k, v := range info.UserMeta {
		if !isOurs(k) {
			meta[k] = v
		}
	}
	decimal := func(v uint32) string { return strconv.FormatUint(uint64(v), 10) }
	meta[metaMode] = decimal(bits | info.Attr.Mode&bitsMode)
	meta[metaUID], meta[metaGID] = decimal(info.Attr.UID), decimal(info.Attr.GID)
	meta[metaAtime], meta[metaMtime] = instantText(info.Attr.Atime), instantText(info.Attr.Mtime)
	meta[metaCtime], meta[metaBtime] = instantText(info.Attr.Ctime), instantText(info.Attr.Btime)
	if len(info.Xattrs) == 0 {
		return meta, nil
	}
	var err error
	meta[metaXattr], err = encodeXattrs(info.Xattrs)
	return meta, err
}

// fresh is a new object of a type.
func (n *Namespace) fresh(typ objstore.FileType, attr objstore.NewAttr) objstore.Info {
	now := n.cfg.Clock()
	info := objstore.Info{Type: typ, Attr: objstore.Attr{
		Mode: attr.Mode & bitsMode, UID: attr.UID, GID: attr.GID, Atime: now, Mtime: now, Ctime: now, Btime: now,
	}}
	return info
}

// changed is info after a change of attributes.
func (n *Namespace) changed(info objstore.Info, c objstore.AttrChange) objstore.Info {
	set(&info.Attr.Mode, c.Mode)
	set(&info.Attr.UID, c.UID)
	set(&info.Attr.GID, c.GID)
	set(&info.Attr.Atime, c.Atime)
	set(&info.Attr.Mtime, c.Mtime)
	set(&info.ContentType, c.ContentType)
	if c.UserMeta != nil {
		info.UserMeta = c.UserMeta
	}
	if len(c.Xattrs) > 0 {
		info.Xattrs = maps.Clone(info.Xattrs)
		if info.Xattrs == nil {
			info.Xattrs = make(map[string][]byte, len(c.Xattrs))
		}
		for name, value := range c.Xattrs {
			info.Xattrs[name] = value
			if value == nil {
				delete(info.Xattrs, name)
			}
		}
	}
	info.Attr.Ctime = n.cfg.Clock()
	return info
}

func set[T any](field *T, value *T) { *field = *cmp.Or(value, field) }
