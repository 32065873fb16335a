package s3store

import (
	"context"
	"errors"
	"strings"

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
	// Vital: a store that lacks it must not be mounted for writing.
	Vital bool
}

// probe tries out a store with keys that are removed afterwards.
type probe struct {
	s        *Store       // like the one that is probed, but it honours everything
	key      objstore.Key // present
	absent   objstore.Key // never there
	other    objstore.Key
	keys     []objstore.Key // that are removed in the end
	now      stamp          // of key
	findings []Finding
	caps     objstore.Capabilities
	tokens   bool
	marks    bool
}

// The versions of a condition that holds for nothing: of our server, and of others.
const (
	noVersion = "0"
	noETag    = "00000000000000000000000000000000"
)

// Writable is nil if the store decides about conditional writes, as everything that writes files needs it: it creates only
// what is absent, replaces only the version that is meant, and lets one of several writers win. It is ErrUnsupported and says
// what is missing otherwise.
func (s *Store) Writable() error {
	if s.opt.ReadOnly {
		return refusal("open store", objstore.Key(s.opt.Bucket), objstore.ErrReadOnly, "it was opened for reading")
	}
	var missing []string
	for _, f := range s.findings {
		if f.Vital && !f.OK {
			missing = append(missing, f.Name+" ("+f.Detail+")")
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return refusal("open store", objstore.Key(s.opt.Bucket), objstore.ErrUnsupported,
		"changes could overwrite each other, so it can only be read; the store does not do: "+strings.Join(missing, "; "))
}

func (s *Store) probe(ctx context.Context) (*probe, error) {
	p, err := s.newProbe()
	if err != nil {
		return nil, err
	}
	// Who may not delete would leave the keys behind, and learns it before there are any.
	if err := p.remove(ctx, p.key, objstore.Unconditional()); err != nil {
		return nil, err
	}
	defer p.clean(ctx)
	for _, step := range []func(context.Context) error{
		p.tryVersions, p.tryPut, p.tryComplete, p.tryRaces, p.tryCopy, p.tryRename, p.tryAppend, p.tryDelete,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (s *Store) newProbe() (*probe, error) {
	id, err := s.newID()
	if err != nil {
		return nil, &objstore.Error{Op: "probe store", Kind: objstore.ErrUnavailable, Err: err}
	}
	tried := *s
	base := objstore.Key(".etagfs-probe-" + id)
	p := &probe{s: &tried, key: base + "-a", absent: base + "-b", other: base + "-c", caps: s.caps}
	p.keys = []objstore.Key{p.key, p.absent, p.other}
	return p, nil
}

func (p *probe) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	for _, key := range p.keys {
		if err := p.remove(ctx, key, objstore.Unconditional()); err != nil {
			p.s.parts.Logger.Warn("a probe is left behind", "key", string(key), "err", err)
		}
	}
}

// put is answered once: here a condition that is lost to an earlier try would tell nothing.
func (p *probe) put(ctx context.Context, key objstore.Key, body string, cond objstore.Cond, more ...func(*s3.PutObjectInput)) (stamp, error) {
	in := &s3.PutObjectInput{
		Bucket: p.s.bucket(), Key: p.s.key(key), Body: strings.NewReader(body),
		IfMatch: p.s.match(cond), IfNoneMatch: noneMatch(cond),
	}
	for _, f := range more {
		f(in)
	}
	out, err := p.s.client.PutObject(ctx, in, p.s.own(headerIfVersion, cond))
	if err != nil {
		return stamp{}, err
	}
	return stampOf(out.ETag, out.ResultMetadata), nil
}

// set puts what the next trial needs.
func (p *probe) set(ctx context.Context, key objstore.Key) (stamp, error) {
	return again(ctx, p.s, func() (stamp, error) { return p.put(ctx, key, "probe", objstore.Unconditional()) })
}

func (p *probe) remove(ctx context.Context, key objstore.Key, cond objstore.Cond) error {
	ask := func() (*s3.DeleteObjectOutput, error) {
		in := &s3.DeleteObjectInput{Bucket: p.s.bucket(), Key: p.s.key(key), IfMatch: p.s.match(cond)}
		return p.s.client.DeleteObject(ctx, in, p.s.own(headerIfVersion, cond))
	}
	if !cond.IsUnconditional() {
		_, err := ask()
		return err
	}
	_, err := again(ctx, p.s, ask)
	return err
}

// other is the condition that another version than any there be is there.
func (p *probe) otherVersion() objstore.Cond {
	if p.s.ours {
		return objstore.IfVersion(noVersion)
	}
	return objstore.IfVersion(noETag)
}

func (p *probe) find(name string, ok bool, detail string) bool {
	p.findings = append(p.findings, Finding{Name: name, OK: ok, Detail: detail})
	return ok
}

// vital is find of what a mount for writing cannot do without.
func (p *probe) vital(name string, ok bool, detail string) bool {
	p.findings = append(p.findings, Finding{Name: name, OK: ok, Detail: detail, Vital: true})
	return ok
}

// refused reports whether a write whose condition is false was answered as lost, and if not, what happened.
// Answers that say neither are errors.
func refused(err error) (ok bool, detail string, failed error) {
	switch kind := kindOf(err); {
	case err == nil:
		return false, "ignored: the write was done", nil
	case isLost(kind):
		return true, "", nil
	case kind == objstore.ErrUnsupported || kind == objstore.ErrInvalid || kind == objstore.ErrConflict:
		return false, "refused: " + codeOf(err), nil
	default:
		return false, "", err
	}
}

// first is the first trial that was not refused.
func first(trials ...error) (ok bool, detail string, failed error) {
	for _, err := range trials {
		if ok, detail, failed := refused(err); !ok {
			return false, detail, failed
		}
	}
	return true, "", nil
}

func condsIf(has bool, c objstore.Cond) objstore.CondSet {
	if !has {
		return 0
	}
	return objstore.CondsOf(c)
}

// anyIfVersion stands for all conditions of its kind.
func anyIfVersion() objstore.Cond { return objstore.IfVersion("v") }

func (p *probe) tryVersions(ctx context.Context) error {
	before, err := p.set(ctx, p.key)
	if err != nil {
		return err
	}
	p.s.ours = p.s.ours && before.version != objstore.Version(before.etag)
	p.find("served by etagfs", p.s.ours, unless(p.s.ours, "versions are ETags, and repeated requests are not recognised"))
	if p.now, err = p.set(ctx, p.key); err != nil {
		return err
	}
	p.caps.UniqueVersions = p.find("versions never come back", p.now.version != before.version, "the same bytes put twice")
	return nil
}

func (p *probe) tryPut(ctx context.Context) error {
	_, exists := p.put(ctx, p.key, "other", objstore.IfAbsent())
	absent, detail, err := refused(exists)
	if err != nil {
		return err
	}
	p.vital("put with If-None-Match", absent, detail)
	_, differs := p.put(ctx, p.key, "other", p.otherVersion())
	_, missing := p.put(ctx, p.absent, "other", p.otherVersion())
	match, detail, err := first(differs, missing)
	if err != nil {
		return err
	}
	if p.now, err = p.set(ctx, p.key); err != nil {
		return err
	}
	if match {
		if p.now, err = p.put(ctx, p.key, "probe again", objstore.IfVersion(p.now.version)); err != nil {
			match, detail = false, "refused although it holds: "+codeOf(err)
			p.now, err = p.set(ctx, p.key)
		}
	}
	p.vital("put with If-Match", match, detail)
	p.caps.Put = objstore.CondsOf(objstore.Unconditional()) | condsIf(absent, objstore.IfAbsent()) |
		condsIf(match, anyIfVersion()) | condsIf(match && p.s.ours, objstore.IfPresent())
	return err
}

// tryComplete takes from Put what an upload does not honour: a put may become one.
func (p *probe) tryComplete(ctx context.Context) error {
	for _, row := range []struct {
		name string
		cond objstore.Cond
	}{
		{"complete an upload with If-Match", p.otherVersion()},
		{"complete an upload with If-None-Match", objstore.IfAbsent()},
	} {
		answer, err := p.completeIf(ctx, row.cond, false)
		if err != nil {
			return err
		}
		ok, detail, err := refused(answer)
		if err != nil {
			return err
		}
		if !p.vital(row.name, ok, detail) {
			p.caps.Put &^= objstore.CondsOf(row.cond)
		}
	}
	return p.tryParts(ctx)
}

// tryParts completes an upload whose condition holds, with a part that is not named and, if that is refused, without.
func (p *probe) tryParts(ctx context.Context) (err error) {
	if p.now, err = p.set(ctx, p.key); err != nil {
		return err
	}
	holds := objstore.Unconditional()
	if p.caps.Put.Has(anyIfVersion()) {
		holds = objstore.IfVersion(p.now.version)
	}
	answer, err := p.completeIf(ctx, holds, true)
	if err != nil {
		return err
	}
	p.marks = p.find("parts of an upload that are not named are dropped", answer == nil, refusalOf(answer))
	if answer != nil {
		if answer, err = p.completeIf(ctx, holds, false); err != nil {
			return err
		}
	}
	if !p.vital("complete an upload whose condition holds", answer == nil, refusalOf(answer)) {
		p.caps.Put &^= objstore.CondsOf(holds)
	}
	return nil
}

// completeIf puts the key in one part. marked: there is a second part, which is not named.
func (p *probe) completeIf(ctx context.Context, cond objstore.Cond, marked bool) (answer, err error) {
	client, bucket, key := p.s.client, p.s.bucket(), p.s.key(p.key)
	upload, err := p.s.createUpload(ctx, &s3.CreateMultipartUploadInput{Key: key})
	if err != nil {
		return nil, err
	}
	part, err := again(ctx, p.s, func() (*s3.UploadPartOutput, error) {
		return client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: bucket, Key: key, UploadId: upload.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("part"),
		})
	})
	if err == nil {
		if marked {
			p.s.mark(ctx, key, upload.UploadId)
		}
		_, answer = client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: bucket, Key: key, UploadId: upload.UploadId, IfMatch: p.s.match(cond), IfNoneMatch: noneMatch(cond),
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{completed(aws.Int32(1), part)}},
		}, p.s.own(headerIfVersion, cond))
	}
	if err != nil || answer != nil {
		err = errors.Join(err, p.s.abortUpload(context.WithoutCancel(ctx), key, upload.UploadId))
	}
	return answer, err
}

// refusalOf says in a finding why a request was refused; empty: it was not.
func refusalOf(err error) string {
	if err == nil {
		return ""
	}
	return "refused: " + codeOf(err)
}

func unless(ok bool, detail string) string {
	if ok {
		return ""
	}
	return detail
}
