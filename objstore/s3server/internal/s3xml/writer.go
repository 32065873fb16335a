package s3xml

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// writer appends elements. The names are ours and need no escaping.
type writer struct{ b []byte }

func (w *writer) open(name string)  { w.b = append(append(append(w.b, '<'), name...), '>') }
func (w *writer) close(name string) { w.b = append(append(append(w.b, "</"...), name...), '>') }

// text writes an element, also an empty one.
func (w *writer) text(name, value string) {
	w.open(name)
	w.b = appendEscaped(w.b, value)
	w.close(name)
}

// given writes an element unless it would be empty.
func (w *writer) given(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

func (w *writer) number(name string, n int64) {
	w.open(name)
	w.b = strconv.AppendInt(w.b, n, 10)
	w.close(name)
}

func (w *writer) truth(name string, v bool) { w.text(name, strconv.FormatBool(v)) }

// time writes an element unless t is zero.
func (w *writer) time(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	w.open(name)
	w.b = t.UTC().AppendFormat(w.b, timeFormat)
	w.close(name)
}

const timeFormat = "2006-01-02T15:04:05.000Z"

// TimeISO is a time as documents show it.
func TimeISO(t time.Time) string { return t.UTC().Format(timeFormat) }

// appendEscaped writes text so that an XML reader gets it back.
func appendEscaped(b []byte, text string) []byte {
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if isPlain(c) {
			i++
			continue
		}
		r, size := rune(c), 1
		if c >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
			if isCharacter(r) && !(r == utf8.RuneError && size == 1) {
				i += size
				continue
			}
		}
		b = append(b, text[start:i]...)
		b = appendReference(b, r)
		i += size
		start = i
	}
	return append(b, text[start:]...)
}

// sayable is text with U+FFFD for what XML 1.0 cannot say, not even by a reference.
func sayable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || !isCharacter(r) {
			return utf8.RuneError
		}
		return r
	}, text)
}

// appendMessage writes text with its quotes as they are, as S3 does in messages: some clients search
// them for pieces of a policy.
func appendMessage(b []byte, text string) []byte {
	for i, piece := range strings.Split(sayable(text), `"`) {
		if i > 0 {
			b = append(b, '"')
		}
		b = appendEscaped(b, piece)
	}
	return b
}

// isPlain reports whether a byte stands for itself: printable ASCII but the
// five of XML.
func isPlain(c byte) bool {
	return c >= ' ' && c < 0x7f && c != '&' && c != '<' && c != '>' && c != '"' && c != '\''
}

// isCharacter reports whether XML 1.0 has a character beyond ASCII.
func isCharacter(r rune) bool { return r != 0xfffe && r != 0xffff }

func appendReference(b []byte, r rune) []byte {
	switch r {
	case '&':
		return append(b, "&amp;"...)
	case '<':
		return append(b, "&lt;"...)
	case '>':
		return append(b, "&gt;"...)
	case '"':
		return append(b, "&quot;"...)
	case '\'':
		return append(b, "&#39;"...)
	case utf8.RuneError:
		return utf8.AppendRune(b, r)
	default:
		b = strconv.AppendInt(append(b, "&#x"...), int64(r), 16)
		return append(b, ';')
	}
}

// URLEncode encodes a key as encoding-type=url asks for: a space becomes "+",
// slashes stay.
func URLEncode(key string) string {
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(key)+16)
	for i := range len(key) {
		switch c := key[i]; {
		case c == ' ':
			b = append(b, '+')
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '*' || c == '/':
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}
