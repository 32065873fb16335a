package formatfile

import "testing"

// A number is what was written as one, and all of the line.
func TestVersionIsAWholeLine(t *testing.T) {
	for text, want := range map[string]int{ // 0: there is none
		"thing\nformat 1\n":                    1,
		"thing\nformat 99\nuuid x\n":           99,
		"thing\nformat 99x\nuuid x\n":          0,
		"thing\nformat 1 2\n":                  0,
		"thing\nformat 1":                      0,
		"thing\nformat \n":                     0,
		"thing\nformat -1\n":                   0,
		"thing\nformat +1\n":                   0,
		"thing\nformat 01\n":                   0,
		"thing\nformat 0\n":                    0,
		"thing\nformat 99999999999999999999\n": 0,
		"things\nformat 1\n":                   0,
		"another thing\nthing\nformat 1\n":     0,
		"thing\n\nformat 1\n":                  0,
		"thing\nuuid x\nformat 1\n":            0,
		"":                                     0,
	} {
		version, ok := Version(text, "thing")
		if ok != (want > 0) || ok && version != want {
			t.Errorf("%q: %d, %v", text, version, ok)
		}
	}
}
