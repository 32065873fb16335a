package s3server

import (
	"os"
	"strings"
	"testing"
)

// The document names every operation there is.
func TestCompatibilityNamesEveryOperation(t *testing.T) {
	text, err := os.ReadFile("COMPATIBILITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, operations, _ := strings.Cut(string(text), "## Operations")
	operations, _, _ = strings.Cut(operations, "Everything else")
	named := make(map[string]bool)
	for word := range strings.FieldsFuncSeq(operations, func(r rune) bool { return strings.ContainsRune(" ,|\n", r) }) {
		named[word] = true
	}
	for _, route := range append(bucketRoutes(), objectRoutes()...) {
		if !named[route.op.name] {
			t.Errorf("it does not name %s", route.op.name)
		}
	}
}
