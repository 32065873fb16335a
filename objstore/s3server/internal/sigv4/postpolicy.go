package sigv4

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// PostPolicy is what the signer of a POST form allows its user.
type PostPolicy struct {
	expiration time.Time
	conditions []postCondition
	ranges     []lengthRange
}

// postCondition is an eq or starts-with on a field.
type postCondition struct{ operator, field, value string }

type lengthRange struct{ least, most int64 }

func invalidPolicy(format string, args ...any) error {
	return s3code.InvalidPolicyDocument.With("Invalid Policy: " + fmt.Sprintf(format, args...))
}

// parsePostPolicy decodes the policy field of a form.
func parsePostPolicy(field string) (*PostPolicy, error) {
	text, err := base64.StdEncoding.DecodeString(field)
	if err != nil {
		return nil, invalidPolicy("invalid Base64 encoding.")
	}
	var document map[string]json.RawMessage
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, invalidPolicy("Invalid JSON.")
	}
	for _, name := range slices.Sorted(maps.Keys(document)) {
		if name != "expiration" && name != "conditions" {
			return nil, invalidPolicy("Unexpected: %q", name)
		}
	}
	p := &PostPolicy{}
	if p.expiration, err = parseExpiration(document["expiration"]); err != nil {
		return nil, err
	}
	if document["conditions"] == nil {
		return nil, invalidPolicy("Policy missing conditions.")
	}
	var conditions []json.RawMessage
	if json.Unmarshal(document["conditions"], &conditions) != nil {
		return nil, invalidPolicy("Invalid 'conditions' value: must be a List.")
	}
	for _, c := range conditions {
		if err := p.addCondition(c); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func parseExpiration(raw json.RawMessage) (time.Time, error) {
	if raw == nil {
		return time.Time{}, invalidPolicy("Policy missing expiration.")
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return time.Time{}, invalidPolicy("Invalid 'expiration' value: '%s'", raw)
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, invalidPolicy("Invalid 'expiration' value: '%s'", text)
	}
	return t, nil
}

// addCondition understands {"field": "value"} and ["operator", ...].
func (p *PostPolicy) addCondition(raw json.RawMessage) error {
	var simple map[string]any
	if json.Unmarshal(raw, &simple) == nil && simple != nil {
		return p.addSimple(simple)
	}
	var list []any
	if json.Unmarshal(raw, &list) != nil || list == nil {
		return invalidPolicy("Invalid condition test: must be a List or Object.")
	}
	if len(list) == 0 {
		return invalidPolicy("Invalid Condition: missing operation identifier.")
	}
	operator, _ := list[0].(string)
	switch strings.ToLower(operator) {
	case "eq", "starts-with":
		return p.addMatch(strings.ToLower(operator), list[1:])
	case "content-length-range":
		return p.addRange(list[1:])
	default:
		return invalidPolicy("Invalid Condition: unknown operation '%v'.", list[0])
	}
}

func (p *PostPolicy) addSimple(simple map[string]any) error {
	if len(simple) != 1 {
		return invalidPolicy("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
	}
	for field, v := range simple {
		value, ok := v.(string)
		if !ok {
			return invalidPolicy("Invalid Simple-Condition: value must be a string.")
		}
		p.conditions = append(p.conditions, postCondition{"eq", strings.ToLower(field), value})
	}
	return nil
}

func (p *PostPolicy) addMatch(operator string, args []any) error {
	if len(args) != 2 {
		return invalidPolicy("Invalid %s: wrong number of arguments.", operator)
	}
	field, isText := args[0].(string)
	value, alsoText := args[1].(string)
	name, isField := strings.CutPrefix(field, "$")
	if !isText || !alsoText || !isField {
		return invalidPolicy("Invalid %s: arguments must be \"$field\" and a string.", operator)
	}
	p.conditions = append(p.conditions, postCondition{operator, strings.ToLower(name), value})
	return nil
}

func (p *PostPolicy) addRange(args []any) error {
	if len(args) != 2 {
		return invalidPolicy("Invalid content-length-range: wrong number of arguments.")
	}
	least, ok := lengthOf(args[0])
	most, alsoOK := lengthOf(args[1])
	if !ok || !alsoOK {
		return invalidPolicy("Invalid content-length-range: arguments must be non-negative integers.")
	}
	p.ranges = append(p.ranges, lengthRange{least, most})
	return nil
}

// lengthOf understands 10 and "10".
func lengthOf(v any) (int64, bool) {
	switch v := v.(type) {
	case float64:
		return int64(v), v >= 0 && v < 1<<53 && v == math.Trunc(v)
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil && n >= 0
	}
	return 0, false
}

// LengthRange is the size the file may have; ok is false if any.
func (p *PostPolicy) LengthRange() (least, most int64, ok bool) {
	most = math.MaxInt64
	for _, r := range p.ranges {
		least, most = max(least, r.least), min(most, r.most)
	}
	return least, most, len(p.ranges) > 0
}

// Check holds the fields against the conditions: each condition must hold and
// each field but a few must have one.
func (p *PostPolicy) Check(f Form) error {
	named := make(map[string]bool)
	for _, c := range p.conditions {
		named[c.field] = true
		if !c.holds(f[c.field]) {
			return s3code.AccessDenied.With("Invalid according to Policy: Policy Condition failed: " + c.String())
		}
	}
	var extra []string
	for name := range f {
		if !named[name] && !isFreeField(name) {
			extra = append(extra, name)
		}
	}
	if len(extra) == 0 {
		return nil
	}
	slices.Sort(extra)
	return s3code.AccessDenied.With("Invalid according to Policy: Extra input fields: " + strings.Join(extra, ", "))
}

// isFreeField reports whether a field needs no condition. The bucket, which is no field of the user's
// but where the form went, needs one as with S3: a policy without it would hold in all of them.
func isFreeField(name string) bool {
	switch name {
	case "policy", "x-amz-signature", "file":
		return true
	}
	return strings.HasPrefix(name, "x-ignore-")
}

func (c postCondition) holds(value string) bool {
	if c.operator == "eq" {
		return value == c.value
	}
	if c.field != "content-type" {
		return strings.HasPrefix(value, c.value)
	}
	for part := range strings.SplitSeq(value, ",") { // the one field that is a list
		if !strings.HasPrefix(strings.TrimSpace(part), c.value) {
			return false
		}
	}
	return true
}

// String is the condition as S3 quotes it.
func (c postCondition) String() string {
	return fmt.Sprintf("[%q, %q, %q]", c.operator, "$"+c.field, c.value)
}
