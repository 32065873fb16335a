package cors

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

// Preflight answers a browser's question with the header fields to send. The
// arguments are the values of Origin, Access-Control-Request-Method and
// Access-Control-Request-Headers: BadRequest, AccessForbidden.
func (r *Rules) Preflight(origin, method, requestHeaders string) (http.Header, error) {
	if !isMethod(method) {
		return nil, s3code.BadRequest.With("Invalid Access-Control-Request-Method: " + method)
	}
	names, err := headerNames(requestHeaders)
	if err != nil {
		return nil, err
	}
	rule, ok := r.find(origin, method, names)
	if !ok {
		return nil, s3code.AccessForbidden.With("", s3code.Detail{Name: "Method", Value: method})
	}
	h := fields(rule, origin)
	if len(names) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(names, ", "))
	}
	return h, nil
}

// Actual is the header fields for the answer to a request with an Origin. It is nil if no rule matches.
func (r *Rules) Actual(origin, method string) http.Header {
	rule, ok := r.find(origin, method, nil)
	if !ok {
		return nil
	}
	return fields(rule, origin)
}

// headerNames splits a list of names and lowers them.
func headerNames(list string) (names []string, err error) {
	for name := range strings.SplitSeq(list, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" {
			continue
		}
		if !isHeaderName(name) {
			return nil, s3code.BadRequest.With(fmt.Sprintf("Access-Control-Request-Headers %q contains invalid character.", name))
		}
		names = append(names, name)
	}
	return names, nil
}

func (r *Rules) find(origin, method string, headers []string) (s3xml.CORSRule, bool) {
	if r == nil {
		return s3xml.CORSRule{}, false
	}
	i := slices.IndexFunc(r.rules, func(rule s3xml.CORSRule) bool {
		return slices.Contains(rule.AllowedMethods, method) && allowedOrigin(rule, origin) != "" && allowsAll(rule, headers)
	})
	if i < 0 {
		return s3xml.CORSRule{}, false
	}
	return r.rules[i], true
}

// allowedOrigin is the pattern that allows an origin, empty if there is none.
func allowedOrigin(rule s3xml.CORSRule, origin string) string {
	i := slices.IndexFunc(rule.AllowedOrigins, func(pattern string) bool { return like(pattern, origin) })
	if i < 0 || origin == "" {
		return ""
	}
	return rule.AllowedOrigins[i]
}

func allowsAll(rule s3xml.CORSRule, headers []string) bool {
	for _, header := range headers {
		allows := func(pattern string) bool { return like(strings.ToLower(pattern), header) }
		if !slices.ContainsFunc(rule.AllowedHeaders, allows) {
			return false
		}
	}
	return true
}

// fields are what both answers have. Only an origin the rule knows by name may send credentials.
func fields(rule s3xml.CORSRule, origin string) http.Header {
	h := http.Header{}
	if allowedOrigin(rule, origin) == "*" {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(rule.AllowedMethods, ", "))
	if len(rule.ExposeHeaders) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(rule.ExposeHeaders, ", "))
	}
	if rule.MaxAgeSeconds > 0 {
		h.Set("Access-Control-Max-Age", strconv.Itoa(rule.MaxAgeSeconds))
	}
	h.Set("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
	return h
}
