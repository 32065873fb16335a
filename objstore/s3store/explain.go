package s3store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/etagfs/etagfs/objstore"
)

// serverName is how a server of this program calls itself.
const serverName = "etagfs"

// contactTime is how long a store may take to answer the first request, with all its repetitions: somebody waits.
const contactTime = time.Minute

// contact asks for the first key: who cannot, learns why here.
func (s *Store) contact(ctx context.Context) (server string, err error) {
	ctx, cancel := context.WithTimeout(ctx, contactTime)
	defer cancel()
	out, err := again(ctx, s, func() (*s3.ListObjectsV2Output, error) {
		return s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: s.bucket(), Prefix: aws.String(s.prefix), MaxKeys: aws.Int32(1)})
	})
	if err == nil && aws.ToString(out.Name) == "" { // an answer to any question
		return "", refusal("open store", objstore.Key(s.opt.Bucket), objstore.ErrUnavailable, s.opt.where()+" does not answer like S3")
	}
	if err == nil {
		return replyHeader(out.ResultMetadata).Get("Server"), nil
	}
	if why := notS3(err); why != "" {
		return "", refusal("open store", objstore.Key(s.opt.Bucket), objstore.ErrUnavailable, s.opt.where()+" does not answer like S3: "+why)
	}
	var reply *smithyhttp.ResponseError
	if errors.As(err, &reply) {
		server = reply.Response.Header.Get("Server")
	}
	if codeOf(err) == "AccessDenied" { // who may not list may still read
		return server, nil
	}
	return server, err
}

// notS3 is what a refusal that is none of an S3 service says: its text has no code, so the SDK makes one of the status. Empty: it may be one.
func notS3(err error) string {
	var reply *smithyhttp.ResponseError
	if !errors.As(err, &reply) || reply.Response == nil || reply.HTTPStatusCode() < 300 || reply.Response.Header.Get("x-amz-bucket-region") != "" {
		return ""
	}
	text := http.StatusText(reply.HTTPStatusCode())
	if code := codeOf(err); code != "" && code != strings.ReplaceAll(text, " ", "") {
		return ""
	}
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorMessage() != text {
		return ""
	}
	why := strings.TrimSpace(fmt.Sprintf("%d %s", reply.HTTPStatusCode(), text))
	if reply.HTTPStatusCode() == http.StatusBadRequest {
		why += "; if it speaks TLS, write https://"
	}
	return why
}

// codeOf is the code of an answer, or "".
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// where is the service, for people.
func (o Options) where() string {
	if o.Endpoint == "" {
		return "AWS"
	}
	return o.Endpoint
}

// explained says in a sentence why a store cannot be opened, and what to do.
func explained(opt Options, err error) error {
	if objstore.KindOf(err) != 0 {
		return err
	}
	kind, detail := kindOf(err), opt.sentence(opt.where(), err)
	if kind == objstore.ErrUnknown || kind == objstore.ErrConflict {
		kind = objstore.ErrUnavailable // nothing was at stake
	}
	e := &objstore.Error{Op: "open store", Key: opt.Bucket, Kind: kind, Detail: detail}
	if detail == "" {
		e.Err = err
	}
	return e
}

// withoutCredentials is of requests nobody can sign.
func withoutCredentials(opt Options, err error) error {
	return &objstore.Error{
		Op: "open store", Key: opt.Bucket, Kind: objstore.ErrPermission, Err: err,
		Detail: "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or add anonymous=true to the URL",
	}
}

// sentence is of the reasons people meet; empty: another one.
func (o Options) sentence(where string, err error) string {
	switch codeOf(err) {
	case "NoSuchBucket":
		return where + " has no bucket " + o.Bucket + "; create it, or look for a typing error"
	case "InvalidBucketName":
		return o.Bucket + " is no name of a bucket, says " + where + ": it has 3 to 63 lower-case letters, digits, hyphens and dots"
	case "InvalidAccessKeyId", "XAdminUserNotFound":
		return where + " does not know the access key; see AWS_ACCESS_KEY_ID or the profile"
	case "SignatureDoesNotMatch":
		return "the secret key does not belong to the access key, says " + where + "; see AWS_SECRET_ACCESS_KEY"
	case "ExpiredToken", "InvalidToken":
		return "the session token is not valid (any more); get new credentials"
	case "AccessDenied", "AllAccessDisabled":
		return "these credentials may not do that with bucket " + o.Bucket + writing(err)
	case "RequestTimeTooSkewed":
		return "the clocks of this machine and of " + where + " differ by more than 15 minutes; set the clock"
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException":
		return "the bucket is in another region" + regionOf(err) + "; add ?region=NAME to the URL"
	case "":
		return o.sentenceOfSilence(where, err)
	}
	return ""
}

// regionOf is where the answer says the bucket is.
func regionOf(err error) string {
	var reply *smithyhttp.ResponseError
	if errors.As(err, &reply) {
		if region := reply.Response.Header.Get("x-amz-bucket-region"); region != "" {
			return ", " + region
		}
	}
	return ""
}

// writing is what to do about a write that is not allowed; empty: it was none.
func writing(err error) string {
	var request *smithy.OperationError
	if !errors.As(err, &request) {
		return ""
	}
	switch request.OperationName {
	case "PutObject", "DeleteObject", "CreateMultipartUpload":
		return ": " + request.OperationName + " is refused; use others, or only read, as mount -o ro does"
	}
	return ""
}

func (o Options) sentenceOfSilence(where string, err error) string {
	var (
		name      *net.DNSError
		dial      *net.OpError
		untrusted *tls.CertificateVerificationError
		answered  *smithyhttp.ResponseError
		sent      *url.Error
	)
	switch {
	case errors.As(err, &name):
		return "there is no host " + name.Name
	case errors.As(err, &untrusted):
		return where + " has a certificate this machine does not trust (" + untrusted.Err.Error() +
			"); SSL_CERT_FILE or AWS_CA_BUNDLE names a file of authorities to trust"
	case errors.Is(err, http.ErrSchemeMismatch):
		return where + " does not speak TLS; write http://"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "nothing answers at " + where + ": " + dial.Err.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return where + " did not answer in time"
	case errors.As(err, &answered) && answered.HTTPStatusCode() == http.StatusMovedPermanently:
		return "the bucket is in another region" + regionOf(err) + "; add ?region=NAME to the URL"
	case errors.As(err, &answered) && answered.HTTPStatusCode() > 0:
		return where + " does not answer like S3: " + answered.Response.Status
	case errors.As(err, &sent) && !errors.Is(err, context.Canceled):
		return where + " does not answer like S3: " + sent.Err.Error()
	}
	return ""
}
