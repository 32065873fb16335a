package s3store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/etagfs/etagfs/objstore"
)

// serverName is how a server of this program calls itself.
const serverName = "etagfs"

// contact asks for the first key: who cannot, learns why here.
func (s *Store) contact(ctx context.Context) (server string, err error) {
	out, err := again(ctx, s, func() (*s3.ListObjectsV2Output, error) {
		return s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: s.bucket(), Prefix: aws.String(s.prefix), MaxKeys: aws.Int32(1)})
	})
	if err == nil && aws.ToString(out.Name) == "" { // an answer to any question
		return "", refusal("open store", objstore.Key(s.opt.Bucket), objstore.ErrUnavailable, s.opt.where()+" does not answer like S3")
	}
	if err == nil {
		return replyHeader(out.ResultMetadata).Get("Server"), nil
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
	case "InvalidAccessKeyId":
		return where + " does not know the access key; see AWS_ACCESS_KEY_ID or the profile"
	case "SignatureDoesNotMatch":
		return "the secret key does not belong to the access key, says " + where + "; see AWS_SECRET_ACCESS_KEY"
	case "ExpiredToken", "InvalidToken":
		return "the session token is not valid (any more); get new credentials"
	case "AccessDenied", "AllAccessDisabled":
		return "these credentials may not do that with bucket " + o.Bucket
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

func (o Options) sentenceOfSilence(where string, err error) string {
	var (
		name     *net.DNSError
		dial     *net.OpError
		unknown  x509.UnknownAuthorityError
		host     x509.HostnameError
		record   tls.RecordHeaderError
		answered *smithyhttp.ResponseError
	)
	switch {
	case errors.As(err, &name):
		return "there is no host " + name.Name
	case errors.As(err, &unknown), errors.As(err, &host):
		return where + " has a certificate this machine does not trust: " + err.Error()
	case errors.As(err, &record):
		return where + " does not speak TLS; write http://"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "nothing answers at " + where + ": " + dial.Err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return where + " did not answer in time"
	case errors.As(err, &answered) && answered.HTTPStatusCode() == http.StatusMovedPermanently:
		return "the bucket is in another region" + regionOf(err) + "; add ?region=NAME to the URL"
	case errors.As(err, &answered):
		return where + " does not answer like S3: " + answered.Response.Status
	}
	return ""
}
