package sigv4

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

const (
	service       = "s3"
	terminal      = "aws4_request"
	unsupportedV2 = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
)

// credential is an access key and the scope a signature was made for.
type credential struct{ accessKey, date, region string }

func (c credential) scope() string { return string(c.appendScope(nil)) }

func (c credential) appendScope(b []byte) []byte {
	b = append(append(b, c.date...), '/')
	b = append(append(b, c.region...), '/')
	return append(b, service+"/"+terminal...)
}

// complaint makes the refusal of a source for what is wrong with its credential.
type complaint func(text string, details ...s3code.Detail) error

// parseCredential takes ACCESSKEY/DATE/REGION/s3/aws4_request apart. Only an
// access key may contain slashes.
func parseCredential(text string, complain complaint) (credential, error) {
	parts := strings.Split(text, "/")
	if len(parts) < 5 {
		return credential{}, complain(`the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`)
	}
	scope := parts[len(parts)-4:]
	c := credential{strings.Join(parts[:len(parts)-4], "/"), scope[0], scope[1]}
	if scope[3] != terminal {
		return c, complain(fmt.Sprintf(`incorrect terminal %q. This endpoint uses "aws4_request".`, scope[3]))
	}
	if scope[2] != service {
		return c, complain(fmt.Sprintf(`incorrect service %q. This endpoint belongs to "s3".`, scope[2]))
	}
	if _, err := time.Parse(dateFormat, c.date); err != nil {
		return c, complain(fmt.Sprintf(`incorrect date format %q. This date in the credential must be in the format "yyyyMMdd".`, c.date))
	}
	return c, nil
}

func (v *Verifier) checkRegion(c credential, complain complaint) error {
	want := v.options.Region
	if want == "" || c.region == want {
		return nil
	}
	return complain(fmt.Sprintf("the region '%s' is wrong; expecting '%s'", c.region, want), s3code.Detail{Name: "Region", Value: want})
}

// checkSkew refuses a request signed too long ago or too far ahead.
func (v *Verifier) checkSkew(signed time.Time) error {
	now := v.options.Now().UTC()
	if skew := now.Sub(signed).Abs(); skew <= skewMax {
		return nil
	}
	return s3code.RequestTimeTooSkewed.With("",
		s3code.Detail{Name: "RequestTime", Value: signed.Format(timeFormat)},
		s3code.Detail{Name: "ServerTime", Value: now.Format(time.RFC3339)},
		s3code.Detail{Name: "MaxAllowedSkewMilliseconds", Value: fmt.Sprint(skewMax.Milliseconds())})
}

// argument refuses an Authorization header whose form is not even one of ours.
func argument(message, value string) error {
	return s3code.InvalidArgument.With(message,
		s3code.Detail{Name: "ArgumentName", Value: "Authorization"}, s3code.Detail{Name: "ArgumentValue", Value: value})
}

// unsignedHeaders lists the headers that had to be signed and were not.
func unsignedHeaders(r *http.Request, s *Signed) (names []string) {
	if !s.Covers("host") {
		names = append(names, "host")
	}
	for name := range r.Header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") && !s.Covers(lower) {
			names = append(names, lower)
		}
	}
	slices.Sort(names)
	return names
}

func noSessionTokens() error {
	return s3code.InvalidToken.With("")
}
