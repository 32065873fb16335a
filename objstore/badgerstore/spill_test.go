package badgerstore

import (
	"bytes"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

const (
	scatteredBytes = 600 << 20
	scatteredStep  = 2 << 20
)

// scatter writes a few bytes here and there, each place its own.
func scatter(t *testing.T, s objstore.Stage, mark string) {
	t.Helper()
	for off := int64(0); off < scatteredBytes; off += scatteredStep {
		_, err := s.WriteAt(t.Context(), fmt.Appendf(nil, "%s%d", mark, off), off)
		must(t, err)
	}
}

// checkScattered compares what r has with what scatter wrote.
func checkScattered(t *testing.T, r objstore.Reader, mark string) {
	t.Helper()
	defer r.Close()
	if size := r.Info().Size; size != scatteredBytes {
		t.Errorf("%d bytes", size)
	}
	for off := int64(0); off < scatteredBytes; off += scatteredStep {
		want := append(fmt.Appendf(nil, "%s%d", mark, off), 0, 0)
		got := make([]byte, len(want))
		if _, err := r.ReadAt(t.Context(), got, off); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("at %d: %q instead of %q, %v", off, got, want, err)
		}
	}
}

// TestContentWithTooManyPartsIsCommittedAllTheSame: writes all over a file, more than fit
// into a transaction: (1) the commit succeeds; (2) the stage goes on from it; (3) so does a
// kept copy; (4) no payload is left over.
func TestContentWithTooManyPartsIsCommittedAllTheSame(t *testing.T) {
	var log bytes.Buffer
	parts := Parts{Logger: slog.New(slog.NewTextHandler(&log, nil)), sizes: smallSizes()}
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	must(t, err)
	b := mainBucket(t, e)
	id, err := b.NewID(t.Context())
	must(t, err)
	s, err := b.NewStage(t.Context(), objstore.StageSpec{Owner: objstore.Owner{Path: "f", Object: id}})
	must(t, err)
	commit := func(cond objstore.Cond) (objstore.Version, error) {
		res, err := s.Commit(t.Context(), objstore.CommitRequest{
			Target: objstore.Target{ID: id, Parent: b.Root(), Name: "f"}, Cond: cond, Durability: objstore.Visible,
		})
		return res.Info.Version, err
	}
	must(t, s.Truncate(t.Context(), scatteredBytes))
	version, err := commit(objstore.IfAbsent())
	must(t, err)
	scatter(t, s, "first ")
	if _, err := commit(objstore.IfAbsent()); objstore.KindOf(err) != objstore.ErrPrecondition {
		t.Fatal(err)
	}
	kept, err := s.Keep(t.Context(), objstore.Conflict{Reason: objstore.ReasonLost, Path: "f", Object: id})
	must(t, err)
	version, err = commit(objstore.IfVersion(version))
	must(t, err)
	r, err := b.Open(t.Context(), id, version)
	must(t, err)
	checkScattered(t, r, "first ")
	r, err = b.OpenConflict(t.Context(), kept.ID, objstore.SideMine)
	must(t, err)
	checkScattered(t, r, "first ")
	scatter(t, s, "second ")
	_, err = commit(objstore.IfVersion(version))
	must(t, err)
	r, err = b.Get(t.Context(), "f", objstore.Unconditional())
	must(t, err)
	checkScattered(t, r, "second ")
	must(t, s.Close())
	must(t, e.checkInvariants())
	must(t, e.Close())
	if n := strings.Count(log.String(), "ahead of its commit"); n != 3 {
		t.Errorf("%d contents were stored ahead instead of 3", n)
	}
}
