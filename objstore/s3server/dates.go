package s3server

import (
	"net/http"
	"strings"
	"time"
)

// dateLayouts are the forms in which clients write dates: RFC 9110's three, with one digit
// for the day or a numeric zone as some do, and RFC 3339.
func dateLayouts() []string {
	return []string{
		http.TimeFormat, time.RFC850, time.ANSIC,
		"Mon, _2 Jan 2006 15:04:05 GMT", time.RFC1123Z, "2 Jan 2006 15:04:05 GMT",
		time.RFC3339Nano,
	}
}

// parseDate reads a date. One that cannot be read counts as absent, as RFC 9110 has it.
func parseDate(value string) (t time.Time, ok bool) {
	value = strings.TrimSpace(value)
	if value == "" {
		return time.Time{}, false
	}
	for _, layout := range dateLayouts() {
		if t, err := time.Parse(layout, value); err == nil {
			return t.UTC().Truncate(time.Second), true
		}
	}
	return time.Time{}, false
}

// httpDate is t as a header shows it.
func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// xmlDate is t as S3's documents show it.
func xmlDate(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
