package s3store

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/etagfs/etagfs/objstore"
)

// tryCopy claims copies only where the source can be pinned: attributes are read first.
func (p *probe) tryCopy(ctx context.Context) error {
	always := objstore.Unconditional()
	copyIf := func(src objstore.Cond, key objstore.Key, dst objstore.Cond) error {
		_, err := p.s.client.CopyObject(ctx, &s3.CopyObjectInput{
			Bucket: p.s.bucket(), Key: p.s.key(key), CopySource: p.s.source(p.key), CopySourceIfMatch: p.s.match(src),
			IfMatch: p.s.match(dst), IfNoneMatch: noneMatch(dst), MetadataDirective: types.MetadataDirectiveReplace,
		}, p.s.own(headerCopyIfVersion, src), p.s.own(headerIfVersion, dst))
		return err
	}
	src, detail, err := refused(copyIf(p.otherVersion(), p.other, always))
	if err != nil {
		return err
	}
	p.caps.ServerCopy = p.find("copy with If-Match of the source", src, detail)
	match, detail, err := first(copyIf(always, p.key, p.otherVersion()), copyIf(always, p.absent, p.otherVersion()))
	if err != nil {
		return err
	}
	p.find("copy with If-Match", match, detail)
	absent, detail, err := refused(copyIf(always, p.key, objstore.IfAbsent()))
	if err != nil {
		return err
	}
	p.find("copy with If-None-Match", absent, detail)
	if !src {
		return nil
	}
	p.caps.CopySource = objstore.CondsOf(always, objstore.IfPresent(), anyIfVersion())
	p.caps.CopyTarget = objstore.CondsOf(always) | condsIf(match, anyIfVersion()) | condsIf(match && p.s.ours, objstore.IfPresent()) |
		condsIf(absent, objstore.IfAbsent())
	return p.remove(ctx, p.absent, always)
}

// tryRename also catches stores that take a rename for a put of nothing.
func (p *probe) tryRename(ctx context.Context) error {
	moved, err := p.set(ctx, p.key)
	if err != nil {
		return err
	}
	if err := p.remove(ctx, p.other, objstore.Unconditional()); err != nil {
		return err
	}
	token, err := p.s.newID()
	if err != nil {
		return err
	}
	req := objstore.RenameRequest{Src: p.key, SrcCond: objstore.IfVersion(moved.version), Dst: p.other, DstCond: objstore.IfAbsent()}
	there, why := p.renamed(ctx, req, token)
	if !p.find("RenameObject", there, why) {
		return nil
	}
	if _, err := again(ctx, p.s, func() (stamp, error) { return p.put(ctx, p.key, "another", objstore.Unconditional()) }); err != nil {
		return err
	}
	repeated, _ := p.renamed(ctx, req, token)
	p.tokens = p.find("repeated renames are recognised", repeated, "by their token")
	return p.tryRenameConds(ctx)
}

// renamed sends a rename and looks whether that is what happened, then or earlier.
func (p *probe) renamed(ctx context.Context, req objstore.RenameRequest, token string) (ok bool, why string) {
	if err := p.s.rename(ctx, req, token); err != nil {
		return false, "refused: " + codeOf(err)
	}
	v, _ := req.SrcCond.Version()
	info, _, err := p.s.head(ctx, "probe", req.Dst, objstore.Unconditional())
	return err == nil && info.Version == v, unless(err == nil && info.Version == v, "it was taken for something else")
}

func (p *probe) tryRenameConds(ctx context.Context) error {
	if _, err := p.set(ctx, p.key); err != nil {
		return err
	}
	if _, err := p.set(ctx, p.other); err != nil {
		return err
	}
	try := func(src, dst objstore.Cond) error {
		token, err := p.s.newID()
		if err != nil {
			return err
		}
		return p.s.rename(ctx, objstore.RenameRequest{Src: p.key, SrcCond: src, Dst: p.other, DstCond: dst}, token)
	}
	always := objstore.Unconditional()
	var has [3]bool
	for i, row := range []struct {
		name     string
		src, dst objstore.Cond
	}{
		{"rename with If-Match of the source", p.otherVersion(), always},
		{"rename with If-Match", always, p.otherVersion()},
		{"rename with If-None-Match", always, objstore.IfAbsent()},
	} {
		ok, detail, err := refused(try(row.src, row.dst))
		if err != nil {
			return err
		}
		has[i] = p.find(row.name, ok, detail)
		if _, err := p.set(ctx, p.key); err != nil {
			return err
		}
	}
	p.caps.RenameFile = true
	p.caps.RenameDir = p.s.ours
	p.caps.RenameSource = objstore.CondsOf(always, objstore.IfPresent()) | condsIf(has[0], anyIfVersion())
	p.caps.RenameTarget = objstore.CondsOf(always) | condsIf(has[1], anyIfVersion()) | condsIf(has[1] && p.s.ours, objstore.IfPresent()) |
		condsIf(has[2], objstore.IfAbsent())
	return nil
}

// tryAppend catches stores that take an append for a put.
func (p *probe) tryAppend(ctx context.Context) error {
	if _, err := p.set(ctx, p.key); err != nil {
		return err
	}
	at := func(n int64) func(*s3.PutObjectInput) {
		return func(in *s3.PutObjectInput) { in.WriteOffsetBytes = aws.Int64(n) }
	}
	_, err := p.put(ctx, p.key, "+", objstore.Unconditional(), at(int64(len("probe"))))
	why := "refused: " + codeOf(err)
	if err == nil {
		info, _, err := p.s.head(ctx, "probe", p.key, objstore.Unconditional())
		if err != nil {
			return err
		}
		why = "ignored: the object was replaced"
		if info.Size == int64(len("probe+")) {
			_, err := p.put(ctx, p.key, "+", objstore.Unconditional(), at(1))
			why = unless(errors.Is(readError("probe", p.key, err), objstore.ErrRange), "wrong offsets are not refused")
		}
	}
	p.caps.Append = p.find("append at an offset", why == "", why)
	return nil
}

func (p *probe) tryDelete(ctx context.Context) error {
	now, err := p.set(ctx, p.key)
	if err != nil {
		return err
	}
	match, detail, err := refused(p.remove(ctx, p.key, p.otherVersion()))
	if err != nil {
		return err
	}
	if match {
		if holds := p.remove(ctx, p.key, objstore.IfVersion(now.version)); holds != nil {
			match, detail = false, "refused although it holds: "+codeOf(holds)
		}
	}
	p.find("delete with If-Match", match, detail)
	p.caps.Delete = objstore.CondsOf(objstore.Unconditional()) | condsIf(match, anyIfVersion())
	if !match {
		return nil
	}
	if err := p.remove(ctx, p.absent, objstore.Unconditional()); err != nil {
		return err
	}
	told, _, err := refused(p.remove(ctx, p.absent, p.otherVersion()))
	if err != nil {
		return err
	}
	p.caps.OneDelete = p.find("delete with If-Match of what is gone", told, unless(told, "answered like a delete"))
	return p.tryDeleteAny(ctx)
}

// tryDeleteAny is about If-Match: *, which some take for an ETag.
func (p *probe) tryDeleteAny(ctx context.Context) error {
	if _, err := p.set(ctx, p.key); err != nil {
		return err
	}
	holds := p.remove(ctx, p.key, objstore.IfPresent())
	ok := p.find("delete with If-Match: *", holds == nil, refusalOf(holds))
	p.caps.Delete |= condsIf(ok, objstore.IfPresent())
	return nil
}
