package badgerstore

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// TestContentWithTooManyPartsIsCommittedAllTheSame: writes all over a file, more than fit
// into a transaction: (1) the commit succeeds; (2) the stage goes on from it; (3) so does a
// kept copy; (4) no payload is left over.
func TestContentWithTooManyPartsIsCommittedAllTheSame(t *testing.T) {
	dir := filepath.Join(testDir(t), "store")
	parts := testParts(t)
	parts.sizes = smallSizes()
	var log bytes.Buffer
	parts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	e, err := Open(t.Context(), dir, Options{Create: true}, parts)
	must(t, err)
	b := mainBucket(t, e)
	const size, step = 24 << 20, 16 << 10
	content := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	ed := newEditor(t, b, "f", content)
	scatter := func(mark byte) {
		for off := int64(0); off < size; off += step {
			ed.write(off, []byte{mark, mark})
		}
	}
	request := func(cond objstore.Cond) objstore.CommitRequest {
		return objstore.CommitRequest{Target: objstore.Target{ID: ed.id}, Cond: cond, Durability: objstore.Visible}
	}
	scatter('x')
	_, err = ed.stage.Commit(t.Context(), request(objstore.IfAbsent()))
	if objstore.KindOf(err) != objstore.ErrPrecondition {
		t.Fatal(err)
	}
	kept, err := ed.stage.Keep(t.Context(), objstore.Conflict{Reason: objstore.ReasonLost, Path: "f", Object: ed.id})
	must(t, err)
	res, err := ed.stage.Commit(t.Context(), request(objstore.IfVersion(ed.info.Version)))
	must(t, err)
	for name, open := range map[string]func() (objstore.Reader, error){
		"committed": func() (objstore.Reader, error) { return b.Open(t.Context(), ed.id, res.Info.Version) },
		"kept":      func() (objstore.Reader, error) { return b.OpenConflict(t.Context(), kept.ID, objstore.SideMine) },
	} {
		r, err := open()
		must(t, err)
		got := make([]byte, size)
		if _, err := r.ReadAt(t.Context(), got, 0); err != nil || !bytes.Equal(got, ed.want) {
			t.Errorf("%s: wrong bytes, %v", name, err)
		}
		must(t, r.Close())
	}
	ed.write(5, []byte("and on"))
	res, err = ed.stage.Commit(t.Context(), request(objstore.IfVersion(res.Info.Version)))
	must(t, err)
	if p, err := getAll(t.Context(), b, "f"); err != nil || !bytes.Equal(p, ed.want) {
		t.Errorf("wrong bytes after the next commit, %v", err)
	}
	must(t, ed.stage.Close())
	must(t, e.checkInvariants())
	must(t, e.Close())
	if n := strings.Count(log.String(), "too many parts"); n != 2 {
		t.Errorf("%d contents were copied instead of 2", n)
	}
}
