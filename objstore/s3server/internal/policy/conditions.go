package policy

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Keys are the condition keys that exist. A caller supplies those a request has.
func Keys() []string { return slices.Clone(conditionKeys[:]) }

// conditionKeys in their usual spelling; policies may write them in any case.
var conditionKeys = [...]string{
	"aws:Referer",                // header Referer
	"aws:SecureTransport",        // "true" or "false"
	"aws:SourceIp",               // address of the client, without port
	"aws:UserAgent",              // header User-Agent
	"aws:username",               // name of the user; absent if anonymous
	"s3:ObjectCreationOperation", // "true" if the request makes an object, "false" if it only prepares one
	"s3:authType",                // "REST-HEADER", "REST-QUERY-STRING" or "POST"; absent if anonymous
	"s3:delimiter",               // of a list
	"s3:if-match",                // header If-Match, if trusted
	"s3:if-none-match",           // header If-None-Match, if trusted
	"s3:max-keys",                // of a list
	"s3:prefix",                  // of a list
	"s3:signatureversion",        // "AWS4-HMAC-SHA256"; absent if anonymous
	"s3:x-amz-content-sha256",    // the header
}

func keyNamed(name string) (string, bool) {
	for _, key := range conditionKeys {
		if strings.EqualFold(key, name) {
			return key, true
		}
	}
	return "", false
}

// condition is one key of one operator.
type condition struct {
	key     string
	test    func(value string) bool // nil for Null
	negated bool
	missing bool // what holds when the request does not have the key
}

func (c condition) holds(keys map[string]string) bool {
	value, present := keys[c.key]
	if !present {
		return c.missing
	}
	if c.test == nil {
		return !c.missing
	}
	return c.test(value) != c.negated
}

// operator makes the test for values; it is nil if they are senseless.
type operator struct {
	test    func(values []string) func(value string) bool
	negated bool
}

var operators = map[string]operator{
	"StringEquals":              {equals, false},
	"StringNotEquals":           {equals, true},
	"StringEqualsIgnoreCase":    {equalsFold, false},
	"StringNotEqualsIgnoreCase": {equalsFold, true},
	"StringLike":                {like, false},
	"StringNotLike":             {like, true},
	"NumericEquals":             {numeric(func(a, b float64) bool { return a == b }), false},
	"NumericNotEquals":          {numeric(func(a, b float64) bool { return a == b }), true},
	"NumericLessThan":           {numeric(func(a, b float64) bool { return a < b }), false},
	"NumericLessThanEquals":     {numeric(func(a, b float64) bool { return a <= b }), false},
	"NumericGreaterThan":        {numeric(func(a, b float64) bool { return a > b }), false},
	"NumericGreaterThanEquals":  {numeric(func(a, b float64) bool { return a >= b }), false},
	"Bool":                      {truth, false},
	"IpAddress":                 {within, false},
	"NotIpAddress":              {within, true},
}

// newCondition understands an operator, with IfExists behind it or not, a key and its values.
func newCondition(name, keyName string, values []string) (condition, error) {
	key, ok := keyNamed(keyName)
	if !ok {
		return condition{}, malformed("Policy has an invalid condition key - " + keyName)
	}
	if name == "Null" {
		return newNull(key, values)
	}
	base, ifExists := strings.CutSuffix(name, "IfExists")
	o, ok := operators[base]
	if !ok {
		return condition{}, malformed("Invalid Condition type : " + name)
	}
	test := o.test(values)
	if test == nil {
		return condition{}, malformed("Invalid value for condition " + name + " of " + keyName)
	}
	return condition{key: key, test: test, negated: o.negated, missing: o.negated || ifExists}, nil
}

// newNull is the condition that a key is absent, or that it is there.
func newNull(key string, values []string) (condition, error) {
	if len(values) != 1 || values[0] != "true" && values[0] != "false" {
		return condition{}, malformed("Invalid value for condition Null of " + key)
	}
	return condition{key: key, missing: values[0] == "true"}, nil
}

func equals(values []string) func(string) bool {
	return func(value string) bool { return slices.Contains(values, value) }
}

func equalsFold(values []string) func(string) bool {
	return anyOf(values, strings.EqualFold)
}

func like(values []string) func(string) bool {
	return anyOf(values, matches)
}

// anyOf tests whether match holds for any of the policy's values.
func anyOf[T any](values []T, match func(ours T, value string) bool) func(string) bool {
	return func(value string) bool {
		return slices.ContainsFunc(values, func(ours T) bool { return match(ours, value) })
	}
}

func numeric(compare func(a, b float64) bool) func([]string) func(string) bool {
	return func(values []string) func(string) bool {
		numbers, ok := parseAll(values, parseNumber)
		if !ok {
			return nil
		}
		return anyOf(numbers, func(ours float64, value string) bool {
			n, ok := parseNumber(value)
			return ok && compare(n, ours)
		})
	}
}

func parseAll[T any](values []string, parse func(string) (T, bool)) ([]T, bool) {
	parsed := make([]T, len(values))
	for i, value := range values {
		var ok bool
		if parsed[i], ok = parse(value); !ok {
			return nil, false
		}
	}
	return parsed, true
}

func parseNumber(text string) (float64, bool) {
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

func truth(values []string) func(string) bool {
	for _, value := range values {
		if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			return nil
		}
	}
	return equalsFold(values)
}

func within(values []string) func(string) bool {
	prefixes, ok := parseAll(values, parsePrefix)
	if !ok {
		return nil
	}
	return anyOf(prefixes, func(ours netip.Prefix, value string) bool {
		address, err := netip.ParseAddr(value)
		return err == nil && ours.Contains(address.Unmap().WithZone(""))
	})
}

// parsePrefix understands a network, and an address as a network of one.
func parsePrefix(text string) (netip.Prefix, bool) {
	if address, err := netip.ParseAddr(text); err == nil {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), address.Zone() == ""
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix, err == nil
}
