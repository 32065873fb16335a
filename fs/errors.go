package fs

import (
	"errors"

	"github.com/etagfs/etagfs/objstore"
)

// Kind classifies the failures that exist only here. All others keep the
// [objstore.Kind] the store gave them: ErrNotFound, ErrNotDir, ErrNoSpace, ...
// The list is closed. Kinds are errors, so errors.Is works through any wrapping.
type Kind uint8

// The kinds.
const (
	ErrBusy         Kind = iota + 1 // another commit came first; the bytes are kept
	ErrExists                       // the name is taken and absence was demanded
	ErrStale                        // the view is not what such an operation may use now: look up again
	ErrNameTooLong                  // a name over [objstore.NameBytesMax] bytes
	ErrLoop                         // a symlink where a file was needed
	ErrNoXattr                      // no such extended attribute
	ErrCrossMount                   // a rename or link between the control directory and the rest
	ErrNotPermitted                 // no caller may do that, or not this one
	ErrBadHandle                    // the handle was opened for other things, or is released
	ErrTextBusy                     // what runs is not written, and what is being written is not run
	kindEnd
)

// Error is the kind in words.
func (k Kind) Error() string {
	switch k {
	case ErrBusy:
		return "another commit came first"
	case ErrExists:
		return "exists"
	case ErrStale:
		return "stale view"
	case ErrNameTooLong:
		return "name too long"
	case ErrLoop:
		return "is a symlink"
	case ErrNoXattr:
		return "no such attribute"
	case ErrCrossMount:
		return "crosses into the control directory"
	case ErrNotPermitted:
		return "not permitted"
	case ErrBadHandle:
		return "handle cannot do that"
	case ErrTextBusy:
		return "text file busy"
	default:
		return "unclassified"
	}
}

// Kinds lists every kind, for tables that must be complete.
func Kinds() []Kind {
	all := make([]Kind, 0, kindEnd-1)
	for k := Kind(1); k < kindEnd; k++ {
		all = append(all, k)
	}
	return all
}

// Error is an operation that failed with a kind of this package.
type Error struct {
	Op   string
	Path string // path or name; may be empty
	Kind Kind
	Kept objstore.ConflictID // with ErrBusy: where the bytes are
	Err  error               // cause; may be nil
}

// Error is "op path: kind: kept as id: cause", without the parts that are empty.
func (e *Error) Error() string {
	s := e.Op
	if e.Path != "" {
		s += " " + e.Path
	}
	s += ": " + e.Kind.Error()
	if e.Kept != "" {
		s += ": kept as " + string(e.Kept)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap yields the kind alone: the cause explains the failure and does not
// classify it, or a lost condition would be found beside ErrBusy.
func (e *Error) Unwrap() error { return e.Kind }

// KindOf is the kind of err if it is one of this package, else 0. Ask it before [objstore.KindOf].
func KindOf(err error) Kind {
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	return 0
}

// reported is a failure that has its line in the log. It is of the kind of the one it wraps.
type reported struct{ error }

// Unwrap yields the failure.
func (e reported) Unwrap() error { return e.error }

// IsReported says whether this package has written err to the log: who answers with it has nothing to add.
func IsReported(err error) bool {
	var r reported
	return errors.As(err, &r)
}
