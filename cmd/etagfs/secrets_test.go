package main

import (
	"errors"
	"testing"
)

// A sentence repeats no keys that somebody typed in a URL, and everything else.
func TestSentencesRepeatNoKeysOfURLs(t *testing.T) {
	for text, want := range map[string]string{
		"no URL":                                          "no URL",
		"http://127.0.0.1:9000/main/a@b":                  "http://127.0.0.1:9000/main/a@b",
		"http://[::1]:9000/main/a@b":                      "http://[::1]:9000/main/a@b",
		"http://[::1]/main/a@b":                           "http://[::1]/main/a@b",
		"s3://b/p?endpoint=http://h:1&region=x":           "s3://b/p?endpoint=http://h:1&region=x",
		"open http://ana:KEY@h:1/main: no":                "open http://xxxxx@h:1/main: no",
		"open http://ana:K/E/Y@h:1/main: no":              "open http://xxxxx@h:1/main: no",
		"open http://KEY@h/main, s3://KEY@b; x":           "open http://xxxxx@h/main, s3://xxxxx@b; x",
		`Get "http://h/k?X-Amz-Signature=KEY": refused`:   `Get "http://h/k?X-Amz-Signature=xxxxx": refused`,
		"s3://b?endpoint=http://ana:KEY@h:1&region=x: no": "s3://b?endpoint=http://xxxxx@h:1&region=x: no",
		"s3://b?endpoint=ana:KEY@h":                       "s3://b?endpoint=xxxxx",
		"s3://b?endpoint=http%3A%2F%2Fana%3AKEY%40h":      "s3://b?endpoint=xxxxx",
		"s3://b?secretKey=KEY&anonymous=true":             "s3://b?secretKey=xxxxx&anonymous=true",
		"s3://b/p#KEY":                                    "s3://b/p#xxxxx",
		"ftp://ana:KEY@h/x: there is no store for it":     "ftp://xxxxx@h/x: there is no store for it",
	} {
		if got := sentence(errors.New(text)); got != want {
			t.Errorf("%s\nis told as %s,\nwant       %s", text, got, want)
		}
	}
}
