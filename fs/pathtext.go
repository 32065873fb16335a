package fs

import "unicode/utf8"

// PathBytes are the bytes of a path that JSON cannot say, as it has no strings that are not UTF-8; nil if it can.
func PathBytes(path string) []byte {
	if utf8.ValidString(path) {
		return nil
	}
	return []byte(path)
}

// PathOf is the path that JSON has told, with [PathBytes] beside it.
func PathOf(path string, bytes []byte) string {
	if bytes != nil {
		return string(bytes)
	}
	return path
}
