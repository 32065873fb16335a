package cors

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

const (
	rulesMax   = 100
	idBytesMax = 255
)

// Rules are a configuration that was found to be good. Nil has no rules.
type Rules struct {
	rules []s3xml.CORSRule
}

// Compile checks a configuration: InvalidRequest, MalformedXML.
func Compile(c *s3xml.CORSConfiguration) (*Rules, error) {
	if len(c.Rules) > rulesMax {
		return nil, invalid("The number of CORS rules should not exceed allowed limit of %d rules.", rulesMax)
	}
	if len(c.Rules) == 0 {
		return nil, s3code.MalformedXML.With("")
	}
	for _, r := range c.Rules {
		if err := check(r); err != nil {
			return nil, err
		}
	}
	return &Rules{slices.Clone(c.Rules)}, nil
}

func invalid(format string, args ...any) error {
	return s3code.InvalidRequest.With(fmt.Sprintf(format, args...))
}

func check(r s3xml.CORSRule) error {
	if len(r.AllowedOrigins) == 0 || len(r.AllowedMethods) == 0 || len(r.ID) > idBytesMax {
		return s3code.MalformedXML.With("")
	}
	for _, method := range r.AllowedMethods {
		if !isMethod(method) {
			return invalid("Found unsupported HTTP method in CORS config. Unsupported method is %s", method)
		}
	}
	for _, origin := range r.AllowedOrigins {
		if strings.Count(origin, "*") > 1 {
			return invalid("AllowedOrigin %q can not have more than one wildcard.", origin)
		}
	}
	for _, header := range r.AllowedHeaders {
		if strings.Count(header, "*") > 1 {
			return invalid("AllowedHeader %q can not have more than one wildcard.", header)
		}
		if !isHeaderName(strings.Replace(header, "*", "x", 1)) {
			return invalid("AllowedHeader %q contains invalid character.", header)
		}
	}
	for _, header := range r.ExposeHeaders {
		if strings.Contains(header, "*") {
			return invalid("ExposeHeader %q contains wildcard. We currently do not support wildcard for ExposeHeader.", header)
		}
		if !isHeaderName(header) {
			return invalid("ExposeHeader %q contains invalid character.", header)
		}
	}
	return nil
}

func isMethod(method string) bool {
	switch method {
	case "GET", "PUT", "POST", "DELETE", "HEAD":
		return true
	}
	return false
}

// isHeaderName reports whether name is a token as HTTP defines it.
func isHeaderName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?={}`, c) >= 0 {
			return false
		}
	}
	return name != ""
}

// like compares text with a pattern of at most one wildcard.
func like(pattern, text string) bool {
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == text
	}
	return len(text) >= len(before)+len(after) && strings.HasPrefix(text, before) && strings.HasSuffix(text, after)
}
