package badgerstore

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// inlineReader opens a small object, whose bytes are not read before they are asked for.
func inlineReader(t *testing.T, b *Bucket, key objstore.Key) objstore.Reader {
	t.Helper()
	info, err := b.Head(t.Context(), key)
	must(t, err)
	r, err := b.Open(t.Context(), info.ID, info.Version)
	must(t, err)
	return r
}

func putSmall(t *testing.T, b *Bucket, key objstore.Key, body string) {
	t.Helper()
	_, err := b.Put(t.Context(), key, strings.NewReader(body), objstore.Unconditional(), objstore.PutOptions{})
	must(t, err)
}

// TestSmallContentIsReadWhenItIsAskedFor is C2 for a content that no open has read. C2
func TestSmallContentIsReadWhenItIsAskedFor(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *Bucket){
		"overwritten": func(t *testing.T, b *Bucket) { putSmall(t, b, "k", "new") },
		"deleted": func(t *testing.T, b *Bucket) {
			must(t, b.Delete(t.Context(), "k", objstore.Unconditional(), objstore.DeleteOptions{}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := openTest(t, testDir(t), Options{Create: true})
			b := mainBucket(t, e)
			putSmall(t, b, "k", "old")
			r := inlineReader(t, b, "k")
			change(t, b)
			collectAll(t, e)
			p, err := io.ReadAll(r.Stream(t.Context(), 0, -1))
			if err != nil || string(p) != "old" {
				t.Errorf("read %q, %v", p, err)
			}
			must(t, r.Close())
		})
	}
}

// TestOpenDuringReplacementKeepsItsBytes opens in a state from before a replacement, which has decided already
// that nobody has the old content: while it is committed, and after. C2
func TestOpenDuringReplacementKeepsItsBytes(t *testing.T) {
	for _, published := range []bool{false, true} {
		e := openTest(t, testDir(t), Options{Create: true})
		b := mainBucket(t, e)
		putSmall(t, b, "k", "old")
		v := e.view()
		o, err := v.objectAt(b.root, "k")
		must(t, err)
		var p *pinned
		replace := func(during func()) {
			err := e.commit(t.Context(), objstore.Visible, false, func(tx *tx) error {
				if err := tx.discard(contentOf(o)); err != nil {
					return err
				}
				during()
				return nil
			})
			must(t, err)
		}
		open := func() {
			p, err = v.pin(o.ID, o.Version, o.Content)
			must(t, err)
		}
		if published {
			replace(func() {})
			open()
		} else {
			replace(open)
		}
		v.close()
		got := make([]byte, 3)
		if _, err := p.ReadAt(context.Background(), got, 0); err != nil || !bytes.Equal(got, []byte("old")) {
			t.Errorf("published %v: read %q, %v", published, got, err)
		}
		p.release()
	}
}
