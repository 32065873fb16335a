package policy

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// parsePrincipals understands "*", a list of names and {"AWS": ...}. All but
// some may only be denied: else everybody unknown would be let in.
func parsePrincipals(e element, deny bool) (selection, error) {
	raw, not := e["Principal"], e["NotPrincipal"]
	switch {
	case (raw == nil) == (not == nil):
		return selection{}, malformed("Missing required field Principal")
	case not != nil && !deny:
		return selection{}, malformed("Allow with NotPrincipal is not allowed.")
	case not != nil:
		raw = not
	}
	names, ok := texts(raw)
	if !ok {
		names, ok = principalsByKind(raw)
	}
	s := selection{not: not != nil}
	for _, name := range names {
		user, isUser := userOf(name)
		ok = ok && isUser && (user != everyone || len(names) == 1)
		s.patterns = append(s.patterns, user)
	}
	if !ok {
		return s, malformed("Invalid principal in policy")
	}
	return s, nil
}

// principalsByKind understands {"AWS": names}; there are no other kinds here.
func principalsByKind(raw json.RawMessage) ([]string, bool) {
	var kinds map[string]json.RawMessage
	if json.Unmarshal(raw, &kinds) != nil || len(kinds) != 1 || kinds["AWS"] == nil {
		return nil, false
	}
	return texts(kinds["AWS"])
}

// userOf is the user a principal names: by the name alone, or at the end of an ARN.
func userOf(principal string) (string, bool) {
	name := principal
	if rest, ok := strings.CutPrefix(principal, "arn:aws:iam::"); ok {
		_, path, found := strings.Cut(rest, ":user/")
		if !found {
			return "", false
		}
		name = path[strings.LastIndexByte(path, '/')+1:]
	}
	if name == everyone && principal == everyone {
		return name, true
	}
	return name, name != "" && !strings.ContainsAny(name, "*?") && !strings.HasPrefix(name, "arn:") && !hasVariable(name)
}

// parseConditions understands {operator: {key: value or values}}.
func parseConditions(raw json.RawMessage) ([]condition, error) {
	if raw == nil {
		return nil, nil
	}
	var byOperator map[string]map[string]json.RawMessage
	if json.Unmarshal(raw, &byOperator) != nil {
		return nil, invalidJSON()
	}
	var conditions []condition
	for _, operator := range slices.Sorted(maps.Keys(byOperator)) {
		byKey := byOperator[operator]
		if len(byKey) == 0 {
			return nil, malformed("Invalid Condition type : " + operator)
		}
		for _, key := range slices.Sorted(maps.Keys(byKey)) {
			values, ok := scalars(byKey[key])
			if !ok || len(values) == 0 || slices.ContainsFunc(values, hasVariable) {
				return nil, malformed("Invalid value for condition " + operator + " of " + key)
			}
			c, err := newCondition(operator, key, values)
			if err != nil {
				return nil, err
			}
			conditions = append(conditions, c)
		}
	}
	return conditions, nil
}

// scalars understands a text, a number, a truth value and a list of these.
func scalars(raw json.RawMessage) (values []string, ok bool) {
	var many []json.RawMessage
	if json.Unmarshal(raw, &many) != nil || many == nil {
		many = []json.RawMessage{raw}
	}
	for _, one := range many {
		var text string
		switch {
		case json.Unmarshal(one, &text) == nil && one[0] == '"':
			values = append(values, text)
		case strings.ContainsRune("-0123456789tf", rune(one[0])):
			values = append(values, string(one))
		default:
			return nil, false
		}
	}
	return values, true
}
