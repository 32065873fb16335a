package s3store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
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
	if kind := kindOfCode(api.ErrorCode()); kind != 0 {
		return kind
	}
	var reply *smithyhttp.ResponseError
	if !errors.As(err, &reply) {
		return objstore.ErrUnknown
	}
	return kindOfStatus(reply.HTTPStatusCode())
}

// kindOfCode is of the codes that say more than their status; 0: the status says it.
func kindOfCode(code string) objstore.Kind {
	switch code {
	case "EntityTooLarge", "KeyTooLongError", "MetadataTooLarge":
		return objstore.ErrTooLarge
	case "BucketNotEmpty": // of a directory
		return objstore.ErrNotEmpty
	case "XMinioParentIsObject", "ObjectParentIsFile": // of stores that keep keys as paths
		return objstore.ErrNotDir
	case "XMinioObjectExistsAsDirectory", "ExistingObjectIsDirectory": // the latter also if somebody took its directory away just then
		return objstore.ErrIsDir
	case "NoSuchUpload": // no lost condition: the object was not looked at
		return objstore.ErrUnavailable
	case "XAdminUserNotFound": // of versitygw: of the access key
		return objstore.ErrPermission
	case "InvalidWriteOffset":
		return objstore.ErrRange
	case "XMinioStorageFull", "QuotaExceeded":
		return objstore.ErrNoSpace
	}
	if isLater(code) {
		return objstore.ErrUnavailable
	}
	return 0
}

// isLater reports whether a code says that nothing was done and the request may come again. Not every 503 does: MinIO's
// SlowDownWrite also stands for a write that reached too few disks, and gateways answer for a store they did ask.
func isLater(code string) bool {
	switch code {
	case "SlowDown", "ServiceUnavailable", "Busy", "BandwidthLimitExceeded", "RequestTimeout", "RequestLimitExceeded",
		"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException", "TooManyRequests",
		"TooManyRequestsException", "ProvisionedThroughputExceededException":
		return true
	}
	return false
}

// mayComeAgain reports whether the store did nothing and asks to be asked later.
func mayComeAgain(err error) bool {
	if isLater(codeOf(err)) {
		return true
	}
	var reply *smithyhttp.ResponseError
	if errors.As(err, &reply) {
		status := reply.HTTPStatusCode()
		return status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
	}
	return notConnected(err)
}

func notConnected(err error) bool {
	var dial *net.OpError
	var name *net.DNSError
	return errors.As(err, &dial) && dial.Op == "dial" && !(errors.As(err, &name) && name.IsNotFound)
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
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		return objstore.ErrUnavailable
	}
	if status >= 300 && status < 500 {
		return objstore.ErrInvalid
	}
	return objstore.ErrUnknown
}

// kindOfSilence is of errors without an answer. Only what was not sent, or did not connect, is known to have done nothing.
func kindOfSilence(err error) objstore.Kind {
	var (
		dial     *net.OpError
		signing  *v4.SigningError
		send     *smithyhttp.RequestSendError
		garbled  *smithy.DeserializationError
		answered *smithyhttp.ResponseError
		canceled *aws.RequestCanceledError
	)
	switch {
	case errors.As(err, &dial) && dial.Op == "dial":
		return objstore.ErrUnavailable
	case errors.As(err, &signing):
		return objstore.ErrPermission
	case errors.As(err, &answered) && answered.HTTPStatusCode() >= 300: // with a text that cannot be read
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
	if codeOf(err) == "IdempotencyParameterMismatch" {
		err = fmt.Errorf("%w: %w", objstore.WriteIDReused, err)
	}
	return &objstore.Error{Op: op, Key: string(key), Kind: kind, Err: err}
}

func refusal(op string, key objstore.Key, kind objstore.Kind, detail string) error {
	return &objstore.Error{Op: op, Key: string(key), Kind: kind, Detail: detail}
}
