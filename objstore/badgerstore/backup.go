package badgerstore

import (
	"bytes"
	"context"
	"iter"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/archive"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// Backup says what a backup has.
type Backup struct {
	ID          string    `json:"id"`
	Store       string    `json:"store"` // UUID
	Taken       time.Time `json:"taken"`
	Commit      uint64    `json:"commit"`
	Objects     uint64    `json:"objects"` // files and directories
	Blobs       uint64    `json:"blobs"`
	BlobBytes   uint64    `json:"blob_bytes"`
	RecordBytes int64     `json:"record_bytes"`

	// What the backups before did not have, in the answer of [Engine.Backup] alone.
	BlobsAdded int   `json:"blobs_added"`
	BytesAdded int64 `json:"bytes_added"`
}

// Backup adds a backup of the store to those in the directory dir, which it makes if it is absent or empty.
// BACKUP.md has the format. The backup is of the state after one commit, the last that was acknowledged before the
// call or a later one; mutations go on meanwhile, and garbage waits. What dir has already is not written again. All that is written
// is verified as it is read from the store: damage ends the backup with ErrCorrupt. A backup that does not come to
// its end leaves nothing that could be restored, and those before as they were.
func (e *Engine) Backup(ctx context.Context, dir string, progress Progress) (b Backup, err error) {
	if err := e.usable(ctx); err != nil {
		return b, named("backup", dir, err)
	}
	if err := outside(e.dir, dir); err != nil {
		return b, named("backup", dir, err)
	}
	a, err := archive.Create(e.fs, dir)
	if err != nil {
		return b, named("backup", dir, err)
	}
	m, b, err := e.backUp(ctx, a, progress)
	if err == nil {
		err = a.Finish(m)
	}
	if closed := a.Close(); err == nil {
		err = closed
	}
	b.ID = m.ID
	return b, named("backup", dir, err)
}

// outside refuses a directory of backups in a store, and the other way round: neither would be what it is any more.
func outside(store, dir string) error {
	var paths []string
	for _, path := range []string{store, dir} {
		full, err := filepath.Abs(path)
		if err != nil {
			return problemOf("it is not known where "+path+" is", err)
		}
		if parent, err := filepath.EvalSymlinks(filepath.Dir(full)); err == nil {
			full = filepath.Join(parent, filepath.Base(full))
		}
		if real, err := filepath.EvalSymlinks(full); err == nil {
			full = real
		}
		paths = append(paths, full+"/")
	}
	if strings.HasPrefix(paths[0], paths[1]) || strings.HasPrefix(paths[1], paths[0]) {
		return problem(objstore.ErrInvalid, "a store and its backups may not contain each other: choose directories beside each other")
	}
	return nil
}

// backingUp is one backup.
type backingUp struct {
	e        *Engine
	ctx      context.Context // of the one call this lives for
	a        *archive.Archive
	progress Progress

	m      *archive.Manifest
	report Backup
	blobs  []blob.Ref // in the order of the list
	done   int64
	total  int64
}

func (e *Engine) backUp(ctx context.Context, a *archive.Archive, progress Progress) (*archive.Manifest, Backup, error) {
	b := &backingUp{e: e, ctx: ctx, a: a, progress: progress, m: &archive.Manifest{}}
	resume := e.collector.pause() // from before the state is chosen: what it has stays
	defer resume()
	err := b.state()
	if err == nil {
		err = b.copyBlobs()
	}
	return b.m, b.report, err
}

// state copies the records of one state.
func (b *backingUp) state() error {
	v := b.e.view()
	defer v.close()
	m := b.m
	last, _, err := b.e.sequenceAt(v.ts)
	if err != nil {
		return err
	}
	m.Store, m.Taken, m.Commit, m.Objects = b.e.identity.uuid, b.e.clock(), v.ts, last.Objects
	cut := b.a.Cut()
	if err := b.records(v, cut); err != nil {
		return err
	}
	b.e.needs.Lock() // after the records: a feature is noted before the first that has it
	m.Needs = slices.Clone(b.e.identity.needs)
	b.e.needs.Unlock()
	m.Lease, m.Records = b.e.marks.Get().Lease, cut.Pieces
	b.report = Backup{Store: m.Store, Taken: m.Taken, Commit: m.Commit, Objects: m.Objects,
		RecordBytes: cut.Bytes, BytesAdded: cut.BytesAdded}
	return nil
}

// records adds every record, and notes the blobs they need.
func (b *backingUp) records(v *view, cut *archive.Cutter) (err error) {
	defer b.e.caught(debug.SetPanicOnFault(true), &err)
	at := v.cursor(nil)
	defer at.close()
	for at.seek(nil); at.valid(); at.next() {
		if err := cancelled(b.ctx); err != nil {
			return err
		}
		item := at.it.Item()
		key, err := item.KeyCopy(nil), error(nil)
		value, err := decodeWhole(key, item)
		if err != nil {
			return err
		}
		p, err := item.ValueCopy(nil)
		if err != nil {
			return err
		}
		if err := cut.AddRecord(key, p); err != nil {
			return err
		}
		b.note(key, value)
		b.tell(int64(len(p)))
	}
	if at.err != nil {
		return at.err
	}
	return cut.End()
}

// note enters a blob that is referred to. Those of records come in the order of the list.
func (b *backingUp) note(key []byte, value any) {
	refs, ok := value.(record.Refs)
	if !ok || key[0] != record.TagRefs || !isBlob(extent.RefKind(key[1])) || refs.Count == 0 {
		return
	}
	b.blobs = append(b.blobs, blobOf(extent.RefKind(key[1]), record.Number(key[1:])))
}

// tell says that so many bytes more were handled.
func (b *backingUp) tell(n int64) {
	b.done += n
	if b.progress != nil {
		b.progress(b.done, max(b.total, b.done))
	}
}

// copyBlobs copies the blobs the backups before do not have, and makes the list of all.
func (b *backingUp) copyBlobs() error {
	before, err := b.before()
	if err != nil {
		return err
	}
	defer before.stop()
	if err := b.estimate(); err != nil {
		return err
	}
	cut := b.a.Cut()
	for _, ref := range b.blobs {
		if err := cancelled(b.ctx); err != nil {
			return err
		}
		piece, err := b.piece(ref, before)
		if err != nil {
			return err
		}
		b.m.Blobs++
		b.m.BlobBytes += uint64(piece.Bytes)
		if err := cut.AddBlob(archive.Blob{ID: ref.ID, Bare: ref.Bare, Piece: piece}); err != nil {
			return err
		}
	}
	if err := cut.End(); err != nil {
		return err
	}
	b.m.BlobList = cut.Pieces
	b.report.Blobs, b.report.BlobBytes = b.m.Blobs, b.m.BlobBytes
	b.report.BytesAdded += cut.BytesAdded
	return nil
}

// estimate finds out how many bytes there are.
func (b *backingUp) estimate() error {
	b.total = b.done
	for _, ref := range b.blobs {
		info, err := b.e.fs.Stat(b.e.blobs.Path(ref))
		if err != nil {
			continue // who copies it says so
		}
		b.total += min(info.Size, info.BytesAllocated)
	}
	return cancelled(b.ctx)
}

// piece is what a blob is in, which is copied unless it is there.
func (b *backingUp) piece(ref blob.Ref, before *earlier) (piece archive.Piece, err error) {
	known, ok, err := before.find(ref)
	if err == nil && ok {
		ok, err = b.hasIt(ref, known)
	}
	if err != nil {
		return piece, err
	}
	if ok {
		b.tell(known.Bytes)
		return known, nil
	}
	draft, err := b.a.Begin()
	if err != nil {
		return piece, err
	}
	err = b.e.blobs.Export(b.ctx, ref, func(p []byte) error {
		_, err := draft.Write(p)
		b.tell(int64(len(p)))
		return err
	})
	if err != nil {
		_ = draft.Abort() // why it was given up is what is told
		return piece, err
	}
	piece, added, err := draft.Commit()
	if added {
		b.report.BlobsAdded++
		b.report.BytesAdded += piece.Bytes
	}
	return piece, err
}

// hasIt reports whether a blob is in a piece that is there. The number does not say that: a store may be a copy of
// that of the backup before, and have gone another way since.
func (b *backingUp) hasIt(ref blob.Ref, known archive.Piece) (bool, error) {
	if has, err := b.a.Has(known); err != nil || !has {
		return false, err
	}
	there, err := b.a.Open(known)
	if err != nil {
		return false, err
	}
	defer there.Close() // it was only read
	theirs, err := blob.PackedFoot(there, known.Bytes)
	if readable(err) != nil {
		return false, err
	}
	ours, err := b.e.blobs.Foot(ref)
	return bytes.Equal(ours, theirs), err
}

// earlier is the list of blobs of the backup before.
type earlier struct {
	next func() (archive.Blob, error, bool)
	stop func()
	at   archive.Blob
	ok   bool // there is one at at
}

// before is the newest backup. It may be that of another store, which was restored to be this one.
func (b *backingUp) before() (*earlier, error) {
	m, _, err := b.a.Newest()
	if err != nil {
		return nil, err
	}
	var list []archive.Piece
	if m != nil {
		list = m.BlobList
	}
	x := &earlier{}
	x.next, x.stop = iter.Pull2(b.a.EachBlob(list))
	return x, x.advance()
}

func (x *earlier) advance() (err error) {
	x.at, err, x.ok = x.next()
	if objstore.KindOf(err) == objstore.ErrCorrupt {
		x.ok, err = false, nil // blobs are copied once more: their pieces are looked for by digest anyway
	}
	return err
}

// find is the piece of a blob. It is called in the order of the list.
func (x *earlier) find(ref blob.Ref) (archive.Piece, bool, error) {
	want := archive.Blob{ID: ref.ID, Bare: ref.Bare}
	for x.ok && x.at.Before(want) {
		if err := x.advance(); err != nil {
			return archive.Piece{}, false, err
		}
	}
	if !x.ok || want.Before(x.at) {
		return archive.Piece{}, false, nil
	}
	return x.at.Piece, true, nil
}
