package s3store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/etagfs/etagfs/objstore"
)

// Finding is one thing a probe learned.
type Finding struct {
	Name   string
	OK     bool
	Detail string
}

// probeWriters write the same key at once, to catch a store that looks first and then writes.
const probeWriters = 8

// otherETag is one no object of a probe has.
const otherETag = `"00000000000000000000000000000000"`

// probe tries out a store with keys that are removed afterwards.
type probe struct {
	s        *Store
	key      string // present, with the ETag
	absent   string // never there
	race     string
	etag     string
	findings []Finding
	caps     objstore.Capabilities
	replays  bool
}

// Probe finds out what the store honours.
func (s *Store) Probe(ctx context.Context) ([]Finding, error) {
	p, err := s.probe(ctx)
	if err != nil {
		return nil, err
	}
	return p.findings, nil
}

func (s *Store) probe(ctx context.Context) (*probe, error) {
	id, err := s.newID()
	if err != nil {
		return nil, &objstore.Error{Op: "probe store", Kind: objstore.ErrUnavailable, Err: err}
	}
	base := s.prefix + ".etagfs-probe-" + id
	p := &probe{s: s, key: base + "-a", absent: base + "-b", race: base + "-c", caps: s.caps}
	defer p.clean(ctx)
	out, err := p.put(ctx, p.key, "probe", nil, nil)
	if err != nil {
		return nil, readError("probe store", objstore.Key(s.opt.Bucket), err)
	}
	p.etag = aws.ToString(out.ETag)
	p.replays = replyHeader(out.ResultMetadata).Get(headerVersion) != ""
	p.find("answers repetitions by write id", p.replays, "")
	for _, step := range []func(context.Context) error{p.tryPut, p.tryComplete, p.tryCopy, p.tryRename, p.tryRaces, p.tryDelete} {
		if err := step(ctx); err != nil {
			return nil, readError("probe store", objstore.Key(s.opt.Bucket), err)
		}
	}
	return p, nil
}

func (p *probe) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	for _, key := range []string{p.key, p.absent, p.race} {
		if _, err := p.s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: p.s.bucket(), Key: &key}); err != nil {
			p.s.parts.Logger.Warn("a probe is left behind", "key", key, "err", err)
		}
	}
}

func (p *probe) put(ctx context.Context, key, body string, match, noneMatch *string) (*s3.PutObjectOutput, error) {
	return p.s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: p.s.bucket(), Key: &key, Body: strings.NewReader(body), IfMatch: match, IfNoneMatch: noneMatch,
	}, once(""))
}

func (p *probe) find(name string, ok bool, detail string) bool {
	p.findings = append(p.findings, Finding{Name: name, OK: ok, Detail: detail})
	return ok
}

// refused notes whether a write whose condition is false was answered as lost. Answers that say neither are errors.
func (p *probe) refused(name string, err error) (bool, error) {
	switch kind := kindOf(err); {
	case err == nil:
		return p.find(name, false, "ignored: the write was done"), nil
	case kind == objstore.ErrPrecondition || kind == objstore.ErrNotFound:
		return p.find(name, true, ""), nil
	case kind == objstore.ErrUnsupported || kind == objstore.ErrInvalid:
		return p.find(name, false, "refused: "+err.Error()), nil
	default:
		return false, err
	}
}

// both asks for two refusals.
func (p *probe) both(name string, first, second error) (bool, error) {
	a, err := p.refused(name, first)
	if err != nil {
		return false, err
	}
	b, err := p.refused(name+", second case", second)
	return a && b, err
}

func (p *probe) tryPut(ctx context.Context) error {
	p.caps.Put = objstore.CondsOf(objstore.Unconditional())
	_, err := p.put(ctx, p.key, "other", nil, aws.String("*"))
	absent, err := p.refused("put with If-None-Match", err)
	if err != nil {
		return err
	}
	_, differs := p.put(ctx, p.key, "other", aws.String(otherETag), nil)
	_, missing := p.put(ctx, p.absent, "other", aws.String(otherETag), nil)
	match, err := p.both("put with If-Match", differs, missing)
	if err != nil {
		return err
	}
	out, err := p.put(ctx, p.key, "probe", nil, nil)
	if err != nil {
		return err
	}
	p.caps.UniqueVersions = p.find("versions are unique", aws.ToString(out.ETag) != p.etag, "the same bytes twice")
	p.etag = aws.ToString(out.ETag)
	p.caps.Put |= set(absent, objstore.IfAbsent()) | set(match, objstore.IfVersion("x"))
	return nil
}

func set(has bool, c objstore.Cond) objstore.CondSet {
	if !has {
		return 0
	}
	return objstore.CondsOf(c)
}

// tryComplete takes from Put what an upload does not honour: a put may become one.
func (p *probe) tryComplete(ctx context.Context) error {
	differs, err := p.completeWith(ctx, aws.String(otherETag), nil)
	if err != nil {
		return err
	}
	match, err := p.refused("complete with If-Match", differs)
	if err != nil {
		return err
	}
	exists, err := p.completeWith(ctx, nil, aws.String("*"))
	if err != nil {
		return err
	}
	absent, err := p.refused("complete with If-None-Match", exists)
	p.caps.Put &^= set(!match, objstore.IfVersion("x")) | set(!absent, objstore.IfAbsent())
	return err
}

func (p *probe) completeWith(ctx context.Context, match, noneMatch *string) (answer, err error) {
	client, bucket := p.s.client, p.s.bucket()
	upload, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: &p.key})
	if err != nil {
		return nil, err
	}
	part, err := client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: bucket, Key: &p.key, UploadId: upload.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("part"),
	})
	if err == nil {
		_, answer = client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: bucket, Key: &p.key, UploadId: upload.UploadId, IfMatch: match, IfNoneMatch: noneMatch,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{
				PartNumber: aws.Int32(1), ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32,
			}}},
		}, once(""))
	}
	if err != nil || answer != nil {
		_, abort := client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: bucket, Key: &p.key, UploadId: upload.UploadId})
		err = errors.Join(err, abort)
	}
	return answer, err
}

func (p *probe) tryCopy(ctx context.Context) error {
	source := p.s.source(objstore.Key(strings.TrimPrefix(p.key, p.s.prefix)))
	copyTo := func(key string, srcMatch, match, noneMatch *string) error {
		_, err := p.s.client.CopyObject(ctx, &s3.CopyObjectInput{
			Bucket: p.s.bucket(), Key: &key, CopySource: source, CopySourceIfMatch: srcMatch, IfMatch: match, IfNoneMatch: noneMatch,
			MetadataDirective: types.MetadataDirectiveReplace,
		}, once(""))
		return err
	}
	src, err := p.refused("copy with a source's If-Match", copyTo(p.race, aws.String(otherETag), nil, nil))
	if err != nil {
		return err
	}
	match, err := p.both("copy with If-Match", copyTo(p.key, nil, aws.String(otherETag), nil), copyTo(p.absent, nil, aws.String(otherETag), nil))
	if err != nil {
		return err
	}
	absent, err := p.refused("copy with If-None-Match", copyTo(p.key, nil, nil, aws.String("*")))
	always := objstore.CondsOf(objstore.Unconditional())
	p.caps.CopySource = always | objstore.CondsOf(objstore.IfPresent()) | set(src, objstore.IfVersion("x"))
	p.caps.CopyTarget = always | set(match, objstore.IfVersion("x")) | set(absent, objstore.IfAbsent())
	return err
}

// tryRename offers renames where a server of this program answers: others have them in buckets of a special kind only.
func (p *probe) tryRename(context.Context) error {
	p.caps.RenameFile = p.find("RenameObject", p.replays, "")
	p.caps.RenameDir = p.caps.RenameFile
	if p.caps.RenameFile {
		p.caps.RenameSource = objstore.CondsOf(objstore.Unconditional(), objstore.IfPresent(), objstore.IfVersion("x"))
		p.caps.RenameTarget = objstore.CondsOf(objstore.Unconditional(), objstore.IfAbsent(), objstore.IfVersion("x"))
	}
	return nil
}

// tryRaces lets several create a key, and then several replace it: one may.
func (p *probe) tryRaces(ctx context.Context) error {
	_, err := p.s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: p.s.bucket(), Key: &p.race})
	if err != nil {
		return err
	}
	if p.caps.Put.Has(objstore.IfAbsent()) && !p.find("of concurrent creators one wins", p.winners(ctx, nil, aws.String("*")) == 1, "") {
		p.caps.Put &^= objstore.CondsOf(objstore.IfAbsent())
	}
	out, err := p.put(ctx, p.race, "base", nil, nil)
	if err != nil {
		return err
	}
	if p.caps.Put.Has(objstore.IfVersion("x")) && !p.find("of concurrent updates one wins", p.winners(ctx, out.ETag, nil) == 1, "") {
		p.caps.Put &^= objstore.CondsOf(objstore.IfVersion("x"))
	}
	return nil
}

func (p *probe) winners(ctx context.Context, match, noneMatch *string) int64 {
	var won atomic.Int64
	var all sync.WaitGroup
	for i := range probeWriters {
		all.Go(func() {
			if _, err := p.put(ctx, p.race, string(rune('a'+i)), match, noneMatch); err == nil {
				won.Add(1)
			}
		})
	}
	all.Wait()
	return won.Load()
}

func (p *probe) tryDelete(ctx context.Context) error {
	p.caps.Delete = objstore.CondsOf(objstore.Unconditional())
	out, err := p.put(ctx, p.key, "probe", nil, nil)
	if err != nil {
		return err
	}
	p.etag = aws.ToString(out.ETag)
	_, err = p.s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: p.s.bucket(), Key: &p.key, IfMatch: aws.String(otherETag)}, once(""))
	match, err := p.refused("delete with If-Match", err)
	p.caps.Delete |= set(match, objstore.IfVersion("x"))
	return err
}
