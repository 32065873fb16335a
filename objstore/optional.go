package objstore

import (
	"context"
	"io"
	"time"
)

// Appender is what a [Store] whose [Capabilities] claim Append implements besides.
type Appender interface {
	// Append reads body to its end and then, if cond holds and the object is exactly offset bytes
	// long at that moment (ErrRange with the cause [OffsetMoved] otherwise), adds
	// the body to its end as a new version. A missing object is 0 bytes long, and
	// is made as by Put. An existing one keeps content type, metadata, headers and tags; what opt
	// says of those does not count. Digests that Finish returns are those of the whole new
	// content. Where the store claims PartialCommit this costs the body's size, not the object's.
	Append(ctx context.Context, key Key, offset int64, body io.Reader, cond Cond, opt PutOptions) (Info, error)
}

// Tagger is what a [Store] whose [Capabilities] claim Tags implements besides.
type Tagger interface {
	// SetTags replaces the tags of key; none removes them. Like all attributes they are never
	// conditional, keep the version and move MetaVersion. ErrNotFound if there is no object.
	SetTags(ctx context.Context, key Key, tags map[string]string, d Durability) (Info, error)
}

// Documents are small named texts that belong to a bucket, such as its policy, and go with it: what a
// [Store] whose [Capabilities] claim Documents implements besides. They are no objects. Changes are durable.
type Documents interface {
	// Document returns one; ErrNotFound if there is none.
	Document(ctx context.Context, name string) ([]byte, error)
	// SetDocument makes or replaces one; an empty text is one.
	SetDocument(ctx context.Context, name string, text []byte) error
	// DeleteDocument removes one, if it is there.
	DeleteDocument(ctx context.Context, name string) error
}

// Limits of a document: names are ErrInvalid, texts ErrTooLarge beyond them.
const (
	DocumentNameBytesMax = 64
	DocumentBytesMax     = 256 << 10
)

// Sharer is what a [Stage] implements besides that can have bytes of a committed version without moving them.
type Sharer interface {
	// Share makes n bytes of src, from an offset on, those of the stage from another on, and returns how many: fewer at the end of src, or
	// if it is much work. It is a change as a write is. src may be closed afterwards, and its version be replaced. ErrUnsupported
	// where src's bytes cannot be shared: they are to be written.
	Share(ctx context.Context, src Reader, from, n, to int64) (int64, error)
}

// Teller is what a [Namespace] implements besides whose changes are visible a moment before its watchers are told of them.
type Teller interface {
	// AwaitTold returns once watchers were told of every change that was visible before the call. They must not call it.
	AwaitTold()
}

// Answer is what the call with some write id returned.
type Answer struct {
	Info Info  // of a mutation that was applied; empty for a delete
	Err  error // the lost condition; nil: the mutation was applied
}

// Answers is what a [Store] whose [Capabilities] claim Answers implements besides. It keeps,
// durably and for a day, what became of every mutation with a write id that was applied or
// lost its condition. A repeated request gets the answer of the first by itself; this is for
// who does not want to send it again.
type Answers interface {
	// Answer finds out what became of writeID; ErrNotFound if nothing did.
	Answer(ctx context.Context, writeID string) (Answer, error)
}

// EventKind says what happened to an object as S3 sees it.
type EventKind uint8

// The events. A rename is EventRenamedFrom and then EventRenamedTo.
const (
	EventPut         EventKind = iota + 1 // by a put, an append, or a commit through a Namespace
	EventCopy                             // by Copy
	EventComplete                         // by CompleteUpload
	EventRenamedTo                        // the object has this key now
	EventDelete                           // the object is gone, or this name of it
	EventRenamedFrom                      // the object had this key
)

// Event is one change of an object, seen by key. Attributes and tags make none. A rename of a
// directory is told once for the directory, with keys that end in "/", and not for what is below it.
type Event struct {
	Kind    EventKind
	Key     Key
	Other   Key // of a rename, the other key
	Time    time.Time
	Version Version // now, or last
	ETag    ETag
	Size    int64
}

// Feed is what a [Store] whose [Capabilities] claim Feed implements besides.
type Feed interface {
	// WatchObjects calls f for every event, in the order of their commits, after the change is
	// visible and before it is acknowledged to who made it. f must not block and must not call
	// the store. stop returns once f is not running.
	WatchObjects(f func(Event)) (stop func())
}

// Forgetter is what a [Namespace] implements besides that gives out its ids as it sees names, and remembers what each stands for.
type Forgetter interface {
	// OnCrowd has ask called whenever the namespace remembers more than most objects, and a quarter more than were left the last time
	// it forgot. ask must not block, nor call the namespace.
	OnCrowd(most int, ask func())
	// Forget takes back ids that used denies and that were told last before the call; they are not given out again. settle is called
	// first, and returns once used knows of every id that was told before and that anybody may still use. used must not call the
	// namespace. For one caller at a time.
	Forget(settle func(), used func(ID) bool)
}
