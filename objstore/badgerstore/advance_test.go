package badgerstore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// watched is progress as it was told.
type watched struct {
	t           *testing.T
	told        int
	done, total int64
	walks       int // that have begun
}

// progress takes only what goes on, unless it begins anew, and never more than there is.
func (w *watched) progress(done, total int64) {
	if done < w.done || w.told == 0 {
		w.walks++
	}
	if w.told++; done > total {
		w.t.Errorf("%d of %d is done", done, total)
	}
	w.done, w.total = done, total
}

// wantWhole wants all of something to be done that has at least so much.
func (w *watched) wantWhole(what string, least int64) {
	w.t.Helper()
	if w.told == 0 || w.done != w.total || w.total < least {
		w.t.Errorf("%s: told %d times, at last %d of %d, and not of %d", what, w.told, w.done, w.total, least)
	}
}

// Who checks, repairs, merges, collects or compacts a store is told how far that is, up to its end.
func TestProgressOfUpkeepGoesUpToItsEnd(t *testing.T) {
	e, _ := openWithTable(t)
	b := mainBucket(t, e)
	const blobBytes = 3 << 20
	mustPut(t, b, "blob", bytes.Repeat([]byte("blob"), blobBytes/4))
	_, tables, err := e.tableBytes()
	must(t, err)
	check := func(payload bool, least int64) {
		w := &watched{t: t}
		all, err := e.findings(CheckOptions{Payload: payload, Progress: w.progress})
		if must(t, err); len(all) > 0 {
			t.Error(all)
		}
		if w.wantWhole(fmt.Sprint("check, with payload ", payload), least); w.walks != 1 {
			t.Errorf("a check begins %d times", w.walks)
		}
	}
	check(false, 2*tables)
	check(true, tables+blobBytes)
	w := &watched{t: t}
	_, err = e.Compact(t.Context(), w.progress)
	must(t, err)
	w.wantWhole("compact", 2*tables)
	must(t, e.Close())

	w = &watched{t: t}
	must(t, Repair(t.Context(), e.dir, CheckOptions{Payload: true, Progress: w.progress}, testParts(t), func(r Repaired) error {
		t.Error(r)
		return nil
	}))
	if w.wantWhole("repair", blobBytes); w.walks < 2 {
		t.Errorf("a repair walks %d times", w.walks)
	}
}

// The same for files that edits have scattered.
func TestProgressOfAMergeGoesUpToItsEnd(t *testing.T) {
	e := openMerging(t)
	random := rand.New(rand.NewPCG(testSeed(t), 1))
	ed := newEditor(t, mainBucket(t, e), "file", noise(random, blockhash.BlockBytes))
	ed.editFile(random, 50, 0, 0)
	w := &watched{t: t}
	m, err := e.Merge(t.Context(), w.progress)
	must(t, err)
	if m.Files != 1 {
		t.Errorf("%+v", m)
	}
	w.wantWhole("merge", blockhash.BlockBytes)
}

// On a disk that takes its time to remove files all goes that nobody reads, however many those are, and who asked is told how far that is.
func TestCollectGoesOnWhileSomethingGoes(t *testing.T) {
	const files, takes = 3000, time.Millisecond
	parts := testParts(t)
	parts.sizes = smallSizes()
	parts.Disk = disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if op.Kind == disk.OpRemove && strings.Contains(op.Name, blobsName) {
			<-time.After(takes)
		}
		return nil
	})
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	must(t, err)
	b := mainBucket(t, e)
	for i := range files {
		mustPut(t, b, objstore.Key(fmt.Sprint(i)), make([]byte, 5<<10))
	}
	for i := range files {
		must(t, b.Delete(t.Context(), objstore.Key(fmt.Sprint(i)), objstore.Unconditional(), objstore.DeleteOptions{Durability: objstore.Visible}))
	}
	w := &watched{t: t}
	c, err := e.Collect(t.Context(), w.progress)
	must(t, err)
	if c.Waiting != 0 || c.Removed < files/2 {
		t.Errorf("%+v", c)
	}
	w.wantWhole("gc", files/2)
	must(t, e.Close())
}
