package badgerstore

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// errSick is what a disk answers that syncs nothing.
var errSick = errors.New("this disk is sick")

// A store whose disk syncs nothing any more: (1) its usage says that it refuses writes and why, that of a store that takes them
// says nothing. What is written to files then can be neither committed nor kept: (2) closing the store says so, and why it
// stopped; (3) once it is opened on a disk that works those bytes are kept copies, once each, and it takes writes. C4, C10
func TestWhatAStoppedStoreCouldNotKeepIsKeptWhenItIsOpenedAgain(t *testing.T) {
	var sick atomic.Bool
	o := newOrphanage(t, func(op disk.Op) error {
		if sick.Load() && (op.Kind == disk.OpSync || op.Kind == disk.OpSyncDir) {
			return errSick
		}
		return nil
	})
	base := o.put("edited", 70_000, "base")
	checkRefusing(t, o.b, "")
	keep := func(path string, s objstore.Stage) error {
		_, err := s.Keep(t.Context(), objstore.Conflict{Reason: objstore.ReasonFailed, Path: path, Object: s.(*stage).Owner().Object})
		return err
	}
	first, edited, fresh, small := o.stage("first", nil), o.stage("edited", o.reader("edited")), o.stage("fresh", nil), o.stage("small", nil)
	o.write(first, "first", nil, "the sync for this one stops the store", 0)
	o.write(small, "small", nil, "few bytes", 0)
	sick.Store(true)
	if err := keep("first", first); objstore.KindOf(err) != objstore.ErrUnknown {
		t.Fatalf("keep: %v", err)
	}
	must(t, first.Close())
	checkRefusing(t, o.b, errSick.Error())
	o.write(edited, "edited", base, "changed", 30_000)
	o.write(fresh, "fresh", nil, strings.Repeat("much", 300_000), 0)
	dropped := o.stage("dropped", nil)
	_, err := dropped.WriteAt(t.Context(), []byte("nobody wants this"), 0)
	must(t, err)
	must(t, dropped.Close())
	for path, s := range map[string]objstore.Stage{"edited": edited, "fresh": fresh, "small": small} {
		if err := keep(path, s); err == nil || !strings.Contains(err.Error(), "is kept when the store is opened again") {
			t.Errorf("keep %s: %v", path, err)
		}
	}
	o.write(edited, "edited", o.want["edited"], "and again", 60_000)
	for _, s := range []objstore.Stage{edited, fresh, small} {
		must(t, s.Close())
	}
	err = o.e.Close()
	if !errors.Is(err, errSick) || !strings.Contains(err.Error(), "4 files") {
		t.Errorf("close: %v", err)
	}
	kept, err := o.adopted(o.dir, nil)
	must(t, err)
	must(t, o.check(kept))
	e := reopened(t, o.dir)
	_, err = mainBucket(t, e).Put(t.Context(), "more", strings.NewReader("x"), objstore.Unconditional(), objstore.PutOptions{})
	must(t, err)
	left, err := filepath.Glob(filepath.Join(o.dir, stagingName, "*"+".lock"))
	if err != nil || len(left) != 1 {
		t.Errorf("sessions: %q, %v", left, err)
	}
}

// What became of a commit or a keep is unknown if the sync after it failed. If it came through, (1) bytes that are in the file, and (2) those
// that are kept, though under the name the file had got meanwhile, are not kept once more when the store is opened again; (3) bytes
// that were written since are. C4
func TestBytesThatWereStoredBeforeASyncFailedAreThereOnce(t *testing.T) {
	var sick atomic.Bool
	sickHook := func(op disk.Op) error {
		if sick.Load() && (op.Kind == disk.OpSync || op.Kind == disk.OpSyncDir) {
			return errSick
		}
		return nil
	}
	for name, c := range map[string]struct {
		commits bool   // or keeps, as another path
		then    string // is written afterwards
		kept    map[string]string
	}{
		"committed":                {commits: true},
		"kept":                     {kept: map[string]string{"renamed": "written"}},
		"committed, then changed":  {commits: true, then: "W", kept: map[string]string{"file": "Written"}},
		"kept, then written again": {then: "written", kept: map[string]string{"renamed": "written"}},
	} {
		t.Run(name, func(t *testing.T) {
			sick.Store(false)
			o := newOrphanage(t, sickHook)
			s := o.stage("file", nil)
			o.write(s, "file", nil, "written", 0)
			object := s.(*stage).Owner().Object
			conflict := objstore.Conflict{Reason: objstore.ReasonLost, Path: "renamed", Object: object}
			sick.Store(true)
			var err error
			if c.commits {
				_, err = s.Commit(t.Context(), objstore.CommitRequest{
					Target: objstore.Target{ID: object, Parent: o.b.Root(), Name: "file"}, Cond: objstore.IfAbsent(), Durability: objstore.Durable,
				})
			} else {
				_, err = s.Keep(t.Context(), conflict)
			}
			if objstore.KindOf(err).Applied() == objstore.NotApplied {
				t.Fatalf("it was not applied: %v", err)
			}
			_, err = s.WriteAt(t.Context(), []byte(c.then), 0)
			must(t, err)
			if _, err := s.Keep(t.Context(), conflict); err == nil {
				t.Fatal("a store that takes no writes keeps")
			}
			must(t, s.Close())
			must(t, errSickOnly(o.e.Close()))
			kept, err := o.adopted(o.dir, nil)
			must(t, err)
			got := map[string]string{}
			for _, k := range kept {
				got[k.Path] += string(k.bytes)
			}
			if !maps.Equal(got, c.kept) {
				t.Errorf("kept: %q, want %q", got, c.kept)
			}
		})
	}
}

// errSickOnly is err, if that is not what the disk said.
func errSickOnly(err error) error {
	if errors.Is(err, errSick) {
		return nil
	}
	return err
}

func checkRefusing(t *testing.T, b *Bucket, why string) {
	t.Helper()
	u, err := b.Usage(context.Background())
	must(t, err)
	if why == "" && u.Refusing != "" || !strings.Contains(u.Refusing, why) {
		t.Errorf("refusing %q, want %q", u.Refusing, why)
	}
}

// A disk that fails while the log of a commit is prepared stops the store, as nothing can be written to it any more. What may go
// away by itself does not. C10
func TestStoreStopsWhenItsDiskFailsBeforeACommit(t *testing.T) {
	for errno, stops := range map[unix.Errno]bool{unix.EIO: true, unix.ENFILE: false, unix.ENOSPC: false} {
		t.Run(errno.Error(), func(t *testing.T) {
			var sick atomic.Bool
			o := newOrphanage(t, func(op disk.Op) error {
				if sick.Load() && op.Kind == disk.OpAllocate && strings.HasSuffix(op.Name, logSuffix) {
					return errno
				}
				return nil
			})
			sick.Store(true)
			put := func(key objstore.Key) error {
				body := strings.NewReader(strings.Repeat("x", 8<<10))
				_, err := o.b.Put(t.Context(), key, body, objstore.Unconditional(), objstore.PutOptions{})
				return err
			}
			var err error
			for i := 0; err == nil && i < 400; i++ { // until the log needs blocks
				err = put("first")
			}
			if !errors.Is(err, errno) || objstore.KindOf(err).Applied() != objstore.NotApplied {
				t.Fatalf("put: %v", err)
			}
			if (o.e.Refusing() != nil) != stops {
				t.Errorf("refusing: %v", o.e.Refusing())
			}
			sick.Store(false)
			if err := put("second"); (err != nil) != stops {
				t.Errorf("put on a disk that works: %v", err)
			}
			if err := o.e.Close(); stops != errors.Is(err, errno) {
				t.Errorf("close: %v", err)
			}
		})
	}
}
