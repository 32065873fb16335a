package badgerstore

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// ScrubOptions say how to scrub.
type ScrubOptions struct {
	RateBytes int64 // a second, at most; 0: as fast as it goes
	Resume    bool  // go on where the last scrub ended early, if it did
}

// Scrubbed is what is known of the last scrub of a store, complete or not.
type Scrubbed struct {
	Begun    time.Time `json:"begun"`
	Ended    time.Time `json:"ended,omitzero"`     // zero: it is not complete
	Complete time.Time `json:"complete,omitzero"`  // when the last one that is began: nothing verified is older
	Bytes    int64     `json:"bytes"`              // verified
	Damage   int       `json:"damage"`             // findings
	Kind     uint8     `json:"next_kind,omitzero"` // of the blob to go on with
	Next     uint64    `json:"next,omitzero"`
}

const (
	scrubName = "scrub"
	// scrubNotedEvery is how often it is noted how far a scrub is.
	scrubNotedEvery = time.Minute
	// paceLagMax is how much a scrub that was kept waiting may catch up.
	paceLagMax = time.Second
)

// LastScrub is what is noted of the last scrub; the zero value if there was none.
func (e *Engine) LastScrub() (s Scrubbed, err error) {
	p, err := readFile(e.fs, e.path(scrubName))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil && json.Unmarshal(p, &s) != nil {
		s = Scrubbed{} // a crash has cut it off: it is only a note
	}
	return s, disk.Error("read note of scrub", err)
}

// Scrub reads every table of the key-value engine and every payload file that records refer to, past the page cache
// where there is no mapping, and compares them with their checksums. It reports all that is damaged or missing, and notes how far it came. Mutations
// go on; what goes meanwhile is not missed. The error is that of report, or of a scrub that could not be made to the end.
func (e *Engine) Scrub(ctx context.Context, opt ScrubOptions, progress Progress, report func(Finding) error) (Scrubbed, error) {
	if err := e.usable(ctx); err != nil {
		return Scrubbed{}, named("scrub", e.dir, err)
	}
	s := &scrubber{e: e, ctx: ctx, opt: opt, progress: progress, report: report}
	err := s.run()
	return s.state, named("scrub", e.dir, err)
}

// scrubber is one scrub.
type scrubber struct {
	e        *Engine
	ctx      context.Context // of the one call this lives for
	opt      ScrubOptions
	progress Progress
	report   func(Finding) error

	state Scrubbed
	noted time.Time
	begun time.Time // of the pace
	done  int64     // since then
	seen  int64     // of all
	total int64
}

func (s *scrubber) run() error {
	last, err := s.e.LastScrub()
	if err != nil {
		return err
	}
	now := s.e.clock()
	s.state = Scrubbed{Begun: now, Complete: last.Complete}
	if s.opt.Resume && last.Ended.IsZero() && last.Next != 0 {
		s.state = last
	}
	s.begun, s.noted = now, now
	tables, blobs, err := s.plan()
	if err == nil {
		err = s.tables(tables)
	}
	if err == nil {
		err = s.blobs(blobs)
	}
	if err == nil {
		s.state.Ended, s.state.Complete, s.state.Kind, s.state.Next = s.e.clock(), s.state.Begun, 0, 0
	}
	if noted := s.note(); err == nil {
		err = noted
	}
	return err
}

// plan is what is to be looked at, and how much it is.
func (s *scrubber) plan() (tables []uint64, blobs []blob.Ref, err error) {
	infos, err := s.e.tableInfos()
	for _, t := range infos {
		tables = append(tables, t.ID)
		s.total += int64(t.OnDiskSize)
	}
	if err != nil {
		return nil, nil, err
	}
	v := s.e.view()
	defer v.close()
	from := extent.Ref{Kind: extent.RefKind(s.state.Kind), ID: s.state.Next}
	err = v.scanKeys([]byte{record.TagRefs}, func(key []byte) (bool, error) {
		if len(key) < record.KeyBytesMin(record.TagRefs) {
			return true, nil // a check says so
		}
		r := extent.Ref{Kind: extent.RefKind(key[1]), ID: record.Number(key[1:])}
		if !isBlob(r.Kind) || byRef(r, from) < 0 {
			return true, cancelled(s.ctx)
		}
		ref := blobOf(r.Kind, r.ID)
		if info, err := s.e.fs.Stat(s.e.blobs.Path(ref)); err == nil {
			s.total += min(info.Size, info.BytesAllocated)
		}
		blobs = append(blobs, ref)
		return true, cancelled(s.ctx)
	})
	return tables, blobs, err
}

// tableInfos are the tables Badger has.
func (e *Engine) tableInfos() (tables []badger.TableInfo, err error) {
	defer e.caught(debug.SetPanicOnFault(true), &err)
	return e.db.Tables(), nil
}

// tables verifies the blocks of tables.
func (s *scrubber) tables(ids []uint64) error {
	for _, id := range ids {
		if err := cancelled(s.ctx); err != nil {
			return err
		}
		text, bytes, err := s.table(id)
		if err == nil && text != "" {
			err = s.found(Finding{Kind: FindingTable, Text: text})
		}
		if err == nil {
			err = s.pace(bytes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// table is what is wrong with a table; nothing if it was compacted meanwhile.
func (s *scrubber) table(id uint64) (text string, bytes int, err error) {
	info, err := s.e.fs.Stat(s.e.path(tableName(id)))
	var r tableReport
	if err == nil {
		r, err = inspectTable(s.e.path(badgerName), id, s.e.badgerOptions(nil), true)
	}
	infos, again := s.e.tableInfos()
	isThere := slices.ContainsFunc(infos, func(t badger.TableInfo) bool { return t.ID == id })
	switch {
	case again != nil || !isThere:
		return "", 0, again
	case errors.Is(err, fs.ErrNotExist):
		return tableName(id) + " is missing", 0, nil
	case r.unusable != "":
		return r.unusable, int(info.Size), err
	}
	return r.damaged, int(info.Size), err
}

// blobs verifies payload files.
func (s *scrubber) blobs(refs []blob.Ref) error {
	for _, ref := range refs {
		s.state.Kind, s.state.Next = uint8(kindOf(ref)), ref.ID
		if s.e.clock().Sub(s.noted) >= scrubNotedEvery {
			if err := s.note(); err != nil {
				return err
			}
		}
		if err := s.blob(ref); err != nil {
			return err
		}
	}
	return nil
}

func (s *scrubber) blob(ref blob.Ref) error {
	err := s.e.blobs.Scrub(s.ctx, ref, s.pace)
	if err == nil || readable(err) != nil {
		return err
	}
	if used, again := s.isUsed(ref); again != nil || !used {
		return again // it was removed meanwhile
	}
	path, _ := filepath.Rel(s.e.dir, s.e.blobs.Path(ref))
	f := Finding{Kind: FindingBytes, Text: reason(err) + ", in " + path}
	if _, statErr := s.e.fs.Stat(s.e.blobs.Path(ref)); errors.Is(statErr, fs.ErrNotExist) {
		f.Kind = FindingMissing
	}
	return s.found(f)
}

// isUsed reports whether records refer to a blob now.
func (s *scrubber) isUsed(ref blob.Ref) (bool, error) {
	v := s.e.view()
	defer v.close()
	refs, err := v.refs(extent.Ref{Kind: extent.RefKind(kindOf(ref)), ID: ref.ID})
	if readable(err) != nil {
		return false, err
	}
	return err != nil || refs.Count > 0, nil
}

// found reports damage.
func (s *scrubber) found(f Finding) error {
	s.state.Damage++
	return s.report(f)
}

// pace tells what was read, and waits until more may be.
func (s *scrubber) pace(bytes int) error {
	s.state.Bytes += int64(bytes)
	s.seen += int64(bytes)
	s.done += int64(bytes)
	if s.progress != nil {
		s.progress(s.seen, max(s.total, s.seen))
	}
	if s.opt.RateBytes <= 0 {
		return nil
	}
	now := s.e.clock()
	due := s.begun.Add(time.Duration(float64(s.done) / float64(s.opt.RateBytes) * float64(time.Second)))
	if now.Sub(due) > paceLagMax {
		s.begun, s.done = now, 0
	}
	if !due.After(now) {
		return nil
	}
	waited := make(chan struct{})
	s.e.after(due.Sub(now), func() { close(waited) })
	select {
	case <-waited:
		return nil
	case <-s.ctx.Done():
		return cancelled(s.ctx)
	}
}

// note writes down how far the scrub is. It is not synced: who finds it cut off begins anew.
func (s *scrubber) note() error {
	s.noted = s.e.clock()
	if s.e.opt.ReadOnly {
		return nil
	}
	p, err := json.Marshal(s.state)
	if err != nil {
		return problemOf("the scrub cannot be noted", err)
	}
	fresh := s.e.path(scrubName + ".new")
	if err := s.e.fs.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return disk.Error("note scrub", err)
	}
	f, err := s.e.fs.Create(fresh)
	if err != nil {
		return disk.Error("note scrub", err)
	}
	err = errors.Join(writeAll(f, slices.Concat(p, []byte("\n"))), f.Close())
	return disk.Error("note scrub", errors.Join(err, s.e.fs.Rename(fresh, s.e.path(scrubName))))
}
