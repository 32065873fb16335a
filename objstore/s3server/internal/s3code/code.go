package s3code

import (
	"errors"
	"net/http"

	"github.com/etagfs/etagfs/objstore"
)

func (c Code) row() codeRow {
	if c == 0 || c >= codeEnd {
		return codes[InternalError]
	}
	return codes[c]
}

// String is the name of the code as it stands in the error document.
func (c Code) String() string { return c.row().name }

// Error is the name of the code.
func (c Code) Error() string { return c.row().name }

// Status is the HTTP status that goes with the code.
func (c Code) Status() int { return c.row().status }

// Message is the text S3 says by default.
func (c Code) Message() string { return c.row().message }

// With is a refusal with this code; an empty message means the default one.
func (c Code) With(message string, details ...Detail) *Error {
	return &Error{Code: c, Message: message, Details: details}
}

// Codes lists every code in the order of their names.
func Codes() []Code {
	all := make([]Code, 0, codeEnd-1)
	for c := Code(1); c < codeEnd; c++ {
		all = append(all, c)
	}
	return all
}

// Parse finds a code by its name.
func Parse(name string) (Code, bool) {
	for c := Code(1); c < codeEnd; c++ {
		if codes[c].name == name {
			return c, true
		}
	}
	return 0, false
}

// Detail is an element of the error document beside code and message, like
// Key, Condition or Header.
type Detail struct {
	Name  string
	Value string
}

// Error is a refusal as S3 tells it.
type Error struct {
	Code    Code
	Message string   // empty: the default one
	Details []Detail // further elements, in this order
	Err     error    // cause, never shown to the client; may be nil
}

// Error is the code, what the client is told, and the cause.
func (e *Error) Error() string {
	text := e.Code.String() + ": " + e.Text()
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Text is the message for the client.
func (e *Error) Text() string {
	if e.Message != "" {
		return e.Message
	}
	return e.Code.Message()
}

// Unwrap yields the code and the cause, so that errors.Is finds both.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

// OfKind is the code for a kind of store failure where the operation has no
// better one: NoSuchBucket for a missing bucket, say.
func OfKind(k objstore.Kind) Code {
	switch k {
	case objstore.ErrNotFound:
		return NoSuchKey
	case objstore.ErrPrecondition:
		return PreconditionFailed
	case objstore.ErrConflict:
		return ConditionalRequestConflict
	case objstore.ErrUnavailable, objstore.ErrInUse, objstore.ErrClosed:
		return ServiceUnavailable
	case objstore.ErrPermission, objstore.ErrReadOnly:
		return AccessDenied
	case objstore.ErrInvalid:
		return InvalidArgument
	case objstore.ErrUnsupported:
		return NotImplemented
	case objstore.ErrTooLarge:
		return EntityTooLarge
	case objstore.ErrNoSpace:
		return InsufficientStorage
	case objstore.ErrRange:
		return InvalidRange
	case objstore.ErrNotDir:
		return ParentIsNotDirectory
	case objstore.ErrIsDir:
		return InvalidObjectName
	case objstore.ErrNotEmpty:
		return BucketNotEmpty
	default: // unknown outcomes, corruption, formats: the client can only try again
		return InternalError
	}
}

// Of is err as a refusal: the outermost [*Error] in it, else its [Code], else
// that of its store failure, else InternalError. It is nil for nil.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var c Code
	if errors.As(err, &c) {
		return &Error{Code: c, Err: err}
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &Error{Code: MaxMessageLengthExceeded, Err: err}
	}
	return &Error{Code: OfKind(objstore.KindOf(err)), Err: err}
}
