package badgerstore

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

func putPart(t *testing.T, b *Bucket, u objstore.Upload, number int, body []byte) objstore.CompletedPart {
	t.Helper()
	p, err := b.PutPart(t.Context(), u.Key, u.ID, number, bytes.NewReader(body), objstore.PartOptions{Durability: objstore.Visible})
	must(t, err)
	return objstore.CompletedPart{Number: number, ETag: p.ETag}
}

// uploadTo puts an object in parts.
func uploadTo(t *testing.T, b *Bucket, key objstore.Key, bodies ...[]byte) objstore.Info {
	t.Helper()
	u, err := b.CreateUpload(t.Context(), key, objstore.UploadOptions{Durability: objstore.Visible})
	must(t, err)
	var parts []objstore.CompletedPart
	for i, body := range bodies {
		parts = append(parts, putPart(t, b, u, i+1, body))
	}
	info, err := b.CompleteUpload(t.Context(), objstore.CompleteRequest{
		Key: key, ID: u.ID, Parts: parts, Cond: objstore.Unconditional(), Durability: objstore.Visible,
	})
	must(t, err)
	return info
}

// Completing an upload, copying a part and cutting one at any place write no payload.
func TestAssemblingMovesNoBytes(t *testing.T) {
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true})
	b := mainBucket(t, e)
	ctx := t.Context()
	for i, sizes := range [][]int{{4 << 20, 4 << 20, 100 << 10}, {5 << 20, 5 << 20, 100 << 10}} {
		key := objstore.Key(fmt.Sprint("k", i))
		u, err := b.CreateUpload(ctx, key, objstore.UploadOptions{})
		must(t, err)
		req := objstore.CompleteRequest{Key: key, ID: u.ID, Cond: objstore.Unconditional()}
		for n, size := range sizes {
			req.Parts = append(req.Parts, putPart(t, b, u, n+1, bytes.Repeat([]byte{byte(n + 1)}, size)))
		}
		before := blobNames(t, e)
		_, err = b.CompleteUpload(ctx, req)
		must(t, err)
		copied, err := b.CreateUpload(ctx, key+"-copy", objstore.UploadOptions{})
		must(t, err)
		p, err := b.CopyPart(ctx, objstore.CopyPartRequest{
			Src: key, SrcCond: objstore.IfPresent(), Offset: 1, Length: 8 << 20, Key: key + "-copy", ID: copied.ID, Number: 1,
		})
		must(t, err)
		_, err = b.CompleteUpload(ctx, objstore.CompleteRequest{
			Key: key + "-copy", ID: copied.ID, Cond: objstore.IfAbsent(), Parts: []objstore.CompletedPart{{Number: 1, ETag: p.ETag}},
		})
		must(t, err)
		drain(t, e)
		if after := blobNames(t, e); !slices.Equal(before, after) {
			t.Errorf("parts of %v: payloads were %q, are %q", sizes, before, after)
		}
		must(t, e.checkInvariants())
	}
	for i := range 2 {
		key := objstore.Key(fmt.Sprint("k", i))
		must(t, b.Delete(ctx, key, objstore.IfPresent(), objstore.DeleteOptions{}))
		must(t, b.Delete(ctx, key+"-copy", objstore.IfPresent(), objstore.DeleteOptions{}))
	}
	drain(t, e)
	if names := blobNames(t, e); len(names) > 0 {
		t.Errorf("when all is deleted %q are left", names)
	}
}

// Parts that are replaced, aborted, left out or swept leave nothing behind.
func TestEndedUploadsLeaveNothing(t *testing.T) {
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true})
	b := mainBucket(t, e)
	ctx := t.Context()
	body := bytes.Repeat([]byte("part"), 50<<10)
	begin := func() objstore.Upload {
		u, err := b.CreateUpload(ctx, "k", objstore.UploadOptions{})
		must(t, err)
		putPart(t, b, u, 1, body)
		putPart(t, b, u, 2, body)
		return u
	}
	must(t, b.AbortUpload(ctx, "k", begin().ID, objstore.Visible))
	u := begin()
	_, err := b.CompleteUpload(ctx, objstore.CompleteRequest{
		Key: "k", ID: u.ID, Cond: objstore.IfAbsent(), Parts: []objstore.CompletedPart{putPart(t, b, u, 1, body[:10])},
	})
	must(t, err)
	must(t, b.Delete(ctx, "k", objstore.IfPresent(), objstore.DeleteOptions{}))
	begin()
	if n, err := b.AbortUploadsBefore(ctx, time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("%d swept (%v)", n, err)
	}
	drain(t, e)
	if names := blobNames(t, e); len(names) > 0 {
		t.Errorf("%q are left", names)
	}
	if n := e.openUploads.Load(); n != 0 {
		t.Errorf("%d uploads are counted", n)
	}
	must(t, e.checkInvariants())
}

// A crash between the end of an upload and the removal of its parts leaves them to the next opening.
func TestPartsOfEndedUploadsGoAtTheNextOpening(t *testing.T) {
	dir := filepath.Join(testDir(t), "store")
	e, err := Open(t.Context(), dir, Options{Create: true}, testParts(t))
	must(t, err)
	b := mainBucket(t, e)
	u, err := b.CreateUpload(t.Context(), "k", objstore.UploadOptions{})
	must(t, err)
	for n := range purgeAtOnce + 10 {
		putPart(t, b, u, n+1, []byte("part"))
	}
	open, err := b.CreateUpload(t.Context(), "k", objstore.UploadOptions{})
	must(t, err)
	part := putPart(t, b, open, 1, []byte("part"))
	must(t, b.write(t.Context(), objstore.Durable, true, func(tx *tx) error {
		rec, at, err := tx.upload(b.root, "k", u.ID)
		if err == nil {
			tx.closeUpload(at, rec)
		}
		return err
	}))
	must(t, e.Close())
	e = openTest(t, dir, Options{})
	v := e.view()
	parts := countOf(t, v, []byte{record.TagPart})
	uploads := countOf(t, v, []byte{record.TagUpload})
	v.close()
	if parts != 1 || uploads != 1 || e.openUploads.Load() != 1 {
		t.Errorf("%d parts, %d uploads, %d counted", parts, uploads, e.openUploads.Load())
	}
	_, err = mainBucket(t, e).CompleteUpload(t.Context(), objstore.CompleteRequest{
		Key: "k", ID: open.ID, Cond: objstore.IfAbsent(), Parts: []objstore.CompletedPart{part},
	})
	must(t, err)
	must(t, e.checkInvariants())
}

// The digests of blocks that parts end in are found by reading once, and stored by the first commit.
func TestDigestsOfAssembledBlocksAreFoundOnce(t *testing.T) {
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true})
	b := mainBucket(t, e)
	random := rand.New(rand.NewPCG(1, 1))
	var parts [][]byte
	for range 4 {
		body := make([]byte, 5<<20)
		for i := range body {
			body[i] = byte(random.Uint32())
		}
		parts = append(parts, body)
	}
	info := uploadTo(t, b, "k", parts...)
	open := func() int {
		r, err := b.Get(t.Context(), "k", objstore.IfPresent())
		must(t, err)
		defer r.Close()
		digests, err := r.(*reader).content.kept(0, 5)
		must(t, err)
		n := 0
		for _, d := range digests {
			if d == (blockhash.Digest{}) {
				n++
			}
		}
		return n
	}
	if n := open(); n != 4 {
		t.Errorf("%d of 5 blocks have no digest", n)
	}
	s := stageOf(t, b, info)
	defer s.Close()
	_, err := commitAt(t, b, s, info, "changed", 9<<20)
	must(t, err)
	if n := open(); n != 0 {
		t.Errorf("after a commit %d of 5 blocks have no digest", n)
	}
	findings, err := e.findings(CheckOptions{Payload: true})
	if err != nil || len(findings) > 0 {
		t.Error(findings, err)
	}
}

// An upload whose pages do not fit into one transaction is completed all the same, and leaves nothing else behind.
func TestUploadWithTooManyPartsIsCompletedAllTheSame(t *testing.T) {
	var log bytes.Buffer
	with := Parts{Logger: slog.New(slog.NewTextHandler(&log, nil)), sizes: smallSizes()}
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, with)
	must(t, err)
	defer e.Close()
	b := mainBucket(t, e)
	const parts, partBytes = 150, 4<<20 + 1
	mustPut(t, b, "src", bytes.Repeat([]byte{1}, partBytes))
	u, err := b.CreateUpload(t.Context(), "k", objstore.UploadOptions{})
	must(t, err)
	req := objstore.CompleteRequest{Key: "k", ID: u.ID, Cond: objstore.IfAbsent()}
	for n := range parts {
		mark := fmt.Appendf(nil, "part %d", n)
		put := putPart(t, b, u, 2*n+1, mark)
		p, err := b.CopyPart(t.Context(), objstore.CopyPartRequest{
			Src: "src", SrcCond: objstore.IfPresent(), Length: -1, Key: "k", ID: u.ID, Number: 2*n + 2, Durability: objstore.Visible,
		})
		must(t, err)
		req.Parts = append(req.Parts, put, objstore.CompletedPart{Number: 2*n + 2, ETag: p.ETag})
	}
	info, err := b.CompleteUpload(t.Context(), req)
	must(t, err)
	if !strings.Contains(log.String(), "ahead of its commit") {
		t.Error("all fitted into one transaction: the test shows nothing")
	}
	r, err := b.Get(t.Context(), "k", objstore.IfVersion(info.Version))
	must(t, err)
	defer r.Close()
	off := int64(0)
	for n := range parts {
		want := fmt.Sprintf("part %d", n)
		got := make([]byte, len(want))
		if _, err := r.ReadAt(t.Context(), got, off); err != nil || string(got) != want {
			t.Fatalf("at %d: %q instead of %q (%v)", off, got, want, err)
		}
		off += int64(len(want)) + partBytes
	}
	drain(t, e)
	must(t, e.checkInvariants())
}

// As many parts as there can be, of the least size S3 lets them have, each with the longest checksum that is common, are
// one completion.
func TestTenThousandPartsAreCompleted(t *testing.T) {
	const partBytes = 5 << 20
	sum := objstore.Checksum{Algorithm: "SHA256", Value: strings.Repeat("A", 44)}
	for _, profile := range []Profile{ProfileMount, ProfileServer} {
		e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true, Profile: profile})
		b := mainBucket(t, e)
		mustPut(t, b, "src", bytes.Repeat([]byte("some bytes"), partBytes/10+1)[:partBytes])
		u, err := b.CreateUpload(t.Context(), "k", objstore.UploadOptions{})
		must(t, err)
		req := objstore.CompleteRequest{Key: "k", ID: u.ID, Cond: objstore.IfAbsent(), Durability: objstore.Visible}
		for n := range objstore.PartNumberMax {
			p, err := b.CopyPart(t.Context(), objstore.CopyPartRequest{
				Src: "src", SrcCond: objstore.IfPresent(), Length: -1, Key: "k", ID: u.ID, Number: n + 1,
				Digests: objstore.Digests{Checksum: sum}, Durability: objstore.Visible,
			})
			must(t, err)
			req.Parts = append(req.Parts, objstore.CompletedPart{Number: n + 1, ETag: p.ETag})
		}
		start := time.Now()
		completed, err := b.CompleteUpload(t.Context(), req)
		must(t, err)
		t.Logf("completed in %v", time.Since(start))
		info, parts, err := b.Parts(t.Context(), "k", objstore.IfVersion(completed.Version))
		if err != nil || info.Size != partBytes*objstore.PartNumberMax || len(parts) != objstore.PartNumberMax || parts[9999].Checksum != sum {
			t.Errorf("%d parts, %d bytes (%v)", len(parts), info.Size, err)
		}
		r, err := b.Get(t.Context(), "k", objstore.IfPresent())
		must(t, err)
		got := make([]byte, 20)
		if _, err := r.ReadAt(t.Context(), got, 9999*partBytes-10); err != nil || string(got[10:]) != "some bytes" {
			t.Errorf("%q (%v)", got, err)
		}
		must(t, r.Close())
		must(t, e.checkInvariants())
	}
}
