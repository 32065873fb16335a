package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/marks"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// recover finds the last commit up to which every batch is whole and takes back
// what came after it: survivors are a prefix of the commits.
//
// A power loss can leave a hole: logs and blobs are written to the disk in any
// order, so a batch may be missing although later ones are there. Every batch
// writes a version of the sequence record, at its timestamp, that lists its blobs.
func (e *Engine) recover(ctx context.Context) error {
	e.numbers = newNumbers(e.marks)
	e.inFlight.numbers, e.inFlight.ids = e.numbers, map[uint64]bool{}
	m := e.marks.Get()
	top := e.db.MaxVersion()
	e.found = top
	if err := e.checkMark(m.Durable, top); err != nil {
		return err
	}
	good := min(m.Durable, top)
	for good < top {
		whole, err := e.isWhole(ctx, good+1)
		if err != nil {
			return err
		}
		if !whole {
			break
		}
		good++
	}
	e.published.Store(good)
	last, _, err := e.sequenceAt(good)
	if err != nil && !(e.opt.repairing && objstore.KindOf(err) == objstore.ErrCorrupt) {
		return err
	}
	e.objects.Store(int64(last.Objects))
	if e.opt.ReadOnly {
		return nil
	}
	if good < top {
		e.log.Warn("taking back commits after a gap", "last whole", good, "newest", top)
		if top, err = e.takeBack(good, top, last.Objects); err != nil {
			return err
		}
		e.published.Store(top)
	}
	return e.settleRecovery(m, top)
}

// checkMark refuses a log that ends before the durable mark.
func (e *Engine) checkMark(mark, top uint64) error {
	if mark == 0 {
		return nil
	}
	_, found, err := e.sequenceAt(mark)
	if e.opt.repairing && readable(err) == nil {
		return nil // it is a finding like others
	}
	if err != nil {
		return err
	}
	if found == mark {
		return nil
	}
	detail := fmt.Sprintf("the log ends at commit %d, but commits up to %d were durable: %d are lost",
		min(found, top), mark, mark-min(found, top))
	if e.logDamage != "" {
		detail += ", as " + e.logDamage
	}
	return e.refuseDamage(detail)
}

// sequenceAt is the last sequence record up to ts, and its timestamp; 0: none.
func (e *Engine) sequenceAt(ts uint64) (s record.Sequence, found uint64, err error) {
	defer e.caught(debug.SetPanicOnFault(true), &err)
	txn := e.db.NewTransactionAt(ts, false)
	defer txn.Discard()
	key := record.SequenceKey()
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return s, 0, nil
	}
	var p []byte
	if err == nil {
		p, err = item.ValueCopy(nil)
	}
	if err != nil {
		return s, 0, &objstore.Error{Kind: objstore.ErrUnavailable, Err: err}
	}
	s, err = record.DecodeSequence(key, p)
	return s, item.Version(), err
}

// isWhole reports whether the batch at ts is there with all its blobs.
func (e *Engine) isWhole(ctx context.Context, ts uint64) (bool, error) {
	s, found, err := e.sequenceAt(ts)
	if objstore.KindOf(err) == objstore.ErrCorrupt || err == nil && found != ts {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, b := range s.Blobs {
		ref := blobOf(extent.RefKind(b.Kind), b.ID)
		err := e.blobs.Verify(ctx, ref, b.Check)
		if objstore.KindOf(err) == objstore.ErrCorrupt {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		e.blobs.Found(ref) // it may be whole in the page cache only
	}
	return true, nil
}

// takeBack gives every key changed after the commit good the value it had then,
// in new commits after top, and returns the last of them.
func (e *Engine) takeBack(good, top, objects uint64) (uint64, error) {
	keys, err := e.changedAfter(good, top)
	if err != nil {
		return 0, err
	}
	then := e.db.NewTransactionAt(good, false)
	defer then.Discard()
	for {
		top++
		txn := e.db.NewTransactionAt(top, true)
		part := newLogPart(top)
		n, err := e.restore(txn, &part, then, keys)
		if err == nil {
			key := record.SequenceKey()
			p := record.EncodeSequence(key, record.Sequence{Objects: objects})
			part.add(len(key), len(p))
			err = txn.Set(key, p)
		}
		if err == nil {
			err = e.logBlocks.reserve(part.bytesMax)
		}
		if err == nil {
			err = e.logBlocks.touch(part)
		}
		if err == nil {
			err = errors.Join(txn.CommitAt(top, nil), e.logBlocks.wrote(part))
		}
		txn.Discard()
		if err != nil {
			return 0, problemOf("commits cannot be taken back", err)
		}
		if keys = keys[n:]; len(keys) == 0 {
			return top, nil
		}
	}
}

// changedAfter is every key with a version after good, but for sequence records.
func (e *Engine) changedAfter(good, top uint64) (keys [][]byte, err error) {
	defer e.caught(debug.SetPanicOnFault(true), &err)
	txn := e.db.NewTransactionAt(top, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{AllVersions: true, SinceTs: good})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		key := it.Item().Key()
		isSequence := bytes.Equal(key, record.SequenceKey())
		if isSequence || len(keys) > 0 && bytes.Equal(keys[len(keys)-1], key) {
			continue
		}
		keys = append(keys, bytes.Clone(key))
	}
	return keys, nil
}

// restore adds older values to a transaction and part, as many as go in.
func (e *Engine) restore(txn *badger.Txn, part *logPart, then *badger.Txn, keys [][]byte) (n int, err error) {
	defer e.caught(debug.SetPanicOnFault(true), &err)
	size := 0
	for n < len(keys) && n < e.batchKeysMax && size < e.batchBytesMax/2 {
		var p []byte
		item, err := then.Get(keys[n])
		switch {
		case errors.Is(err, badger.ErrKeyNotFound):
			err = txn.Delete(keys[n])
		case err == nil:
			if p, err = item.ValueCopy(nil); err == nil {
				err = txn.Set(keys[n], p)
			}
		}
		if err != nil {
			return n, err
		}
		part.add(len(keys[n]), len(p))
		size += len(keys[n]) + len(p)
		n++
	}
	return n, nil
}

// newBadgerLogs are the logs Badger has now. What was found when the store was opened is in
// older ones than that in use.
func (e *Engine) newBadgerLogs() *badgerLogs {
	return newBadgerLogs(e.fs, e.path(badgerName), e.logBlocks.active.number, e.found, e.logBlocks.steps.Load)
}

// settleRecovery makes the state that was found durable, so that the mark may say so.
func (e *Engine) settleRecovery(m marks.Marks, top uint64) error {
	if m.Durable == top {
		return nil
	}
	logs := e.newBadgerLogs()
	err := errors.Join(e.blobs.Sync(), logs.sync(top), logs.close())
	if err != nil {
		return err
	}
	return e.marks.Update(true, func(m *marks.Marks) { m.Durable = top })
}

// sweepBlobs removes blobs that never became part of a commit, and directories that removed ones have left empty.
func (e *Engine) sweepBlobs() error {
	low := e.marks.Get().LowBlob
	return errors.Join(e.blobs.Orphans(low, e.removeUnused), e.blobs.Prune(low))
}

// removeUnused removes a blob unless a record refers to it: a commit may have been
// applied though its caller was told of a failure, and what was kept stays whatever becomes of
// later commits of its stage. In doubt the sweep of the next open decides.
func (e *Engine) removeUnused(ref blobRef) error {
	if e.closed.Load() || e.committer.hasFailed() {
		return nil
	}
	v := e.view()
	defer v.close()
	refs, err := v.refs(extent.Ref{Kind: extent.RefKind(kindOf(ref)), ID: ref.ID})
	if err != nil || refs.Count > 0 {
		return err
	}
	return e.blobs.Remove(ref)
}
