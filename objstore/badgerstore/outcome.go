package badgerstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

const (
	// outcomeFor is how long an outcome can be asked for again by its write id.
	outcomeFor = 24 * time.Hour
	// writeIDBytesMax is the longest write id: it is part of keys.
	writeIDBytesMax = 1024
	// expireAtOnce is how many outcomes a write takes away that are too old.
	expireAtOnce = 4
)

// outcome runs f, which does what ask is a digest of, unless an earlier call with the same write id has done so:
// then it returns what became of that. Applied mutations and lost conditions are
// outcomes; other failures are not.
func (b *Bucket) outcome(t *tx, id string, ask func() [16]byte, f func() (*record.Object, []byte, error)) (*record.Object, []byte, error) {
	if id == "" {
		return f()
	}
	if len(id) > writeIDBytesMax {
		return nil, nil, problem(objstore.ErrInvalid, "the write id is longer than %d bytes", writeIDBytesMax)
	}
	request := ask()
	key := record.OutcomeKey(b.root, id)
	value, err := t.get(key)
	if err != nil {
		return nil, nil, err
	}
	if old, ok := value.(*record.Outcome); ok {
		if old.Request != request {
			return nil, nil, &objstore.Error{Kind: objstore.ErrInvalid, Err: objstore.WriteIDReused}
		}
		return old.Object, old.Extra, outcomeError(old)
	}
	o, extra, err := f()
	if err != nil && !objstore.IsLostCondition(err) {
		return nil, nil, err
	}
	if err != nil {
		t.rollback()
		t.keep = true
	}
	if serr := t.storeOutcome(key, id, b.root, newOutcome(request, o, extra, err)); serr != nil {
		return nil, nil, serr
	}
	return o, extra, err
}

func newOutcome(request [16]byte, o *record.Object, extra []byte, err error) *record.Outcome {
	out := &record.Outcome{Request: request, Kind: objstore.KindOf(err), Extra: extra}
	if err == nil && o != nil {
		clone := o.Clone()
		clone.Content.Root = nil // a memory of the content, not a reference to it
		if o.Links == 0 && !o.IsDir() {
			clone.Links = 1
		}
		out.Object = clone
	}
	if e, ok := err.(*objstore.Error); ok {
		out.Winner = string(e.Winner)
	}
	return out
}

func outcomeError(o *record.Outcome) error {
	if o.Kind == 0 {
		return nil
	}
	return &objstore.Error{Kind: o.Kind, Winner: objstore.ETag(o.Winner)}
}

// storeOutcome notes an outcome and forgets a few that are too old.
func (t *tx) storeOutcome(key []byte, id string, root uint64, o *record.Outcome) error {
	t.set(key, o)
	expiry := record.ExpiryKey(t.now.Unix(), root, id)
	t.set(expiry, raw(record.EncodeExpiry(expiry)))
	return t.forgetOutcomes()
}

// forgetOutcomes forgets the oldest outcomes, if they are too old. It looks from where it found the first
// the last time: Badger remembers what was forgotten before that for long, and would walk through all of it.
func (t *tx) forgetOutcomes() error {
	prefix := record.ExpiryPrefix()
	from := &t.e.committer.expireFrom
	if *from == nil {
		*from = prefix
	}
	n := 0
	return t.ov.base.scanFrom(prefix, *from, func(key []byte, _ any) (bool, error) {
		if n == 0 {
			*from = bytes.Clone(key)
		}
		second, root, id := record.ParseExpiryKey(key)
		if n == expireAtOnce || t.now.Unix()-second <= int64(outcomeFor/time.Second) {
			return false, nil
		}
		n++
		t.set(bytes.Clone(key), nil)
		t.set(record.OutcomeKey(root, id), nil)
		return true, nil
	})
}

// once is outcome for mutations of the flat store.
func (b *Bucket) once(t *tx, id string, ask func() [16]byte, f func() (*record.Object, error)) (objstore.Info, error) {
	o, _, err := b.outcome(t, id, ask, func() (*record.Object, []byte, error) {
		o, err := f()
		return o, nil, err
	})
	if err != nil || o == nil {
		return objstore.Info{}, err
	}
	return objectInfoOf(o), nil
}

// appendAll is an unambiguous encoding of parts.
func appendAll(p []byte, parts ...any) []byte {
	for _, part := range parts {
		text := fmt.Sprint(part)
		p = binary.AppendUvarint(p, uint64(len(text)))
		p = append(p, text...)
	}
	return p
}
