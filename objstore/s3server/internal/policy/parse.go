package policy

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// documentBytesMax is S3's limit.
const documentBytesMax = 20 << 10

// everyone is the principal that is anybody.
const everyone = "*"

func malformed(message string) error { return s3code.MalformedPolicy.With(message) }

func invalidJSON() error { return malformed("This policy contains invalid Json") }

// element is a JSON object whose members were not looked at yet.
type element map[string]json.RawMessage

// refuseOthers refuses members that are not among the known ones.
func (e element) refuseOthers(known ...string) error {
	for _, name := range slices.Sorted(maps.Keys(e)) {
		if !slices.Contains(known, name) {
			return malformed("Unknown field " + name)
		}
	}
	return nil
}

// Parse reads the policy of a bucket: MalformedPolicy.
func Parse(document []byte, bucket string) (*Document, error) {
	if len(document) == 0 || document[0] != '{' {
		return nil, malformed("")
	}
	if len(document) > documentBytesMax {
		return nil, malformed("Policy exceeds the maximum allowed document size.")
	}
	var root element
	if !isJSONWithoutTwins(document) || json.Unmarshal(document, &root) != nil {
		return nil, invalidJSON()
	}
	if err := root.refuseOthers("Version", "Id", "Statement"); err != nil {
		return nil, err
	}
	if err := checkVersion(root); err != nil {
		return nil, err
	}
	rawStatements, err := statementsOf(root["Statement"])
	if err != nil {
		return nil, err
	}
	d := &Document{}
	for _, raw := range rawStatements {
		s, err := parseStatement(raw, bucket)
		if err != nil {
			return nil, err
		}
		d.statements = append(d.statements, s)
	}
	return d, nil
}

func checkVersion(root element) error {
	var version, id string
	if raw := root["Version"]; raw != nil {
		if json.Unmarshal(raw, &version) != nil || version != "2012-10-17" && version != "2008-10-17" {
			return malformed("The policy must contain a valid version string")
		}
	}
	if raw := root["Id"]; raw != nil && json.Unmarshal(raw, &id) != nil {
		return invalidJSON()
	}
	return nil
}

// statementsOf understands a list of statements and a single one.
func statementsOf(raw json.RawMessage) ([]element, error) {
	if raw == nil {
		return nil, malformed("Missing required field Statement")
	}
	var many []element
	if json.Unmarshal(raw, &many) != nil {
		var one element
		if json.Unmarshal(raw, &one) != nil {
			return nil, invalidJSON()
		}
		many = []element{one}
	}
	if len(many) == 0 {
		return nil, malformed("Could not parse the policy: Statement is empty!")
	}
	return many, nil
}

func parseStatement(e element, bucket string) (s statement, err error) {
	err = e.refuseOthers("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
	if err != nil {
		return s, err
	}
	var sid string
	if raw := e["Sid"]; raw != nil && json.Unmarshal(raw, &sid) != nil {
		return s, invalidJSON()
	}
	if s.deny, err = parseEffect(e["Effect"]); err != nil {
		return s, err
	}
	if s.principals, err = parsePrincipals(e, s.deny); err != nil {
		return s, err
	}
	if s.resources, err = parseSelection(e, "Resource"); err != nil {
		return s, err
	}
	if err := checkResources(s.resources.patterns, bucket); err != nil {
		return s, err
	}
	if s.actions, err = parseSelection(e, "Action"); err != nil {
		return s, err
	}
	if err := checkActions(s.actions.patterns, s.resources); err != nil {
		return s, err
	}
	s.conditions, err = parseConditions(e["Condition"])
	return s, err
}

func parseEffect(raw json.RawMessage) (deny bool, err error) {
	var effect string
	if raw == nil {
		return false, malformed("Missing required field Effect")
	}
	if json.Unmarshal(raw, &effect) != nil || effect != "Allow" && effect != "Deny" {
		return false, malformed("Invalid effect: " + effect)
	}
	return effect == "Deny", nil
}

// parseSelection reads the member of that name, or the one with Not before it.
func parseSelection(e element, name string) (selection, error) {
	raw, not := e[name], e["Not"+name]
	if (raw == nil) == (not == nil) {
		return selection{}, malformed("Missing required field " + name)
	}
	s := selection{not: not != nil}
	if s.not {
		raw = not
	}
	var ok bool
	if s.patterns, ok = texts(raw); !ok {
		return s, malformed("Policy has invalid " + strings.ToLower(name))
	}
	return s, nil
}

// texts understands "text" and ["text", ...], none of them empty.
func texts(raw json.RawMessage) ([]string, bool) {
	var many []string
	if json.Unmarshal(raw, &many) != nil {
		many = make([]string, 1)
		if json.Unmarshal(raw, &many[0]) != nil {
			return nil, false
		}
	}
	return many, len(many) > 0 && !slices.Contains(many, "")
}

// checkResources refuses what is not of the bucket.
func checkResources(resources []string, bucket string) error {
	for _, resource := range resources {
		rest, ok := strings.CutPrefix(resource, BucketARN(bucket))
		if !ok || rest != "" && !strings.ContainsRune("/*?", rune(rest[0])) || hasVariable(resource) {
			return malformed("Policy has invalid resource")
		}
	}
	return nil
}

// hasVariable reports a policy variable: what it stands for is not known here.
func hasVariable(text string) bool { return strings.Contains(text, "${") }

// isJSONWithoutTwins reports whether text is one JSON value in which no object has a
// member twice: readers differ in which of two they believe.
func isJSONWithoutTwins(text []byte) bool {
	if !json.Valid(text) {
		return false
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	var names []map[string]bool // of the objects around; nil for a list
	for atName := false; ; {
		token, err := decoder.Token()
		if err != nil {
			return len(names) == 0
		}
		switch token := token.(type) {
		case json.Delim:
			switch token {
			case '{':
				names = append(names, map[string]bool{})
			case '[':
				names = append(names, nil)
			default:
				names = names[:len(names)-1]
			}
			atName = len(names) > 0 && names[len(names)-1] != nil
			continue
		case string:
			if atName {
				if names[len(names)-1][token] {
					return false
				}
				names[len(names)-1][token] = true
				atName = false
				continue
			}
		}
		atName = len(names) > 0 && names[len(names)-1] != nil
	}
}
