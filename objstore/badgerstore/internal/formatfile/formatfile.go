// Package formatfile reads the beginning of a file FORMAT, which says what a directory holds and in which format.
package formatfile

import (
	"strconv"
	"strings"
)

// Version is the N of a text that begins with the lines title and "format N"; ok is false if it does not.
func Version(text, title string) (version int, ok bool) {
	rest, begins := strings.CutPrefix(text, title+"\nformat ")
	line, _, ends := strings.Cut(rest, "\n")
	version, err := strconv.Atoi(line)
	// It is as it was written: without a sign, zeros before it, or anything after it.
	return version, begins && ends && err == nil && version > 0 && strconv.Itoa(version) == line
}
