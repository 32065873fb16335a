package checksum_test

import (
	"net/http"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server/internal/checksum"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

func header(fields ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(fields); i += 2 {
		h.Add(fields[i], fields[i+1])
	}
	return h
}

const (
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	emptyMD5        = "1B2M2Y8AsgTpgAmY7PhCfg=="
)

func TestWhatHeadersAskFor(t *testing.T) {
	crc := sumOf(checksum.CRC32, nil)
	for _, c := range []struct {
		name   string
		header http.Header
		want   checksum.Wanted
	}{
		{"nothing", header(), checksum.Wanted{Algorithm: checksum.CRC64NVME}},
		{"a type alone", header("x-amz-checksum-type", "COMPOSITE", "x-amz-checksum-algorithm", "SHA1", "x-amz-checksum-mode", "ENABLED"),
			checksum.Wanted{Algorithm: checksum.CRC64NVME}},
		{"Content-MD5", header("Content-MD5", emptyMD5), checksum.Wanted{MD5: sumOf(checksum.MD5, nil).Digest, Algorithm: checksum.CRC64NVME}},
		{"a value", header("x-amz-checksum-crc32", "AAAAAA=="), checksum.Wanted{Value: &crc, Algorithm: checksum.CRC32}},
		{"a value, announced", header("x-amz-checksum-crc32", "AAAAAA==", "x-amz-sdk-checksum-algorithm", "crc32"),
			checksum.Wanted{Value: &crc, Algorithm: checksum.CRC32}},
		{"a trailer", header("x-amz-trailer", "X-Amz-Checksum-SHA256", "x-amz-content-sha256", unsignedTrailer, "x-amz-sdk-checksum-algorithm", "SHA256"),
			checksum.Wanted{Trailer: checksum.SHA256, Algorithm: checksum.SHA256}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := checksum.FromHeader(c.header)
			if err != nil {
				t.Fatal(err)
			}
			if (got.Value == nil) != (c.want.Value == nil) || got.Value != nil && *got.Value != *c.want.Value {
				t.Errorf("value %v, want %v", got.Value, c.want.Value)
			}
			got.Value, c.want.Value = nil, nil
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		header  http.Header
		code    s3code.Code
		message string
	}{
		{"two algorithms", header("x-amz-checksum-crc32", "AAAAAA==", "x-amz-checksum-crc32c", "AAAAAA=="), s3code.InvalidRequest, "Expecting a single x-amz-checksum- header"},
		{"one twice", header("x-amz-checksum-crc32", "AAAAAA==", "x-amz-checksum-crc32", "AAAAAA=="), s3code.InvalidRequest, "Expecting a single x-amz-checksum- header"},
		{"value and trailer", header("x-amz-checksum-crc32", "AAAAAA==", "x-amz-trailer", "x-amz-checksum-sha1", "x-amz-content-sha256", unsignedTrailer),
			s3code.InvalidRequest, "Expecting a single x-amz-checksum- header"},
		{"unknown algorithm", header("x-amz-checksum-crc16", "AAA="), s3code.InvalidRequest, "The algorithm type you specified in x-amz-checksum- header is invalid."},
		{"short", header("x-amz-checksum-crc32", "AAAA"), s3code.InvalidRequest, "Value for x-amz-checksum-crc32 header is invalid."},
		{"empty", header("x-amz-checksum-crc32", ""), s3code.InvalidRequest, "Value for x-amz-checksum-crc32 header is invalid."},
		{"not base64", header("x-amz-checksum-crc32", "!!!!!!=="), s3code.InvalidRequest, "Value for x-amz-checksum-crc32 header is invalid."},
		{"composite", header("x-amz-checksum-crc32", "AAAAAA==-2"), s3code.InvalidRequest, "Value for x-amz-checksum-crc32 header is invalid."},
		{"announced only", header("x-amz-sdk-checksum-algorithm", "CRC32"), s3code.InvalidRequest, "x-amz-sdk-checksum-algorithm specified, but no corresponding"},
		{"announced another", header("x-amz-sdk-checksum-algorithm", "SHA1", "x-amz-checksum-crc32", "AAAAAA=="), s3code.InvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid."},
		{"announced nonsense", header("x-amz-sdk-checksum-algorithm", "X"), s3code.InvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid."},
		{"unknown trailer", header("x-amz-trailer", "x-amz-checksum-x", "x-amz-content-sha256", unsignedTrailer), s3code.InvalidRequest, "x-amz-trailer header is not supported"},
		{"two trailers", header("x-amz-trailer", "x-amz-checksum-crc32,x-amz-checksum-sha1", "x-amz-content-sha256", unsignedTrailer), s3code.InvalidRequest, "x-amz-trailer header is not supported"},
		{"trailer of a plain body", header("x-amz-trailer", "x-amz-checksum-crc32", "x-amz-content-sha256", "UNSIGNED-PAYLOAD"), s3code.InvalidRequest, "x-amz-trailer header is not supported"},
		{"bad Content-MD5", header("Content-MD5", "x"), s3code.InvalidDigest, "The Content-MD5 you specified was invalid."},
		{"empty Content-MD5", header("Content-MD5", ""), s3code.InvalidDigest, "The Content-MD5 you specified was invalid."},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := checksum.FromHeader(c.header)
			expectRefusal(t, err, c.code, c.message)
		})
	}
}

// Whatever a value says: no panic, and what parses prints as it was.
func FuzzParseValue(f *testing.F) {
	f.Add(byte(0), "AAAAAA==")
	f.Add(byte(2), "jSnVw/bqjr4=-3")
	f.Add(byte(4), "-")
	f.Fuzz(func(t *testing.T, kind byte, text string) {
		a := checksum.Algorithms()[int(kind)%len(checksum.Algorithms())]
		v, err := checksum.ParseValue(a, text)
		if err == nil && (v.String() != text || len(v.Digest) != a.Bytes()) {
			t.Fatalf("%q is %+v", text, v)
		}
	})
}
