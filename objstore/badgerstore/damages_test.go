package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/marks"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// makeVariedStore makes a store with records of every kind and closes it.
func makeVariedStore(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(testDir(t), "store")
	e, err := Open(t.Context(), dir, Options{Create: true}, testParts(t))
	must(t, err)
	ctx, b := t.Context(), mainBucket(t, e)
	must(t, e.CreateBucket(ctx, "other"))
	mustPut(t, b, "small", []byte("a few bytes"))
	mustPut(t, b, "dir/sub/blob", bytes.Repeat([]byte("blob"), 20<<10))
	bare := mustPut(t, b, "dir/bare", bytes.Repeat([]byte("bare"), 1<<20))
	linked := mustPut(t, b, "linked", []byte("two names"))
	_, err = b.Link(ctx, linked.ID, b.Root(), "again", objstore.Visible)
	must(t, err)
	_, err = b.Put(ctx, "asked", strings.NewReader("once"), objstore.IfAbsent(), objstore.PutOptions{WriteID: "write-1"})
	must(t, err)
	winner, loser := stageOf(t, b, bare), stageOf(t, b, bare)
	_, err = commitAt(t, b, winner, bare, "won", 1000)
	must(t, err)
	if _, err = commitAt(t, b, loser, bare, "lost", 9000); !objstore.IsLostCondition(err) {
		t.Fatal(err)
	}
	_, err = loser.Keep(ctx, objstore.Conflict{Reason: objstore.ReasonLost, Path: "dir/bare", Object: bare.ID})
	must(t, errors.Join(err, winner.Close(), loser.Close()))
	must(t, e.CreateBucket(ctx, "uploads"))
	other, err := e.bucket(ctx, "uploads")
	must(t, err)
	uploadTo(t, other, "assembled", []byte("one"), bytes.Repeat([]byte("two"), 20<<10))
	open, err := other.CreateUpload(ctx, "open", objstore.UploadOptions{})
	must(t, err)
	putPart(t, other, open, 1, bytes.Repeat([]byte("part"), 20<<10))
	must(t, other.SetDocument(ctx, "policy", []byte("text")))
	drain(t, e)
	must(t, e.Close())
	return dir
}

// damaged is a varied store that is open and about to be damaged.
type damagedStore struct {
	*testing.T
	e *Engine
	b *Bucket
	v *view
}

// object is what is under a key of the main bucket.
func (d *damagedStore) object(key objstore.Key) *record.Object {
	o, err := d.v.nodeAt(d.b.root, key)
	if err != nil || o == nil {
		d.Fatal(key, err)
	}
	return o
}

// set commits one record as it should not be; nil: none.
func (d *damagedStore) set(key []byte, value any) {
	must(d, d.e.commit(context.Background(), objstore.Visible, true, func(tx *tx) error {
		tx.set(key, value)
		return nil
	}))
}

// change commits an object that is not as it was.
func (d *damagedStore) change(key objstore.Key, f func(o *record.Object)) {
	o := d.object(key).Clone()
	f(o)
	if o.IsFree() {
		d.set(record.ObjectKey(o.ID), o)
	} else {
		d.set(record.EntryKey(o.Place), o)
	}
}

// flipped commits a record with one bit of it flipped.
func (d *damagedStore) flipped(key []byte) {
	var p []byte
	item, err := d.v.db().Get(key)
	must(d, err)
	p, err = item.ValueCopy(nil)
	must(d, err)
	p[len(p)/2] ^= 8
	d.set(key, raw(p))
}

// recount changes how often the blob of an object is counted.
func (d *damagedStore) recount(key objstore.Key, by int64) {
	s := d.source(key)
	r := extent.Ref{Kind: extent.RefKind(s.Kind), ID: s.ID}
	refs, err := d.v.refs(r)
	must(d, err)
	refs.Count += uint64(by)
	must(d, d.e.commit(context.Background(), objstore.Visible, true, func(tx *tx) error {
		tx.setRefs(r, refs)
		return nil
	}))
}

// first is the first key with a tag.
func (d *damagedStore) first(tag byte) (key []byte) {
	must(d, d.v.scanKeys([]byte{tag}, func(k []byte) (bool, error) {
		key = bytes.Clone(k)
		return false, nil
	}))
	return key
}

// source is where the first bytes of an object are.
func (d *damagedStore) source(key objstore.Key) (s extent.Source) {
	x, err := extentsOf(d.object(key).Content)
	must(d, err)
	must(d, x.Extents(pages{d.v.tree}, 0, 1, func(e extent.Extent) error {
		s = e.Source
		return nil
	}))
	return s
}

func (d *damagedStore) blobPath(key objstore.Key) string {
	s := d.source(key)
	return d.e.blobs.Path(blobOf(extent.RefKind(s.Kind), s.ID))
}

func (d *damagedStore) write(name string, p string) {
	must(d, errors.Join(os.MkdirAll(filepath.Dir(d.e.path(name)), 0o700), os.WriteFile(d.e.path(name), []byte(p), 0o600)))
}

// damage is one thing that can be wrong with a varied store, and what a check finds then.
type damage struct {
	name   string
	break_ func(d *damagedStore)
	want   []FindingKind
	says   string // one of the findings
}

// damages are all, of every kind.
func damages() []damage {
	type kinds = []FindingKind
	return []damage{
		{"nothing", func(*damagedStore) {}, nil, ""},
		{"a bit of an entry is flipped", func(d *damagedStore) { d.flipped(record.EntryKey(d.object("small").Place)) },
			kinds{FindingRecord}, `record E 1 "small": corrupt record: its checksum does not match`},
		{"a bit of a page is flipped", func(d *damagedStore) { d.flipped(d.first(record.TagPage)) },
			kinds{FindingContent, FindingRecord}, "main/dir/bare: page"},
		{"a bit of an inline payload is flipped", func(d *damagedStore) {
			d.flipped(record.PayloadKey(d.source("small").ID))
		}, kinds{FindingContent}, "main/small: corrupt record"},
		{"a bit of a name is flipped", func(d *damagedStore) { d.flipped(d.first(record.TagName)) }, kinds{FindingRecord}, "record N"},
		{"a bit of a count is flipped", func(d *damagedStore) { d.flipped(d.first(record.TagRefs)) }, kinds{FindingRecord}, "record R"},
		{"a bit of an outcome is flipped", func(d *damagedStore) { d.flipped(d.first(record.TagOutcome)) }, kinds{FindingRecord}, `"write-1"`},
		{"a record has a short key", func(d *damagedStore) { d.set([]byte("Oabc"), raw("x")) }, kinds{FindingRecord}, "too short"},
		{"a record is of no kind", func(d *damagedStore) { d.set([]byte("!abc"), raw("x")) }, kinds{FindingRecord}, `record ! "abc"`},
		{"references to nothing are counted", func(d *damagedStore) { d.set(record.RefsKey(9, 5), record.Refs{Count: 3}) },
			kinds{FindingRecord}, "nothing there can be"},
		{"a bucket's directory is gone", func(d *damagedStore) {
			rec, err := d.v.bucket("other")
			must(d, err)
			d.set(record.ObjectKey(rec.Root), nil)
		}, kinds{FindingBucket, FindingTotal}, `bucket "other"`},
		{"a bucket is gone", func(d *damagedStore) { d.set(record.BucketKey("other"), nil) }, kinds{FindingObject}, "directory"},
		{"an entry is gone", func(d *damagedStore) { d.set(record.EntryKey(d.object("small").Place), nil) },
			kinds{FindingChildren, FindingObject, FindingTotal, FindingUnreferenced}, `main/small: object`},
		{"the place of an object is gone", func(d *damagedStore) { d.set(record.ObjectKey(d.object("small").ID), nil) },
			kinds{FindingEntry}, "main/small: object"},
		{"a directory is gone", func(d *damagedStore) { d.set(record.ObjectKey(d.object("dir/sub/").ID), nil) },
			kinds{FindingEntry, FindingEntry, FindingTotal}, "1 entries are in directory"},
		{"the entry of a directory is gone", func(d *damagedStore) { d.set(record.EntryKey(d.object("dir/sub/").Place), nil) },
			kinds{FindingChildren, FindingObject}, "main/dir/: directory"},
		{"an entry has the name of another type", func(d *damagedStore) {
			sub := d.object("dir/sub/")
			p := place{Parent: sub.Place.Parent, Stored: "sub"}
			d.set(record.EntryKey(sub.Place), nil)
			d.set(record.EntryKey(p), record.Ref{ID: sub.ID, Dir: true})
			d.change("dir/sub/", func(o *record.Object) { o.Place = p })
		}, kinds{FindingEntry}, "main/dir/sub: the entry"},
		{"a directory is within itself", func(d *damagedStore) {
			dir, sub := d.object("dir/"), d.object("dir/sub/")
			p := place{Parent: sub.ID, Stored: "dir/"}
			d.set(record.EntryKey(dir.Place), nil)
			d.set(record.EntryKey(p), record.Ref{ID: dir.ID, Dir: true})
			d.change("dir/", func(o *record.Object) { o.Place = p })
			d.change("dir/sub/", func(o *record.Object) { o.Children++; o.Subdirs++ })
			root, err := d.v.free(d.b.root)
			must(d, err)
			root = root.Clone()
			root.Children--
			root.Subdirs--
			d.set(record.ObjectKey(root.ID), root)
		}, kinds{FindingDirectory, FindingDirectory}, "within itself"},
		{"a directory counts too many", func(d *damagedStore) {
			d.change("dir/sub/", func(o *record.Object) { o.Children++ })
		}, kinds{FindingChildren}, "counts 2 entries, 0 of them directories; there are 1 and 0"},
		{"an empty directory counts one", func(d *damagedStore) {
			d.set(record.EntryKey(d.object("dir/sub/blob").Place), nil)
			d.set(record.ObjectKey(d.object("dir/sub/blob").ID), nil)
		}, kinds{FindingChildren, FindingTotal, FindingOvercounted}, "counts 1 entries and has none"},
		{"a file counts a name too many", func(d *damagedStore) { d.change("linked", func(o *record.Object) { o.Links++ }) },
			kinds{FindingLinks}, "counts 3 names and has 2"},
		{"a name of a file is gone", func(d *damagedStore) { d.set(d.first(record.TagName), nil) },
			kinds{FindingLinks, FindingLinks}, "not among the names"},
		{"an entry of a linked file is gone", func(d *damagedStore) {
			d.set(record.EntryKey(place{Parent: d.b.root, Stored: "again"}), nil)
		}, kinds{FindingChildren, FindingLinks}, `should have the name "again"`},
		{"a linked file is gone", func(d *damagedStore) { d.set(record.ObjectKey(d.object("linked").ID), nil) },
			kinds{FindingEntry, FindingEntry, FindingObject, FindingObject, FindingTotal, FindingUnreferenced}, "its name is left"},
		{"a kept copy is in no bucket", func(d *damagedStore) {
			key := d.first(record.TagConflict)
			value, err := d.v.read(key)
			must(d, err)
			d.set(key, nil)
			d.set(record.ConflictKey(77, record.ConflictID(key)), value)
		}, kinds{FindingConflict}, "in no bucket"},
		{"a kept copy is gone", func(d *damagedStore) { d.set(d.first(record.TagConflict), nil) },
			kinds{FindingUnreferenced, FindingOvercounted}, "page"},
		{"a page is gone", func(d *damagedStore) { d.set(d.first(record.TagPage), nil) },
			kinds{FindingContent, FindingUnreferenced, FindingOvercounted, FindingMissing}, "of extents is lost"},
		{"an inline payload is gone", func(d *damagedStore) { d.set(record.PayloadKey(d.source("small").ID), nil) },
			kinds{FindingContent, FindingMissing}, "main/small: inline payload"},
		{"a blob is gone", func(d *damagedStore) { must(d, os.Remove(d.blobPath("dir/sub/blob"))) },
			kinds{FindingContent}, "main/dir/sub/blob: blob"},
		{"the checksums of a bare blob are gone", func(d *damagedStore) { must(d, os.Remove(d.blobPath("dir/bare")+".sum")) },
			kinds{FindingContent, FindingContent, FindingContent}, "main/dir/bare: blob"},
		{"the checksums of a blob are damaged", func(d *damagedStore) { flip(d, d.blobPath("dir/sub/blob"), 80<<10+60) },
			kinds{FindingContent}, "main/dir/sub/blob: checksum block"},
		{"a bit of a blob is flipped", func(d *damagedStore) { flip(d, d.blobPath("dir/sub/blob"), 70000) },
			kinds{FindingBytes}, "main/dir/sub/blob: blob"},
		{"a content has another hash", func(d *damagedStore) {
			d.change("dir/sub/blob", func(o *record.Object) { o.Content.Hash[3]++ })
		}, kinds{FindingBytes}, "do not have its hash"},
		{"a content takes less", func(d *damagedStore) {
			d.change("dir/sub/blob", func(o *record.Object) { o.Content.Allocated-- })
		}, kinds{FindingContent}, "take 81920 bytes of payloads and not 81919"},
		{"a content has another size than its extents", func(d *damagedStore) {
			d.change("dir/sub/blob", func(o *record.Object) { o.Content.Size++ })
		}, kinds{FindingContent, FindingOvercounted}, "do not fit its size"},
		{"a content is longer than its payload", func(d *damagedStore) {
			d.change("small", func(o *record.Object) {
				s := d.source("small")
				o.Content.Size, o.Content.Allocated = 100, 100
				o.Content.Root = extent.FromRun(100, s).Append(nil)
			})
		}, kinds{FindingExtent, FindingBytes}, "main/small: its bytes at 0 to 100"},
		{"a blob is counted too rarely", func(d *damagedStore) { d.recount("dir/bare", -1) }, kinds{FindingUndercounted}, "2 references"},
		{"a blob is counted too often", func(d *damagedStore) { d.recount("dir/bare", 1) }, kinds{FindingOvercounted}, "4 references"},
		{"a blob is not counted", func(d *damagedStore) { d.recount("dir/sub/blob", -1) }, kinds{FindingUndercounted, FindingOrphan}, "0 references"},
		{"a page is counted twice", func(d *damagedStore) {
			d.set(record.RefsKey(uint8(extent.RefPage), record.Number(d.first(record.TagPage))), record.Refs{Count: 2})
		}, kinds{FindingOvercounted}, "2 references to page"},
		{"a page is nobody's", func(d *damagedStore) {
			id, err := d.e.numbers.next()
			must(d, err)
			d.set(record.PageKey(id), &extent.Page{Extents: []extent.Extent{{Len: 5, Source: d.source("small")}}})
		}, kinds{FindingUnreferenced, FindingUndercounted}, "nothing refers to page"},
		{"an inline payload is nobody's", func(d *damagedStore) {
			id, err := d.e.numbers.next()
			must(d, err)
			d.set(record.PayloadKey(id), raw(record.EncodePayload(record.PayloadKey(id), []byte("x"))))
		}, kinds{FindingUnreferenced}, "nothing refers to inline payload"},
		{"garbage is to remove a page in use", func(d *damagedStore) {
			d.set(record.GarbageKey(5), &record.Garbage{Freed: []uint64{record.Number(d.first(record.TagPage))}})
		}, kinds{FindingQueue}, "was not freed by it"},
		{"a page in use was freed", func(d *damagedStore) {
			id := record.Number(d.first(record.TagPage))
			d.set(record.GarbageKey(5), &record.Garbage{Freed: []uint64{id}})
			d.set(record.RefsKey(uint8(extent.RefPage), id), record.Refs{Garbage: 5})
		}, kinds{FindingUnreferenced, FindingOvercounted, FindingQueue}, "there are 1 references"},
		{"a page was freed by nobody", func(d *damagedStore) {
			id, err := d.e.numbers.next()
			must(d, err)
			d.set(record.RefsKey(uint8(extent.RefPage), id), record.Refs{Garbage: 5})
		}, kinds{FindingQueue}, "does not know of it"},
		{"garbage is to remove a blob in use", func(d *damagedStore) {
			s := d.source("dir/bare")
			d.set(record.GarbageKey(5), &record.Garbage{Unlink: []record.PayloadRef{{Kind: uint8(s.Kind), ID: s.ID}}})
		}, kinds{FindingQueue}, "references are counted"},
		{"garbage has a reference that is not counted", func(d *damagedStore) {
			s := d.source("dir/bare")
			d.set(record.GarbageKey(5), &record.Garbage{Dropped: []record.PayloadRef{{Kind: uint8(s.Kind), ID: s.ID}}})
		}, kinds{FindingUndercounted}, "there are 4"},
		{"durable commits are gone", func(d *damagedStore) {
			must(d, d.e.marks.Update(false, func(m *marks.Marks) { m.Durable = d.e.published.Load() + 5 }))
			d.e.published.Add(5)
		}, kinds{FindingMark}, "the log ends at commit"},
		{"the store counts a file too many", func(d *damagedStore) { d.e.objects.Add(1); d.set([]byte("!"), nil) },
			kinds{FindingTotal}, "are counted and"},
		{"a number was never given out", func(d *damagedStore) {
			d.change("small", func(o *record.Object) { o.Version = 1 << 50 })
		}, kinds{FindingNumber}, "yet to be given out"},
		{"a payload's number was never given out", func(d *damagedStore) {
			d.set(record.PayloadKey(1<<50), raw(record.EncodePayload(record.PayloadKey(1<<50), []byte("x"))))
		}, kinds{FindingNumber}, "yet to be given out"},
		{"a part is of no upload", func(d *damagedStore) { d.set(d.first(record.TagUpload), nil) }, kinds{FindingUpload}, "part 1 is of the upload"},
		{"an upload is to no bucket", func(d *damagedStore) { d.set(record.UploadKey(1<<40, "k", 7), &record.Upload{}) },
			kinds{FindingUpload}, `the upload 0000000000000007 to "k" is in no bucket`},
		{"a document is of no bucket", func(d *damagedStore) {
			key := record.DocumentKey(1<<40, "policy")
			d.set(key, raw(record.EncodePayload(key, nil)))
		}, kinds{FindingUpload}, `the document "policy" is in no bucket`},
		{"the parts of an object are gone", func(d *damagedStore) { d.set(d.first(record.TagLayout), nil) }, kinds{FindingUpload}, "2 parts, of which"},
		{"parts are of an object that has none", func(d *damagedStore) {
			d.set(record.LayoutKey(d.object("small").ID, 0), record.Layout{{Number: 1}})
		}, kinds{FindingUpload}, "which has others"},
		{"an upload is damaged", func(d *damagedStore) { d.flipped(d.first(record.TagUpload)) }, kinds{FindingRecord, FindingUpload}, "record U"},
		{"a part is damaged", func(d *damagedStore) { d.flipped(d.first(record.TagPart)) }, kinds{FindingRecord}, "record V"},
		{"a document is damaged", func(d *damagedStore) { d.flipped(d.first(record.TagDocument)) }, kinds{FindingRecord}, "record D"},
		{"a blob is nobody's", func(d *damagedStore) { d.write("blobs/0/fff", "x") }, kinds{FindingOrphan}, "blobs/0/fff"},
		{"checksums are nobody's", func(d *damagedStore) { d.write("blobs/1/1fff.sum", "x") }, kinds{FindingOrphan}, "blobs/1/1fff"},
		{"a file is no blob", func(d *damagedStore) { d.write("blobs/0/letter", "x") }, kinds{FindingStray}, "blobs/0/letter"},
		{"a file is where no blob of its name is", func(d *damagedStore) { d.write("blobs/3/1fff", "x") },
			kinds{FindingStray}, "blobs/3/1fff"},
		{"a directory is none of blobs", func(d *damagedStore) { d.write("blobs/letters/a", "x") }, kinds{FindingStray}, "blobs/letters"},
		{"an outcome never expires", func(d *damagedStore) { d.set(d.first(record.TagExpiry), nil) }, kinds{FindingOutcome}, "+1 outcomes"},
		{"an outcome is gone", func(d *damagedStore) { d.set(d.first(record.TagOutcome), nil) },
			kinds{FindingOutcome, FindingOutcome}, `write "write-1"`},
		{"a session was not swept", func(d *damagedStore) { d.write("staging/9-0/slots", ""); d.write("staging/9-0.lock", "") },
			kinds{FindingSession}, "staging/9-0"},
		{"a lock is of no session", func(d *damagedStore) { d.write("staging/9-0.lock", "") }, kinds{FindingStray}, "staging/9-0.lock"},
	}
}
