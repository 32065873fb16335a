package policy

import "slices"

// Request is what is to be decided.
type Request struct {
	Principal string // name of the user; empty for an anonymous one
	Action    string // "s3:PutObject"
	Resource  string // from ObjectARN or BucketARN
	// Keys are those of [Keys] the request has, in that spelling.
	Keys map[string]string
}

// Decision is what a policy says of a request.
type Decision uint8

// The decisions.
const (
	Silent Decision = iota // nothing: others decide
	Allow
	Deny
)

// ObjectARN names an object.
func ObjectARN(bucket, key string) string { return arnPrefix + bucket + "/" + key }

// BucketARN names a bucket.
func BucketARN(bucket string) string { return arnPrefix + bucket }

const arnPrefix = "arn:aws:s3:::"

// Document is a policy. Nil is one without statements.
type Document struct {
	statements []statement
}

// statement is one rule. The three selections are of principals, actions and resources.
type statement struct {
	deny       bool
	principals selection
	actions    selection
	resources  selection
	conditions []condition
}

// selection is a list of patterns, or all but these.
type selection struct {
	patterns []string
	not      bool
}

func (s selection) includes(matches func(pattern string) bool) bool {
	return slices.ContainsFunc(s.patterns, matches) != s.not
}

// Decide evaluates the policy.
func (d *Document) Decide(r Request) Decision {
	decision := Silent
	if d == nil {
		return decision
	}
	for i := range d.statements {
		s := &d.statements[i]
		switch {
		case !s.applies(r):
		case s.deny:
			return Deny
		default:
			decision = Allow
		}
	}
	return decision
}

func (s *statement) applies(r Request) bool {
	return s.actions.includes(func(p string) bool { return matchesFold(p, r.Action) }) &&
		s.resources.includes(func(p string) bool { return matches(p, r.Resource) }) &&
		s.principals.includes(func(p string) bool { return p == everyone || p == r.Principal && p != "" }) &&
		!slices.ContainsFunc(s.conditions, func(c condition) bool { return !c.holds(r.Keys) })
}

// Users lists the users the policy names, sorted.
func (d *Document) Users() []string {
	var names []string
	for _, s := range d.statements {
		for _, p := range s.principals.patterns {
			if p != everyone {
				names = append(names, p)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
