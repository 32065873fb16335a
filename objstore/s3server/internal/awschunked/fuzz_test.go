package awschunked_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server/internal/awschunked"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

// Whatever the body: no panic, never more than declared, exactly as much on
// success, and a refusal of the closed list else.
func FuzzReader(f *testing.F) {
	for i, mode := range modes() {
		e := newEncoder(f, mode)
		f.Add([]byte(e.encode(trailerOf(mode), "some bytes")), byte(i), int64(10), "x-amz-checksum-crc32c")
		f.Add([]byte(e.encode(trailerOf(mode), strings.Repeat("a", 8192), "end")), byte(i), int64(8195), "")
	}
	f.Add([]byte("7fffffffffffffff\r\n"), byte(2), int64(-1), "")
	f.Fuzz(func(t *testing.T, body []byte, mode byte, declared int64, name string) {
		o := newEncoder(t, modes()[int(mode)%3]).options(0)
		o.DecodedBytes, o.Trailer = max(declared, 0), name
		r := awschunked.NewReader(bytes.NewReader(body), o)
		n, err := io.Copy(io.Discard, r)
		if n > o.DecodedBytes {
			t.Fatalf("%d bytes of %d", n, o.DecodedBytes)
		}
		if err == nil && n != o.DecodedBytes {
			t.Fatalf("an end after %d bytes of %d", n, o.DecodedBytes)
		}
		var e *s3code.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatal(err)
		}
		if _, value := r.Trailer(); value != "" && (err != nil || o.Payload == sigv4.PayloadSigned) {
			t.Fatalf("trailer %q", value)
		}
	})
}
