package awschunked

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

// Options say what the headers of a request promise of its body.
type Options struct {
	Payload      sigv4.Payload // one of the Chunked modes
	Chain        *sigv4.Chain  // of a signed mode
	DecodedBytes int64         // declared length
	Trailer      string        // its name, lower-case; empty for none
}

// OptionsOf reads the headers of a request whose payload mode is chunked. A
// declared length that is missing or senseless is MissingContentLength.
func OptionsOf(h http.Header, s *sigv4.Signed) (Options, error) {
	declared, err := strconv.ParseUint(h.Get("X-Amz-Decoded-Content-Length"), 10, 63)
	if err != nil {
		return Options{}, s3code.MissingContentLength.With("")
	}
	return Options{
		Payload:      s.Payload,
		Chain:        s.Chain,
		DecodedBytes: int64(declared),
		Trailer:      strings.ToLower(strings.TrimSpace(h.Get("X-Amz-Trailer"))),
	}, nil
}

// StripEncoding is a Content-Encoding without aws-chunked, which is a matter
// of the transfer and not of the object. The rest is as it was sent, with its spaces.
func StripEncoding(contentEncoding string) string {
	var kept []string
	for coding := range strings.SplitSeq(contentEncoding, ",") {
		name := strings.TrimSpace(coding)
		if name != "" && !strings.EqualFold(name, "aws-chunked") {
			kept = append(kept, coding)
		}
	}
	return strings.TrimSpace(strings.Join(kept, ","))
}
