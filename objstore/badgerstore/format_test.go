package badgerstore

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// unpackStore is a copy of a store in testdata.
func unpackStore(t *testing.T, name string) (dir string) {
	t.Helper()
	dir = filepath.Join(testDir(t), "store")
	must(t, os.Mkdir(dir, 0o700))
	if out, err := exec.Command("tar", "-xzf", filepath.Join("testdata", name), "-C", dir).CombinedOutput(); err != nil {
		t.Fatal(string(out), err)
	}
	return dir
}

func formatOf(t *testing.T, dir string) string {
	t.Helper()
	p, err := os.ReadFile(filepath.Join(dir, formatName))
	must(t, err)
	return string(p)
}

func bytesOf(t *testing.T, b *Bucket, key objstore.Key) string {
	t.Helper()
	r, err := b.Get(t.Context(), key, objstore.IfPresent())
	must(t, err)
	defer r.Close()
	p, err := io.ReadAll(r.Stream(t.Context(), 0, -1))
	must(t, err)
	return string(p)
}

// A store of the first format, from before uploads, opens with all that is in it, and is as it was for programs
// that do not know uploads until it has one.
func TestStoresOfTheFirstFormatOpen(t *testing.T) {
	dir := unpackStore(t, "store-1.tgz")
	format := formatOf(t, dir)
	e, err := Open(t.Context(), dir, Options{}, testParts(t))
	must(t, err)
	b := mainBucket(t, e)
	bare := strings.Repeat("bare", 1280<<10)
	bare = bare[:1000] + "changed" + bare[1007:]
	for key, want := range map[objstore.Key]string{
		"small": "a few bytes", "again": "a few bytes", "dir/blob": strings.Repeat("blob", 20<<10), "dir/bare": bare,
	} {
		if got := bytesOf(t, b, key); got != want {
			t.Errorf("%s: %d bytes that are not the %d written", key, len(got), len(want))
		}
	}
	info, err := b.Head(t.Context(), "small")
	must(t, err)
	if info.ETag != "e1bbf9647233af2c69b953fa6fa79771-v3" || info.ContentType != "text/plain" || info.UserMeta["a"] != "1" || info.Nlink != 2 {
		t.Errorf("%+v", info)
	}
	kept, err := b.ListConflicts(t.Context())
	if err != nil || len(kept) != 1 {
		t.Errorf("kept copies: %v (%v)", kept, err)
	}
	a, err := b.Answer(t.Context(), "w-small")
	if objstore.KindOf(err) != objstore.ErrNotFound && (err != nil || a.Info.Version != "3") {
		t.Errorf("answer: %+v (%v)", a, err)
	}
	mustPut(t, b, "new", []byte("x"))
	if now := formatOf(t, dir); now != format {
		t.Errorf("FORMAT became\n%s", now)
	}
	uploadTo(t, b, "dir/bare", []byte("assembled"), []byte("from parts"))
	if now := formatOf(t, dir); now != format+"needs s3\n" {
		t.Errorf("FORMAT became\n%s", now)
	}
	must(t, e.checkInvariants())
	must(t, e.Close())
	e = openTest(t, dir, Options{})
	if got := bytesOf(t, mainBucket(t, e), "dir/bare"); got != "assembledfrom parts" {
		t.Errorf("%q", got)
	}
	must(t, mainBucket(t, e).SetDocument(t.Context(), "policy", nil))
	if now := formatOf(t, dir); now != format+"needs s3\n" {
		t.Errorf("FORMAT became\n%s", now)
	}
}

// Each of the things an older program would not understand is announced before it is there.
func TestWhatIsNewIsAnnounced(t *testing.T) {
	shown := objstore.Digests{ETag: "shown"}
	finish := func() (objstore.Digests, error) { return shown, nil }
	put := func(b *Bucket, opt objstore.PutOptions) error {
		_, err := b.Put(t.Context(), "k", strings.NewReader("x"), objstore.Unconditional(), opt)
		return err
	}
	for name, row := range map[string]struct {
		do   func(b *Bucket) error
		want bool
	}{
		"tags and headers": {func(b *Bucket) error {
			return put(b, objstore.PutOptions{Tags: map[string]string{"a": "b"}, Headers: objstore.Headers{Expires: "x"}})
		}, false},
		"an upload": {func(b *Bucket) error {
			_, err := b.CreateUpload(t.Context(), "k", objstore.UploadOptions{})
			return err
		}, true},
		"a document":       {func(b *Bucket) error { return b.SetDocument(t.Context(), "d", nil) }, true},
		"an etag of a put": {func(b *Bucket) error { return put(b, objstore.PutOptions{Finish: finish}) }, true},
		"an etag of an append": {func(b *Bucket) error {
			_, err := b.Append(t.Context(), "k", 0, strings.NewReader("x"), objstore.IfAbsent(), objstore.PutOptions{Finish: finish})
			return err
		}, true},
		"an etag of a copy": {func(b *Bucket) error {
			must(t, put(b, objstore.PutOptions{}))
			_, err := b.Copy(t.Context(), objstore.CopyRequest{Src: "k", SrcCond: objstore.IfPresent(), Dst: "l", DstCond: objstore.IfAbsent(), Digests: shown})
			return err
		}, true},
	} {
		dir := filepath.Join(testDir(t), "store")
		e := openTest(t, dir, Options{Create: true})
		must(t, row.do(mainBucket(t, e)))
		if got := strings.HasSuffix(formatOf(t, dir), "needs s3\n"); got != row.want {
			t.Errorf("%s: announced %v", name, got)
		}
	}
}

// What a store's FORMAT says besides stays when a feature is noted.
func TestNotingAFeatureKeepsOtherLines(t *testing.T) {
	dir := filepath.Join(testDir(t), "store")
	e, err := Open(t.Context(), dir, Options{Create: true}, testParts(t))
	must(t, err)
	must(t, e.Close())
	text := strings.TrimSuffix(formatOf(t, dir), "\n") + "\ncolour blue" // no newline at the end
	must(t, os.WriteFile(filepath.Join(dir, formatName), []byte(text), 0o600))
	for range 2 {
		e := openTest(t, dir, Options{})
		must(t, mainBucket(t, e).SetDocument(t.Context(), "d", bytes.Repeat([]byte("x"), 100)))
		if now := formatOf(t, dir); now != text+"\nneeds s3\n" {
			t.Errorf("FORMAT became\n%s", now)
		}
		must(t, e.Close())
	}
}
