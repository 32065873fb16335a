package policy

import "strings"

// matches reports whether text is of the pattern, in which "*" is any bytes
// and "?" is one. When all fails it only goes back to the last star, so it takes
// at most the product of the lengths.
func matches(pattern, text string) bool {
	star, resume := -1, 0 // the last star, and where in text to go on behind it
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			resume++
			p, t = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchesFold is matches for names in any case.
func matchesFold(pattern, text string) bool {
	return matches(strings.ToLower(pattern), strings.ToLower(text))
}
