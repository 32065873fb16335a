package containers

import (
	"encoding/json"
	"strings"
)

// kept are the bytes of the kept copies a mounting host lists.
func (h *host) kept() (texts []string) {
	h.t.Helper()
	lines := h.output(h.etagfs("conflicts", "list", "--json", h.path("mnt")))
	for line := range strings.Lines(lines) {
		var c struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			h.t.Fatalf("%q: %v", line, err)
		}
		texts = append(texts, h.output(h.etagfs("conflicts", "show", h.path("mnt"), c.ID, "mine")))
	}
	return texts
}

// expectKept fails unless a host lists one kept copy of each text, and no other.
func (h *host) expectKept(want ...string) {
	h.t.Helper()
	left := append([]string(nil), want...)
	for _, text := range h.kept() {
		found := false
		for i := range left {
			if left[i] == text {
				left, found = append(left[:i], left[i+1:]...), true
				break
			}
		}
		if !found {
			h.t.Errorf("%s keeps %.200q, which is not to be kept", h.name, text)
		}
	}
	if len(left) > 0 {
		h.t.Errorf("%s does not keep %.200q", h.name, left)
	}
}
