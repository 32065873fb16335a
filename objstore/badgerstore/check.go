package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// CheckOptions say what to look at besides the records and the names of files.
type CheckOptions struct {
	// Payload: every byte of every content, as the disk has it, against its checksums, digests and hash.
	Payload bool
	// Progress, if any, is told how far each walk is.
	Progress Progress `json:"-"`
}

// Check walks everything in the store and reports what is wrong, in the same order every time. It changes
// nothing. The error is that of report, or of a check that could not be made to the end; a store full of findings
// is none. A store that is to be checked without being repaired first is opened with Options.ReadOnly.
//
// It looks at one state, that of the beginning, and mutations go on meanwhile; garbage waits. What comes
// and goes meanwhile is not reported. Memory: 32 bytes for every page and payload, up to 64 MiB. A store
// that has more of them is walked once more for every further million.
func (e *Engine) Check(ctx context.Context, opt CheckOptions, report func(Finding) error) error {
	err := e.usable(ctx)
	if err == nil {
		err = e.checkIn(ctx, opt, tallyMax, report)
	}
	return named("check store", e.dir, err)
}

// checkIn is Check with so many pages and payloads counted in one walk.
func (e *Engine) checkIn(ctx context.Context, opt CheckOptions, tallyMax int, report func(Finding) error) error {
	e.collector.working.Lock() // from before the state is chosen: what it has stays
	defer e.collector.working.Unlock()
	v := e.view()
	defer v.close()
	c := newChecker(ctx, v, opt, tallyMax)
	c.report = func(f Finding, _ cure) error { return report(f) }
	return c.whole()
}

func newChecker(ctx context.Context, v *view, opt CheckOptions, tallyMax int) *checker {
	return &checker{
		e: v.e, v: v, tree: tree{uncached{v}}, ctx: ctx, opt: opt, lease: v.e.marks.Get().Lease,
		roots: map[uint64]string{}, unlink: map[uint64]bool{}, uploads: map[uint64]bool{}, tally: tally{max: tallyMax},
		advance: advance{tell: opt.Progress},
	}
}

// checker is one check. A record that does not decode is reported where it is met in the walk over all
// records. What others say of it cannot be checked then, and what it may have used is not called garbage.
type checker struct {
	// Constant.
	e      *Engine
	v      *view
	tree   tree            // of v, past the cache
	ctx    context.Context // of the one call this lives for
	opt    CheckOptions
	report func(Finding, cure) error
	lease  uint64 // no number from this on has been given out

	roots    map[uint64]string // buckets by their root directories
	unlink   map[uint64]bool   // blobs that garbage says are to be removed
	uploads  map[uint64]bool   // by number
	tally    tally
	objects  uint64
	counted  uint64 // objects, as the last batch says
	outcomes int    // less the expiries
	dir      dirCount
	stopped  error  // of report: it is not called again
	damaged  uint64 // records that do not decode
	advance  advance
}

// uncached is a view of what Badger has, whatever the cache remembers.
type uncached struct{ *view }

func (u uncached) get(key []byte) (any, error) { return u.view.read(key) }

// whole is the check.
func (c *checker) whole() error {
	if err := c.run(); c.stopped == nil {
		return err
	}
	return c.stopped
}

// run makes the steps. Where Badger cannot go on reading there is nothing more to be found.
func (c *checker) run() error {
	err := c.steps()
	if objstore.KindOf(err) == objstore.ErrCorrupt && c.stopped == nil {
		return c.found(FindingRecord, "the check ends early: %s", reason(err))
	}
	return err
}

func (c *checker) steps() (err error) {
	defer c.e.caught(debug.SetPanicOnFault(true), &err)
	for _, step := range []func() error{c.expect, c.tables, c.sequence, c.records, c.strangers, c.counts, c.blobFiles, c.sessions} {
		if err := step(); err != nil {
			return err
		}
	}
	c.advance.end()
	return nil
}

// expect adds up what is to be read: the tables once for their checksums and once for the records in them, and the files of payloads.
func (c *checker) expect() error {
	if c.advance.tell == nil {
		return nil
	}
	_, tables, err := c.e.tableBytes()
	c.advance.total = 2 * tables
	if err == nil && c.opt.Payload {
		s := scrubber{e: c.e, ctx: c.ctx}
		_, _, err = s.plan()
		c.advance.total = tables + s.total
	}
	return err
}

// tell reports a finding, and what can be done about it.
func (c *checker) tell(f Finding, cure cure) error {
	f.Remedy = cure.remedy
	if c.stopped == nil && (f.Kind.IsDamage() || c.damaged == 0) {
		c.stopped = c.report(f, cure)
	}
	return c.stopped
}

// going is why the check cannot go on, or nil.
func (c *checker) going() error {
	if c.stopped != nil {
		return c.stopped
	}
	return cancelled(c.ctx)
}

// found reports a finding that is not about one object, and that nothing can be done about.
func (c *checker) found(kind FindingKind, format string, args ...any) error {
	return c.curable(cure{}, kind, format, args...)
}

// curable reports a finding that is not about one object.
func (c *checker) curable(cure cure, kind FindingKind, format string, args ...any) error {
	return c.tell(Finding{Kind: kind, Text: fmt.Sprintf(format, args...)}, cure)
}

// curableAt reports a finding about the object at p.
func (c *checker) curableAt(p place, cure cure, kind FindingKind, format string, args ...any) error {
	f := Finding{Kind: kind, Text: fmt.Sprintf(format, args...)}
	f.Bucket, f.Key = c.keyOf(p)
	return c.tell(f, cure)
}

// keyOf is the bucket and key of the entry at p; empty if no bucket leads there.
func (c *checker) keyOf(p place) (bucket string, key objstore.Key) {
	const deepest = 1 << 12 // directories may lead in a circle
	text := ""
	for range deepest {
		text = p.Stored + text
		if name, ok := c.roots[p.Parent]; ok {
			return name, objstore.Key(text)
		}
		parent, err := c.object(p.Parent)
		if err != nil || parent == nil {
			break
		}
		p = parent.Place
	}
	return "", ""
}

// readable is err unless it says that a record is damaged, which is reported where the walk meets it.
func readable(err error) error {
	if objstore.KindOf(err) == objstore.ErrCorrupt {
		return nil
	}
	return err
}

// object is what lives under an id; nil if there is none or only a place.
func (c *checker) object(id uint64) (*record.Object, error) {
	value, err := c.v.read(record.ObjectKey(id))
	o, _ := value.(*record.Object)
	return o, err
}

// sequence checks the marks and the last sequence record.
func (c *checker) sequence() error {
	mark := min(c.e.marks.Get().Durable, c.v.ts)
	_, at, err := c.e.sequenceAt(mark)
	if readable(err) != nil {
		return err
	}
	if at != mark {
		return c.curable(cureMark(), FindingMark, "the log ends at commit %d, but commits up to %d were durable", at, c.e.marks.Get().Durable)
	}
	return nil
}

// walkOrder is the records as the walk meets them: buckets first, which say where trees begin.
const walkOrder = "BCDEGLNOPQRSUVWX"

// records looks at each record in its own right and at those it has to do with, and counts references.
func (c *checker) records() error {
	for _, tag := range []byte(walkOrder) {
		if tag == record.TagPayload {
			continue // read with the contents that have them
		}
		err := c.walk(tag, func(key []byte, value any) error {
			c.refer(key, value)
			if err := c.numbers(key, value); err != nil {
				return err
			}
			return readable(c.record(key, value))
		})
		if err == nil && tag == record.TagEntry {
			err = readable(c.endDirectory())
		}
		if err != nil {
			return err
		}
	}
	return c.totals()
}

// walk calls f for the records with a tag that decode and reports the others.
func (c *checker) walk(tag byte, f func(key []byte, value any) error) error {
	at := c.v.cursor([]byte{tag})
	defer at.close()
	for at.seek([]byte{tag}); at.valid(); at.next() {
		if err := c.going(); err != nil {
			return err
		}
		c.advance.add(at.it.Item().EstimatedSize())
		key := at.it.Item().KeyCopy(nil)
		value, err := decodeWhole(key, at.it.Item())
		if objstore.KindOf(err) == objstore.ErrCorrupt {
			err = c.undecoded(key, err)
		} else if err == nil {
			err = f(key, value)
		}
		if err != nil {
			return err
		}
	}
	return at.err
}

// undecoded reports a record that does not decode. Its key counts.
func (c *checker) undecoded(key []byte, why error) error {
	c.damaged++
	if err := c.curable(cureRecord(key), FindingRecord, "%s: %s", keyText(key), reason(why)); err != nil {
		return err
	}
	if key[0] == record.TagEntry && len(key) >= record.KeyBytesMin(key[0]) {
		return readable(c.entryIn(key, strings.HasSuffix(record.EntryStored(key), "/")))
	}
	return nil
}

// reason is the innermost sentence of a damaged record.
func reason(err error) string {
	var e *objstore.Error
	if errors.As(err, &e) && e.Detail != "" {
		return e.Detail
	}
	return err.Error()
}

// decodeWhole is decodeItem that takes no key on trust and decodes what is used encoded.
func decodeWhole(key []byte, item *badger.Item) (any, error) {
	if len(key) < record.KeyBytesMin(key[0]) {
		return nil, damaged("its key is too short")
	}
	value, err := decodeItem(key, item)
	if err != nil {
		return value, err
	}
	return decodeRaw(key, value)
}

// decodeRaw decodes what is used encoded, and leaves other values as they are.
func decodeRaw(key []byte, value any) (any, error) {
	encoded, isRaw := value.(raw)
	if !isRaw {
		return value, nil
	}
	switch key[0] {
	case record.TagName:
		return value, record.DecodeName(key, encoded)
	case record.TagExpiry:
		return value, record.DecodeExpiry(key, encoded)
	case record.TagPayload, record.TagDocument:
		_, err := record.DecodePayload(key, encoded)
		return value, err
	default:
		return record.DecodeSequence(key, encoded)
	}
}

// keyText is a key for people.
func keyText(key []byte) string {
	if len(key) < max(1, record.KeyBytesMin(key[0])) {
		return fmt.Sprintf("record %c %q", key[0], key[1:])
	}
	switch key[0] {
	case record.TagEntry, record.TagConflict, record.TagOutcome, record.TagDocument, record.TagUpload:
		return fmt.Sprintf("record %c %d %q", key[0], record.Number(key), key[9:])
	case record.TagName, record.TagExpiry, record.TagPart, record.TagLayout:
		return fmt.Sprintf("record %c %d %x", key[0], record.Number(key), key[9:])
	case record.TagObject, record.TagPage, record.TagPayload, record.TagGarbage:
		return fmt.Sprintf("record %c %d", key[0], record.Number(key))
	case record.TagRefs:
		return fmt.Sprintf("record %c %d %d", key[0], key[1], record.Number(key[1:]))
	default:
		return fmt.Sprintf("record %c %q", key[0], key[1:])
	}
}

// record checks one record against those it has to do with.
func (c *checker) record(key []byte, value any) error {
	switch v := value.(type) {
	case record.Bucket:
		return c.bucket(record.BucketName(key), v)
	case *record.Conflict:
		return c.conflict(record.Number(key), v)
	case record.Ref:
		if err := c.entryIn(key, v.Dir); err != nil {
			return err
		}
		return c.ref(record.Place{Parent: record.Number(key), Stored: record.EntryStored(key)}, v)
	case record.Place:
		return c.placed(record.Number(key), v)
	case *record.Upload:
		return c.upload(key, v)
	case *record.Part:
		return c.part(key, v)
	case record.Layout:
		return c.layout(key, v)
	case *record.Object:
		c.objects++
		if err := c.partsOf(v); err != nil {
			return err
		}
		if key[0] == record.TagEntry {
			if err := c.entryIn(key, false); err != nil {
				return err
			}
			return c.embedded(v)
		}
		return c.free(v)
	case *record.Garbage:
		return c.garbage(record.Number(key), v)
	case record.Refs:
		if kind := extent.RefKind(key[1]); kind < extent.RefInline || kind > extent.RefPage {
			return c.curable(cureRecord(key), FindingRecord, "%s: it counts references to nothing there can be", keyText(key))
		}
	case record.Sequence:
		c.counted = v.Objects
	case *record.Outcome:
		c.outcomes++
	case raw:
		return c.keyOnly(key)
	}
	return nil
}

// keyOnly checks the records that have all they say in their keys.
func (c *checker) keyOnly(key []byte) error {
	switch key[0] {
	case record.TagDocument:
		return c.document(key)
	case record.TagName:
		return c.name(record.Number(key), record.NamePlace(key))
	case record.TagExpiry:
		c.outcomes--
		_, root, id := record.ParseExpiryKey(key)
		value, err := c.v.read(record.OutcomeKey(root, id))
		if err == nil && value == nil {
			err = c.curable(cureExpiry(key), FindingOutcome, "an expiry is of write %q, of which no outcome is known", id)
		}
		return err
	}
	return nil
}

// totals checks what only the whole walk can tell.
func (c *checker) totals() error {
	if c.damaged > 0 {
		return nil
	}
	if c.objects != c.counted {
		err := c.curable(cureTotal(c.objects), FindingTotal, "%d files and directories are counted and %d are there", c.counted, c.objects)
		if err != nil {
			return err
		}
	}
	if c.outcomes != 0 {
		return c.curable(cureOutcomes(), FindingOutcome, "there are %+d outcomes of writes more than expiries", c.outcomes)
	}
	return nil
}

// numbers reports numbers that have not been given out: they will be, once more.
func (c *checker) numbers(key []byte, value any) error {
	var all []uint64
	switch v := value.(type) {
	case *record.Object:
		all = []uint64{v.ID, v.Version, v.MetaVersion}
	case *record.Part:
		all = []uint64{v.ID}
	case *record.Garbage, *extent.Page:
		all = []uint64{record.Number(key)}
	}
	for _, n := range all {
		if n >= c.lease {
			return c.curable(cureNumber(n), FindingNumber, "%s has the number %d, but those from %d on are yet to be given out", keyText(key), n, c.lease)
		}
	}
	return nil
}

// strangers reports records of no known kind.
func (c *checker) strangers() error {
	for tag := range 256 {
		if record.KeyBytesMin(byte(tag)) > 0 {
			continue
		}
		err := c.v.scanKeys([]byte{byte(tag)}, func(key []byte) (bool, error) {
			return true, c.curable(cureRecord(key), FindingRecord, "%s: no records have such keys", keyText(key))
		})
		if err != nil {
			return err
		}
	}
	return nil
}
