// Package policy reads and evaluates bucket policies.
//
// # Words
//
//   - A [Document] is a list of statements. A statement applies to a [Request] if its
//     principals, actions and resources include the request's and all its conditions hold.
//   - A condition compares a key of the request with values. A key the request
//     does not have makes a condition false, a negated one true.
//   - A [Decision] is Deny if any statement that applies denies, else Allow if any allows, else Silent.
//
// # Guarantees
//
// [Parse] accepts nothing it does not understand to the letter: an unknown
// element, operator, condition key, action or principal, a policy variable, or an element that stands twice is
// MalformedPolicy. So a statement never protects less than it seems to. Evaluation takes
// time linear in the policy and quadratic at worst in the length of a pattern and a key; it cannot fail.
// A Document is immutable and safe for concurrent use.
//
// # What it does not do
//
// It knows no users and no objects: the caller supplies every key of [Keys] that the request has. There are no
// set operators (ForAnyValue, ForAllValues), accounts or roles: a principal is
// the name of a user, also at the end of an ARN of the form arn:aws:iam::ACCOUNT:user/NAME.
package policy
