package objstore

import (
	"errors"
	"strings"
)

// Kind classifies a failure. The list is closed: a new kind is added only
// where a caller acts differently. Kinds are errors, so errors.Is(err,
// objstore.ErrNotFound) works through any wrapping.
type Kind uint8

// The kinds. Applied and Retry say what each means for a mutation.
// Stores keep their numbers: a new one goes to the end.
const (
	ErrNotFound     Kind = iota + 1 // no such object, name, bucket or conflict
	ErrPrecondition                 // the condition did not hold; includes "exists" where absence was demanded
	ErrConflict                     // another mutation is in flight; the same call may succeed now
	ErrUnknown                      // the mutation may or may not have been applied
	ErrUnavailable                  // the store cannot answer now, or stopped accepting writes
	ErrPermission                   // the caller may not
	ErrInvalid                      // the request makes no sense
	ErrUnsupported                  // this store cannot do that
	ErrTooLarge                     // object, key or name over a limit
	ErrNoSpace                      // the space the store may use is used
	ErrRange                        // the range lies outside the object
	ErrCorrupt                      // stored bytes do not match their checksum, or a record vanished
	ErrNotDir                       // a directory was needed
	ErrIsDir                        // a directory was not expected
	ErrNotEmpty                     // the directory has entries
	ErrReadOnly                     // the store or bucket takes no mutations
	ErrInUse                        // another process owns the store
	ErrNewerFormat                  // written by a newer version of this program
	ErrClosed                       // used after Close
	kindEnd
)

// Outcome says whether a failed mutation was applied.
type Outcome uint8

// The three outcomes of a failed mutation. Unknown is resolved, never guessed.
const (
	NotApplied Outcome = iota
	Applied
	OutcomeUnknown
)

// Retry says what a caller may do about a failure.
type Retry uint8

// The answers to "may I try again?".
const (
	RetryNo          Retry = iota
	RetrySame              // the same call, later or at once
	RetryAfterReread       // after reading the current state
	RetryResolve           // only after finding out what became of the first
)

type kindRow struct {
	text    string
	applied Outcome
	retry   Retry
}

func (k Kind) row() kindRow {
	switch k {
	case ErrNotFound:
		return kindRow{"not found", NotApplied, RetryNo}
	case ErrPrecondition:
		return kindRow{"condition failed", NotApplied, RetryAfterReread}
	case ErrConflict:
		return kindRow{"conflicting operation in flight", NotApplied, RetrySame}
	case ErrUnknown:
		return kindRow{"outcome unknown", OutcomeUnknown, RetryResolve}
	case ErrUnavailable:
		return kindRow{"unavailable", NotApplied, RetrySame}
	case ErrPermission:
		return kindRow{"permission denied", NotApplied, RetryNo}
	case ErrInvalid:
		return kindRow{"invalid", NotApplied, RetryNo}
	case ErrUnsupported:
		return kindRow{"not supported", NotApplied, RetryNo}
	case ErrTooLarge:
		return kindRow{"too large", NotApplied, RetryNo}
	case ErrNoSpace:
		return kindRow{"no space", NotApplied, RetryNo}
	case ErrRange:
		return kindRow{"range outside the object", NotApplied, RetryNo}
	case ErrCorrupt:
		return kindRow{"corrupt", NotApplied, RetryNo}
	case ErrNotDir:
		return kindRow{"not a directory", NotApplied, RetryNo}
	case ErrIsDir:
		return kindRow{"is a directory", NotApplied, RetryNo}
	case ErrNotEmpty:
		return kindRow{"directory not empty", NotApplied, RetryNo}
	case ErrReadOnly:
		return kindRow{"read-only", NotApplied, RetryNo}
	case ErrInUse:
		return kindRow{"in use", NotApplied, RetryNo}
	case ErrNewerFormat:
		return kindRow{"newer format", NotApplied, RetryNo}
	case ErrClosed:
		return kindRow{"closed", NotApplied, RetryNo}
	default:
		return kindRow{"unclassified", OutcomeUnknown, RetryNo}
	}
}

// Error is the kind in words.
func (k Kind) Error() string { return k.row().text }

// Applied says whether a mutation that failed with k took effect.
func (k Kind) Applied() Outcome { return k.row().applied }

// Retry says what may be done about k.
func (k Kind) Retry() Retry { return k.row().retry }

// Kinds lists every kind, for tables that must be complete.
func Kinds() []Kind {
	all := make([]Kind, 0, kindEnd-1)
	for k := Kind(1); k < kindEnd; k++ {
		all = append(all, k)
	}
	return all
}

// Error is a failed operation. Its message is one sentence that names the
// thing and, where there is one, the way out.
type Error struct {
	Op     string // "put", "lookup", "open store", ...
	Key    string // key, path or name the operation was about; may be empty
	Kind   Kind
	Detail string // the rest of the sentence; may be empty
	Winner ETag   // for a lost condition: what is there instead, if known
	Err    error  // cause; may be nil
}

// Error is "op key: detail: cause", without the parts that are empty. The kind
// stands in for a missing detail, unless the cause says the same.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Key != "" {
		b.WriteString(" " + e.Key)
	}
	var cause *Error
	switch {
	case e.Detail != "":
		b.WriteString(": " + e.Detail)
	case !errors.As(e.Err, &cause) || cause.Kind != e.Kind:
		b.WriteString(": " + e.Kind.Error())
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap yields the kind and the cause, so that errors.Is finds both.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// KindOf is the kind of err: that of the outermost [*Error] or [Kind] in its
// tree, or 0 when err is nil or was not classified. An unclassified failure of
// a mutation means its outcome is unknown.
func KindOf(err error) Kind {
	if err == nil {
		return 0 // without what errors.As takes from the heap: each good call comes by here
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	return 0
}

// IsLostCondition reports whether err says that a condition did not hold: the
// object differs, exists though absence was demanded, or is gone though presence was.
func IsLostCondition(err error) bool {
	k := KindOf(err)
	return k == ErrPrecondition || k == ErrNotFound
}
