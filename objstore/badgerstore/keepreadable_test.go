package badgerstore

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// C4: what was written over a file that is damaged is kept, with all of the file that can be read. Zeros stand for the rest, and the
// conflict says where. It is replaced as any other when there is more to keep, and what was held of it goes with it.
func TestStageOverADamagedBaseIsKeptWithGaps(t *testing.T) {
	o := newOrphanage(t, nil)
	base := o.put("f", 300_000, "base")
	s := o.stage("f", o.reader("f"))
	o.write(s, "f", base, "mine", 70_000)
	must(t, o.e.Sync(t.Context()))
	flipBlob(t, o.dir, 300_000, 66_000)

	req := objstore.CommitRequest{Cond: objstore.Unconditional(), Target: objstore.Target{ID: s.(*stage).Owner().Object}}
	if _, err := s.Commit(t.Context(), req); objstore.KindOf(err) != objstore.ErrCorrupt {
		t.Fatalf("commit: %v", err)
	}
	want := bytes.Clone(o.want["f"])
	clear(want[65_536:70_000])
	clear(want[70_004:131_072])
	for _, more := range []string{"", "more"} {
		if more != "" {
			_, err := s.WriteAt(t.Context(), []byte(more), 200_000)
			must(t, err)
			copy(want[200_000:], more)
		}
		c, err := s.Keep(t.Context(), objstore.Conflict{Reason: objstore.ReasonFailed, Path: "f", Object: s.(*stage).Owner().Object})
		must(t, err)
		if !c.Gaps || !strings.Contains(c.Detail, "[65536,70000)") || !strings.Contains(c.Detail, "[70004,131072)") {
			t.Errorf("kept as %+v", c)
		}
		kept, err := keptIn(o.b)
		must(t, err)
		if len(kept) != 1 || kept[0].ID != c.ID || !bytes.Equal(kept[0].bytes, want) {
			t.Errorf("kept: %d copies, the right bytes: %v", len(kept), len(kept) > 0 && bytes.Equal(kept[0].bytes, want))
		}
	}
	must(t, s.Close())
	must(t, o.e.checkInvariants())
}

// flipBlob flips a bit at an offset of the blob of so many bytes.
func flipBlob(t *testing.T, dir string, size, off int64) {
	t.Helper()
	found := errors.New("found")
	err := filepath.WalkDir(filepath.Join(dir, blobsName), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() >= size && info.Size() < size+8192 {
			flip(t, name, off)
			return found
		}
		return err
	})
	if err != found {
		t.Fatalf("no blob of %d bytes: %v", size, err)
	}
}

// C4: the same if the process dies before it has closed the file, also if the base was so small that it was to be described with the stage.
func TestStageOverADamagedSmallBaseIsKeptAfterACrash(t *testing.T) {
	o := &orphanage{t: t, dir: filepath.Join(testDir(t), "store"), want: map[string][]byte{}}
	var log bytes.Buffer
	open := func(dir string) *Engine {
		parts := testParts(t)
		parts.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		parts.sizes = smallSizes()
		e, err := Open(t.Context(), dir, Options{Create: true}, parts)
		must(t, err)
		return e
	}
	e := open(o.dir)
	o.b = mainBucket(t, e)
	base := o.put("f", 500, "damaged")
	flatten(t, e)
	must(t, e.Close())
	flipInTables(t, o.dir, base[:100])

	e = open(o.dir)
	o.b = mainBucket(t, e)
	info, err := o.b.Head(t.Context(), "f")
	must(t, err)
	r, err := o.b.Open(t.Context(), info.ID, info.Version)
	must(t, err)
	o.write(o.stage("f", r), "f", make([]byte, len(base)), "mine", 40)
	image := o.crash()
	must(t, e.Close())
	if strings.Contains(log.String(), "base of a stage") {
		t.Errorf("what the commit or a read is told of is logged, too: %s", log.String())
	}

	e = open(image)
	kept, err := keptIn(mainBucket(t, e))
	must(t, err)
	must(t, o.check(kept))
	if len(kept) != 1 || !kept[0].Gaps || !strings.Contains(kept[0].Detail, "[0,40) [44,500)") {
		t.Errorf("kept %+v", kept)
	}
	must(t, e.Close())
}
