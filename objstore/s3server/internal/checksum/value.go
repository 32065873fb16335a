package checksum

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// partsMax is the most parts an upload has.
const partsMax = 10000

// Value is a checksum. Values are comparable.
type Value struct {
	Algorithm Algorithm
	Type      Type
	Digest    string // raw bytes
	Parts     int    // of a composite one; else 0
}

// String is base64, and "-" and the number of parts of a composite checksum.
func (v Value) String() string {
	text := base64.StdEncoding.EncodeToString([]byte(v.Digest))
	if v.Type == Composite {
		text += "-" + strconv.Itoa(v.Parts)
	}
	return text
}

// ParseValue reads what [Value.String] writes: InvalidRequest.
func ParseValue(a Algorithm, text string) (Value, error) {
	return parseValue(a, text, a.Header()+" header")
}

// ParseTrailer is ParseValue for the value of a trailer.
func ParseTrailer(a Algorithm, text string) (Value, error) {
	return parseValue(a, text, a.Header()+" trailing header")
}

func parseValue(a Algorithm, text, where string) (Value, error) {
	v := Value{Algorithm: a, Type: FullObject}
	digits, parts, composite := strings.Cut(text, "-")
	digest, ok := decode(digits, a.Bytes())
	v.Digest = digest
	if composite {
		n, err := strconv.ParseUint(parts, 10, 32)
		ok = ok && err == nil && n >= 1 && n <= partsMax && strconv.FormatUint(n, 10) == parts
		v.Type, v.Parts = Composite, int(n)
	}
	if !ok {
		return Value{}, s3code.InvalidRequest.With("Value for " + where + " is invalid.")
	}
	return v, nil
}

func decode(text string, size int) (digest string, ok bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	return string(b), err == nil && len(b) == size && size > 0 && !strings.ContainsAny(text, "\r\n")
}

// ParseMD5 reads the value of Content-MD5: InvalidDigest.
func ParseMD5(contentMD5 string) (digest string, err error) {
	digest, ok := decode(contentMD5, MD5.Bytes())
	if !ok {
		return "", s3code.InvalidDigest.With("", s3code.Detail{Name: "Content-MD5", Value: contentMD5})
	}
	return digest, nil
}

func badDigest(a Algorithm) error {
	return s3code.BadDigest.With(fmt.Sprintf("The %v you specified did not match the calculated checksum.", a))
}
