package s3store

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/etagfs/etagfs/objstore"
)

// kindOf is what an error of the SDK means for a mutation: whatever may have reached the store and was not answered
// for certain is ErrUnknown.
func kindOf(err error) objstore.Kind {
	var kind objstore.Kind
	if errors.As(err, &kind) {
		return kind
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return kindOfSilence(err)
	}
	switch api.ErrorCode() {
	case "EntityTooLarge", "KeyTooLongError":
		return objstore.ErrTooLarge
	case "BucketNotEmpty": // of a directory
		return objstore.ErrNotEmpty
	case "NoSuchUpload": // no lost condition: the object was not looked at
		return objstore.ErrUnavailable
	}
	var reply *smithyhttp.ResponseError
	if !errors.As(err, &reply) {
		return objstore.ErrUnknown
	}
	return kindOfStatus(reply.HTTPStatusCode())
}

func kindOfStatus(status int) objstore.Kind {
	switch status {
	case http.StatusNotFound:
		return objstore.ErrNotFound
	case http.StatusPreconditionFailed, http.StatusNotModified:
		return objstore.ErrPrecondition
	case http.StatusConflict:
		return objstore.ErrConflict
	case http.StatusUnauthorized, http.StatusForbidden:
		return objstore.ErrPermission
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return objstore.ErrUnsupported
	case http.StatusRequestEntityTooLarge:
		return objstore.ErrTooLarge
	case http.StatusRequestedRangeNotSatisfiable:
		return objstore.ErrRange
	case http.StatusInsufficientStorage:
		return objstore.ErrNoSpace
	}
	if status >= 400 && status < 500 {
		return objstore.ErrInvalid
	}
	return objstore.ErrUnknown
}

// kindOfSilence is of errors without an answer. Only what was not sent, or did not connect, is known to have done nothing.
func kindOfSilence(err error) objstore.Kind {
	var (
		dial     *net.OpError
		send     *smithyhttp.RequestSendError
		garbled  *smithy.DeserializationError
		answered *smithyhttp.ResponseError
		canceled *aws.RequestCanceledError
	)
	switch {
	case errors.As(err, &dial) && dial.Op == "dial":
		return objstore.ErrUnavailable
	case errors.As(err, &answered) && answered.HTTPStatusCode() >= 400: // with a text that cannot be read
		return kindOfStatus(answered.HTTPStatusCode())
	case errors.As(err, &send), errors.As(err, &garbled), errors.As(err, &answered), errors.As(err, &canceled),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return objstore.ErrUnknown
	}
	return objstore.ErrUnavailable
}

// readError describes a failed read: nothing was at stake, so what is unknown is unavailable.
func readError(op string, key objstore.Key, err error) error {
	kind := kindOf(err)
	if kind == objstore.ErrUnknown || kind == objstore.ErrConflict {
		kind = objstore.ErrUnavailable
	}
	return &objstore.Error{Op: op, Key: string(key), Kind: kind, Err: err}
}

func writeError(op string, key objstore.Key, kind objstore.Kind, err error) error {
	return &objstore.Error{Op: op, Key: string(key), Kind: kind, Err: err}
}

func refusal(op string, key objstore.Key, kind objstore.Kind, detail string) error {
	return &objstore.Error{Op: op, Key: string(key), Kind: kind, Detail: detail}
}
