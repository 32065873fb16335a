package sigv4

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

func malformedHeader(text string, details ...s3code.Detail) error {
	return s3code.AuthorizationHeaderMalformed.With("The authorization header is malformed; "+text, details...)
}

// verifyHeader checks a request by its Authorization header.
func (v *Verifier) verifyHeader(r *http.Request, q query, authorization string) (*Signed, error) {
	a, err := parseAuthorization(authorization)
	if err != nil {
		return nil, err
	}
	if err := v.checkRegion(a.credential, malformedHeader); err != nil {
		return nil, err
	}
	if r.Header.Get("X-Amz-Security-Token") != "" {
		return nil, noSessionTokens()
	}
	if a.signed.Time, err = signingTime(r.Header); err != nil {
		return nil, err
	}
	if a.signed.Time.Format(dateFormat) != a.credential.date {
		return nil, malformedHeader(fmt.Sprintf("Invalid credential date %q. This date is not the same as X-Amz-Date: %q.",
			a.credential.date, a.signed.Time.Format(dateFormat)))
	}
	if err := v.checkSkew(a.signed.Time); err != nil {
		return nil, err
	}
	a.payloadText = r.Header.Get(contentSHA256)
	if a.payloadText == "" {
		return nil, s3code.InvalidRequest.With("Missing required header for this request: x-amz-content-sha256")
	}
	if err := a.signed.setPayload(a.payloadText); err != nil {
		return nil, err
	}
	return v.check(r, q, a)
}

// parseAuthorization takes "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=...,
// Signature=..." apart.
func parseAuthorization(authorization string) (attempt, error) {
	kind, rest, ok := strings.Cut(authorization, " ")
	switch {
	case kind == "AWS":
		return attempt{}, s3code.InvalidRequest.With(unsupportedV2)
	case kind == algorithmV4A:
		return attempt{}, unsupportedV4A("Authorization")
	case !ok:
		return attempt{}, argument("Authorization header is invalid -- one and only one ' ' (space) required", authorization)
	case kind != algorithm:
		return attempt{}, argument("Unsupported Authorization Type", authorization)
	}
	components, err := parseComponents(rest)
	if err != nil {
		return attempt{}, err
	}
	a := attempt{signed: &Signed{Source: Header}, signature: components.get("Signature")}
	if a.credential, err = parseCredential(components.get("Credential"), malformedHeader); err != nil {
		return attempt{}, err
	}
	a.signed.AccessKey, a.signed.Region = a.credential.accessKey, a.credential.region
	a.signed.headers = splitHeaders(components.get("SignedHeaders"))
	return a, nil
}

// parseComponents finds the three components in any order.
func parseComponents(text string) (query, error) {
	components := make(query, 0, 3)
	for part := range strings.SplitSeq(text, ",") {
		if len(components) == cap(components) {
			return nil, wrongComponents()
		}
		part = strings.TrimSpace(part)
		name, value, ok := strings.Cut(part, "=")
		if !ok || components.has(name) {
			return nil, malformedHeader(fmt.Sprintf("the authorization component %q is malformed.", part))
		}
		components = append(components, parameter{name, value})
	}
	if len(components) != 3 {
		return nil, wrongComponents()
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if components.get(name) == "" {
			return nil, malformedHeader("missing " + name + ".")
		}
	}
	return components, nil
}

func wrongComponents() error {
	return malformedHeader("the authorization header requires three components: Credential, SignedHeaders, and Signature.")
}

func splitHeaders(text string) []string {
	return strings.Split(strings.ToLower(text), ";")
}

func unsupportedV4A(header string) error {
	return s3code.NotImplemented.With("", s3code.Detail{Name: "Header", Value: header},
		s3code.Detail{Name: "additionalMessage", Value: "AWS4-ECDSA-P256-SHA256 is not supported. Please use AWS4-HMAC-SHA256."})
}

// signingTime is x-amz-date, or else Date.
func signingTime(h http.Header) (time.Time, error) {
	if text := h.Get("X-Amz-Date"); text != "" {
		if t, err := time.Parse(timeFormat, text); err == nil {
			return t, nil
		}
		if t, err := http.ParseTime(text); err == nil {
			return t, nil
		}
	} else if t, err := http.ParseTime(h.Get("Date")); err == nil {
		return t, nil
	}
	return time.Time{}, s3code.AccessDenied.With("AWS authentication requires a valid Date or x-amz-date header")
}
