package main

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// hideMemory keeps what this process has in memory, secrets among it, from core files, whatever limits and
// /proc/sys/kernel/core_pattern say, and from other processes of the same user. Programs it starts are as they
// would be without: execve(2) undoes it.
func hideMemory() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

// masked stands where a secret was.
const masked = "xxxxx"

// withoutSecrets is a sentence whose URLs have no keys in them: somebody may have typed some, and a sentence
// ends in logs.
func withoutSecrets(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	words := strings.Split(text, " ")
	for i, word := range words {
		plain := strings.TrimRight(word, `"'),.:;`)
		words[i] = maskURL(plain) + word[len(plain):]
	}
	return strings.Join(words, " ")
}

// maskURL leaves out of a URL who asks, what is asked for except what we know, and the fragment. A word that is no
// URL is as it was.
func maskURL(word string) string {
	scheme, rest, isURL := strings.Cut(word, "://")
	if !isURL {
		return word
	}
	rest, _, hasFragment := strings.Cut(rest, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	if at := endOfKeys(rest); at >= 0 {
		rest = masked + rest[at:]
	}
	text := scheme + "://" + rest
	if hasQuery {
		text += "?" + maskQuery(query)
	}
	if hasFragment {
		text += "#" + masked
	}
	return text
}

// endOfKeys is where the @ is that ends the keys in what follows the scheme of a URL; -1: there are none. Secret keys
// may have slashes, with which it is no URL: it is known by a port that is no number.
func endOfKeys(rest string) int {
	host, _, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		return at
	}
	port := host[strings.LastIndexByte(host, ':')+1:]
	if len(port) == len(host) || strings.HasSuffix(port, "]") || strings.Trim(port, "0123456789") == "" {
		return -1
	}
	return strings.LastIndexByte(rest, '@')
}

// maskQuery leaves only values that are known to be none anybody hides.
func maskQuery(query string) string {
	open := []string{"endpoint", "region", "anonymous", "etagfs-namespace", "list-type", "max-keys", "prefix", "delimiter"}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, value, hasValue := strings.Cut(part, "=")
		if !hasValue {
			continue
		}
		known := slices.Contains(open, name)
		plain, err := url.QueryUnescape(value)
		switch {
		case known && strings.Contains(value, "://"):
			value = maskURL(value)
		case !known || err != nil || strings.Contains(plain, "@"):
			value = masked
		}
		parts[i] = name + "=" + value
	}
	return strings.Join(parts, "&")
}
