package wire

import "github.com/etagfs/etagfs/objstore"

// The kinds of a condition.
const (
	condInvalid uint8 = iota
	condUnconditional
	condIfAbsent
	condIfPresent
	condIfVersion
)

func cond(c *Coder, v *objstore.Cond) {
	version, versioned := v.Version()
	var kind uint8
	switch {
	case !v.Valid():
	case v.IsUnconditional():
		kind = condUnconditional
	case v.IsIfAbsent():
		kind = condIfAbsent
	case versioned:
		kind = condIfVersion
	default:
		kind = condIfPresent
	}
	number(c, &kind)
	text(c, &version)
	if !c.reading {
		return
	}
	switch kind {
	case condInvalid:
		*v = objstore.Cond{}
	case condUnconditional:
		*v = objstore.Unconditional()
	case condIfAbsent:
		*v = objstore.IfAbsent()
	case condIfPresent:
		*v = objstore.IfPresent()
	case condIfVersion:
		*v = objstore.IfVersion(version)
	default:
		c.fail()
	}
}

func attr(c *Coder, v *objstore.Attr) {
	number(c, &v.Mode)
	number(c, &v.UID)
	number(c, &v.GID)
	moment(c, &v.Atime)
	moment(c, &v.Mtime)
	moment(c, &v.Ctime)
	moment(c, &v.Btime)
}

func headers(c *Coder, v *objstore.Headers) {
	text(c, &v.CacheControl)
	text(c, &v.ContentDisposition)
	text(c, &v.ContentEncoding)
	text(c, &v.ContentLanguage)
	text(c, &v.Expires)
	text(c, &v.WebsiteRedirect)
}

func checksum(c *Coder, v *objstore.Checksum) {
	text(c, &v.Algorithm)
	text(c, &v.Value)
}

func info(c *Coder, v *objstore.Info) {
	number(c, &v.ID)
	number(c, &v.Type)
	number(c, &v.Size)
	number(c, &v.Allocated)
	text(c, &v.Version)
	text(c, &v.ETag)
	number(c, &v.MetaVersion)
	moment(c, &v.Modified)
	attr(c, &v.Attr)
	number(c, &v.Nlink)
	number(c, &v.Rdev)
	text(c, &v.ContentType)
	table(c, &v.UserMeta, text)
	headers(c, &v.Headers)
	table(c, &v.Tags, text)
	checksum(c, &v.Checksum)
	number(c, &v.PartCount)
	table(c, &v.Xattrs, blob)
	flag(c, &v.Explicit)
}

func newAttr(c *Coder, v *objstore.NewAttr) {
	number(c, &v.Mode)
	number(c, &v.UID)
	number(c, &v.GID)
}

func attrChange(c *Coder, v *objstore.AttrChange) {
	optional(c, &v.Mode, number)
	optional(c, &v.UID, number)
	optional(c, &v.GID, number)
	optional(c, &v.Atime, moment)
	optional(c, &v.Mtime, moment)
	optional(c, &v.ContentType, text)
	table(c, &v.UserMeta, text)
	table(c, &v.Xattrs, blob)
}

func moveRequest(c *Coder, v *objstore.MoveRequest) {
	number(c, &v.Parent)
	text(c, &v.Name)
	cond(c, &v.Cond)
	number(c, &v.NewParent)
	text(c, &v.NewName)
	cond(c, &v.NewCond)
	number(c, &v.Mode)
	number(c, &v.Durability)
}

func moveResult(c *Coder, v *objstore.MoveResult) {
	info(c, &v.Moved)
	info(c, &v.Replaced)
	flag(c, &v.Gone)
}

func commitRequest(c *Coder, v *objstore.CommitRequest) {
	number(c, &v.Target.ID)
	number(c, &v.Target.Parent)
	text(c, &v.Target.Name)
	newAttr(c, &v.Target.Attr)
	cond(c, &v.Cond)
	attrChange(c, &v.Change)
	number(c, &v.Durability)
	optional(c, &v.Move, moveRequest)
	number(c, &v.LinkParent)
	text(c, &v.LinkName)
	text(c, &v.WriteID)
}

func commitResult(c *Coder, v *objstore.CommitResult) {
	info(c, &v.Info)
	flag(c, &v.Appended)
	moveResult(c, &v.Moved)
}

func contentRef(c *Coder, v *objstore.ContentRef) {
	flag(c, &v.Exists)
	flag(c, &v.Held)
	text(c, &v.Version)
	text(c, &v.ETag)
	number(c, &v.Size)
}

func conflict(c *Coder, v *objstore.Conflict) {
	text(c, &v.ID)
	number(c, &v.Reason)
	text(c, &v.Path)
	number(c, &v.Object)
	number(c, &v.UID)
	number(c, &v.GID)
	number(c, &v.Mode)
	number(c, &v.PID)
	text(c, &v.Host)
	moment(c, &v.Time)
	text(c, &v.Operation)
	contentRef(c, &v.Base)
	contentRef(c, &v.Theirs)
	number(c, &v.Bytes)
	text(c, &v.Detail)
	flag(c, &v.Gaps)
}

func owner(c *Coder, v *objstore.Owner) {
	text(c, &v.Path)
	number(c, &v.Object)
	number(c, &v.UID)
	number(c, &v.GID)
	number(c, &v.Mode)
	number(c, &v.PID)
	text(c, &v.Host)
	text(c, &v.Base)
}

func change(c *Coder, v *objstore.Change) {
	number(c, &v.Kind)
	number(c, &v.Object)
	number(c, &v.Parent)
	text(c, &v.Name)
	number(c, &v.NewParent)
	text(c, &v.NewName)
	number(c, &v.Replaced)
	text(c, &v.Old)
	text(c, &v.New)
	number(c, &v.Size)
	flag(c, &v.Appended)
}

func capabilities(c *Coder, v *objstore.Capabilities) {
	for _, set := range []*objstore.CondSet{&v.Put, &v.Delete, &v.CopySource, &v.CopyTarget, &v.RenameSource, &v.RenameTarget} {
		number(c, set)
	}
	for _, has := range []*bool{
		&v.UniqueVersions, &v.PinnedReaders, &v.OneDelete, &v.RenameFile, &v.RenameDir, &v.HardLinks, &v.Attributes, &v.PartialCommit, &v.ServerCopy,
		&v.Watch, &v.Headers, &v.Answers,
	} {
		flag(c, has)
	}
	number(c, &v.ObjectBytesMax)
	number(c, &v.KeyBytesMax)
}

func putOptions(c *Coder, v *objstore.PutOptions) {
	number(c, &v.Durability)
	number(c, &v.Length)
	flag(c, &v.LengthKnown)
	text(c, &v.ContentType)
	table(c, &v.UserMeta, text)
	headers(c, &v.Headers)
	table(c, &v.Tags, text)
	optional(c, &v.Attr, newAttr)
	text(c, &v.WriteID)
}

func digests(c *Coder, v *objstore.Digests) {
	text(c, &v.ETag)
	checksum(c, &v.Checksum)
}

func copyRequest(c *Coder, v *objstore.CopyRequest) {
	text(c, &v.Src)
	cond(c, &v.SrcCond)
	text(c, &v.Dst)
	cond(c, &v.DstCond)
	putOptions(c, &v.Put)
	flag(c, &v.ReplaceAttrs)
	flag(c, &v.ReplaceTags)
	digests(c, &v.Digests)
}

func renameRequest(c *Coder, v *objstore.RenameRequest) {
	text(c, &v.Src)
	cond(c, &v.SrcCond)
	text(c, &v.Dst)
	cond(c, &v.DstCond)
	number(c, &v.Durability)
	text(c, &v.WriteID)
}

// listOptions leaves out Describe, and listEntry Described: they are for who makes a hierarchy of keys, and here the server has one.
func listOptions(c *Coder, v *objstore.ListOptions) {
	text(c, &v.Prefix)
	text(c, &v.Delimiter)
	text(c, &v.StartAfter)
	number(c, &v.Max)
}

func listEntry(c *Coder, v *objstore.ListEntry) {
	text(c, &v.Key)
	flag(c, &v.Prefix)
	info(c, &v.Info)
}

func dirEntry(c *Coder, v *objstore.DirEntry) {
	text(c, &v.Name)
	info(c, &v.Info)
}
