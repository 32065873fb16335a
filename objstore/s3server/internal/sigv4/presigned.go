package sigv4

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// expiresMax is a week.
const expiresMax = 604800

func badParameters(message string, details ...s3code.Detail) error {
	return s3code.AuthorizationQueryParametersError.With(message, details...)
}

func badCredentialParameter(text string, details ...s3code.Detail) error {
	return badParameters("Error parsing the X-Amz-Credential parameter; "+text, details...)
}

// presigned reports whether the query claims to sign the request.
func (q query) presigned() bool {
	return q.has("X-Amz-Algorithm") || q.has("X-Amz-Signature") || q.has("X-Amz-Credential")
}

// verifyQuery checks a presigned URL.
func (v *Verifier) verifyQuery(r *http.Request, q query) (*Signed, error) {
	if err := checkParameters(q); err != nil {
		return nil, err
	}
	c, err := parseCredential(q.get("X-Amz-Credential"), badCredentialParameter)
	if err != nil {
		return nil, err
	}
	if err := v.checkRegion(c, badCredentialParameter); err != nil {
		return nil, err
	}
	signed, err := time.Parse(timeFormat, q.get("X-Amz-Date"))
	if err != nil {
		return nil, badParameters(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	if date := signed.Format(dateFormat); date != c.date {
		return nil, badParameters(fmt.Sprintf("Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", c.date, date))
	}
	if err := v.checkExpiry(signed, q.get("X-Amz-Expires")); err != nil {
		return nil, err
	}
	if q.has("X-Amz-Security-Token") || r.Header.Get("X-Amz-Security-Token") != "" {
		return nil, noSessionTokens()
	}
	a := attempt{
		signed: &Signed{
			Source: Query, AccessKey: c.accessKey, Region: c.region, Time: signed,
			headers: splitHeaders(q.get("X-Amz-SignedHeaders")),
		},
		credential:  c,
		signature:   q.get("X-Amz-Signature"),
		payloadText: presignedPayload(r, q),
	}
	if err := a.signed.setPayload(a.payloadText); err != nil {
		return nil, err
	}
	return v.check(r, q.without("X-Amz-Signature"), a)
}

// checkParameters refuses a query in which one of the six parameters is missing or stands twice.
func checkParameters(q query) error {
	switch q.get("X-Amz-Algorithm") {
	case algorithm, "":
	case algorithmV4A:
		return unsupportedV4A("X-Amz-Algorithm")
	default:
		return badParameters(`X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"`)
	}
	for _, name := range []string{
		"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires",
	} {
		if q.get(name) == "" || q.count(name) != 1 {
			return badParameters("Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, " +
				"X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
		}
	}
	return nil
}

// checkExpiry refuses a URL before and after its time.
func (v *Verifier) checkExpiry(signed time.Time, text string) error {
	seconds, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return badParameters("X-Amz-Expires should be a number")
	case seconds < 1:
		return badParameters("X-Amz-Expires must be non-negative")
	case seconds > expiresMax:
		return badParameters("X-Amz-Expires must be less than a week (in seconds); that is, " +
			"the given X-Amz-Expires must be less than 604800 seconds")
	}
	now := v.options.Now().UTC()
	if signed.Sub(now) > skewMax {
		return s3code.AccessDenied.With("Request is not valid yet")
	}
	expires := signed.Add(time.Duration(seconds) * time.Second)
	if now.After(expires) {
		return s3code.AccessDenied.With("Request has expired",
			s3code.Detail{Name: "X-Amz-Expires", Value: text},
			s3code.Detail{Name: "Expires", Value: expires.Format(time.RFC3339)},
			s3code.Detail{Name: "ServerTime", Value: now.Format(time.RFC3339)})
	}
	return nil
}

// presignedPayload is the payload line of a presigned request: in most, nobody
// knew the body when it was signed.
func presignedPayload(r *http.Request, q query) string {
	if text := r.Header.Get(contentSHA256); text != "" {
		return text
	}
	if text := q.get("X-Amz-Content-Sha256"); text != "" {
		return text
	}
	return PayloadUnsigned.String()
}
