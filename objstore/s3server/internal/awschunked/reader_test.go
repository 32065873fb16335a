package awschunked_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/etagfs/etagfs/objstore/s3server/internal/awschunked"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

const trailer = "x-amz-checksum-crc32c:sOO8/Q=="

// trailerOf is the trailer a mode has.
func trailerOf(mode sigv4.Payload) string {
	if mode.Trailer() {
		return trailer
	}
	return ""
}

func (e *encoder) options(declared int) awschunked.Options {
	name, _, _ := strings.Cut(trailerOf(e.mode), ":")
	return awschunked.Options{Payload: e.mode, Chain: e.signed.Chain, DecodedBytes: int64(declared), Trailer: name}
}

func expectRefusal(t *testing.T, err error, code s3code.Code, message string) {
	t.Helper()
	var e *s3code.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Text(), message) {
		t.Errorf("%v, want %v: %s", err, code, message)
	}
}

func TestEveryModeIsDecoded(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 1<<10)
	for _, mode := range modes() {
		for name, chunks := range map[string][]string{
			"nothing": nil, "one byte": {"x"}, "one chunk": {big}, "many": {big, big[:8192], big + big, "end"}, "line ends": {"\r\n0\r\n\r\n"},
		} {
			t.Run(mode.String()+"/"+name, func(t *testing.T) {
				want := strings.Join(chunks, "")
				e := newEncoder(t, mode)
				body := e.encode(trailerOf(mode), chunks...)
				r := awschunked.NewReader(strings.NewReader(body), e.options(len(want)))
				if _, value := r.Trailer(); value != "" {
					t.Error("a trailer before the end")
				}
				got, err := io.ReadAll(r)
				if err != nil || string(got) != want {
					t.Fatalf("%d bytes of %d, %v", len(got), len(want), err)
				}
				if name, value := r.Trailer(); mode.Trailer() != (name+":"+value == trailer) {
					t.Errorf("trailer %q %q", name, value)
				}
				if _, err := r.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("after the end: %v", err)
				}
			})
		}
	}
}

// However the bytes arrive, the outcome is the same.
func TestReadsOfAnySizeAgree(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	chunk := strings.Repeat("a\r\n", 3000)
	for _, mode := range modes() {
		for name, slow := range map[string]func(io.Reader) io.Reader{
			"one byte": iotest.OneByteReader, "half": iotest.HalfReader, "data with EOF": iotest.DataErrReader,
			"any": func(r io.Reader) io.Reader { return &jerky{r, random} },
		} {
			e := newEncoder(t, mode)
			body := e.encode(trailerOf(mode), chunk, chunk, "end")
			r := awschunked.NewReader(slow(strings.NewReader(body)), e.options(2*len(chunk)+3))
			got, err := io.ReadAll(&jerky{r, random})
			if err != nil || string(got) != chunk+chunk+"end" {
				t.Errorf("%v, %s: %d bytes, %v", mode, name, len(got), err)
			}
		}
	}
}

// jerky reads pieces of random sizes.
type jerky struct {
	r      io.Reader
	random *rand.Rand
}

func (j *jerky) Read(p []byte) (int, error) {
	return j.r.Read(p[:min(len(p), 1+j.random.IntN(5000))])
}

// A byte changed anywhere is noticed: in the signed modes by a signature or
// the framing. No bytes but those of the chunks ever come out.
func TestEveryByteOfASignedBodyCounts(t *testing.T) {
	for _, mode := range []sigv4.Payload{sigv4.PayloadSigned, sigv4.PayloadSignedTrailer} {
		length := len(newEncoder(t, mode).encode(trailerOf(mode), "some bytes"))
		for i := range length {
			e := newEncoder(t, mode)
			body := []byte(e.encode(trailerOf(mode), "some bytes"))
			body[i] ^= 1
			got, err := io.ReadAll(awschunked.NewReader(bytes.NewReader(body), e.options(10)))
			if isCaseOnly(body, i) && err == nil {
				continue // "A" and "a" are the same size
			}
			if err == nil {
				t.Errorf("%v: byte %d changed to %q goes unnoticed", mode, i, body[i])
			}
			if len(got) > 10 {
				t.Errorf("%v: byte %d changed: %d bytes", mode, i, len(got))
			}
		}
	}
}

func isCaseOnly(body []byte, i int) bool { return i == 0 && body[i]|0x20 == 'a' }

// A body cut off anywhere is incomplete.
func TestCutBodiesAreIncomplete(t *testing.T) {
	for _, mode := range modes() {
		length := len(newEncoder(t, mode).encode(trailerOf(mode), "some bytes"))
		for i := range length {
			e := newEncoder(t, mode)
			body := e.encode(trailerOf(mode), "some bytes")
			_, err := io.ReadAll(awschunked.NewReader(strings.NewReader(body[:i]), e.options(10)))
			if mode == sigv4.PayloadSignedTrailer && i == length-2 && err == nil {
				continue // all there but the last empty line
			}
			expectRefusal(t, err, s3code.IncompleteBody, "")
		}
	}
}

func TestUnsignedBodiesThatAreRefused(t *testing.T) {
	const crc = "x-amz-checksum-crc64nvme"
	for _, c := range []struct {
		body     string
		declared int
		trailer  string
		code     s3code.Code
		message  string
	}{
		{"A\ndummy data\r\n0\r\n\r\n", 10, "", s3code.IncompleteBody, "terminated unexpectedly"},
		{"A\r\ndummy data0\r\n\r\n", 10, "", s3code.IncompleteBody, "terminated unexpectedly"},
		{"A\r\nXYZ\r\ndummy data\r\n0\r\n\r\n", 10, "", s3code.IncompleteBody, "terminated unexpectedly"},
		{"B\r\ndummy data\r\n0\r\n\r\n", 10, "", s3code.IncompleteBody, "terminated unexpectedly"},
		{"A\r\ndummy data\r\n0\r\n", 10, "", s3code.IncompleteBody, "terminated unexpectedly"},
		{"A\r\ndummy data\r\n0\r\n" + crc + ":dPVWc2vU1+Q=\r\n", 10, crc, s3code.IncompleteBody, "terminated unexpectedly"},
		{"A\r\n", 10, "", s3code.IncompleteBody, "terminated unexpectedly"},
		{"ten\r\ndummy data\r\n0\r\n\r\n", 10, "", s3code.IncompleteBody, "terminated unexpectedly"},
		{"-1\r\ndummy data\r\n0\r\n\r\n", 10, "", s3code.IncompleteBody, "terminated unexpectedly"},
		{"+A\r\ndummy data\r\n0\r\n\r\n", 10, "", s3code.IncompleteBody, "terminated unexpectedly"},
		{"ffffffffffffffff\r\ndummy data\r\n0\r\n\r\n", 10, "", s3code.IncompleteBody, "terminated unexpectedly"},
		{strings.Repeat("0", 300) + "\r\n\r\n", 0, "", s3code.IncompleteBody, "terminated unexpectedly"},
		{strings.Repeat("0", 9000) + "\r\n\r\n", 0, "", s3code.IncompleteBody, "terminated unexpectedly"},
		{"A\r\ndummy data\r\n0\r\n\r\nmore", 10, "", s3code.IncompleteBody, "terminated unexpectedly"},
		{"b\r\nabcdefghijk\r\n0\r\n\r\n", 5, "", s3code.IncompleteBody, "did not provide the number of bytes"},
		{"b\r\nabcdefghijk\r\n0\r\n\r\n", 200, "", s3code.IncompleteBody, "did not provide the number of bytes"},
		{"7fffffffffffffff\r\nabc", 1, "", s3code.IncompleteBody, "did not provide the number of bytes"},
		{"5\r\nhello\r\n0\r\n\r\n", 5, crc, s3code.MalformedTrailerError, ""},
		{"5\r\nhello\r\n0\r\n:M3eFcAZSQlc=\r\n\r\n", 5, crc, s3code.MalformedTrailerError, ""},
		{"5\r\nhello\r\n0\r\n" + crc + ":M3eFcAZSQlc=\r\n\r\n", 5, "", s3code.MalformedTrailerError, ""},
		{"5\r\nhello\r\n0\r\ninvalid_trailer:M3eFcAZSQlc=\r\n\r\n", 5, crc, s3code.MalformedTrailerError, ""},
		{"5\r\nhello\r\n0\r\n" + crc + ":M3eFcAZSQlc=\r\nx-amz-more:1\r\n\r\n", 5, crc, s3code.IncompleteBody, "terminated unexpectedly"},
		{"5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n", 10, "", s3code.InvalidChunkSizeError, ""},
	} {
		o := awschunked.Options{Payload: sigv4.PayloadUnsignedTrailer, DecodedBytes: int64(c.declared), Trailer: c.trailer}
		got, err := io.ReadAll(awschunked.NewReader(strings.NewReader(c.body), o))
		if len(got) > c.declared {
			t.Errorf("%.60q: %d bytes", c.body, len(got))
		}
		t.Logf("%.60q", c.body)
		expectRefusal(t, err, c.code, c.message)
	}
}

func TestUnsignedBodyMayHaveNoTrailer(t *testing.T) {
	o := awschunked.Options{Payload: sigv4.PayloadUnsignedTrailer, DecodedBytes: 11}
	got, err := io.ReadAll(awschunked.NewReader(strings.NewReader("B\r\nhello world\r\n0\r\n\r\n"), o))
	if err != nil || string(got) != "hello world" {
		t.Errorf("%q %v", got, err)
	}
}

func TestSmallChunksNameThemselves(t *testing.T) {
	e := newEncoder(t, sigv4.PayloadSigned)
	body := e.encode("", strings.Repeat("a", 8192), "small", "end")
	_, err := io.ReadAll(awschunked.NewReader(strings.NewReader(body), e.options(8200)))
	var refusal *s3code.Error
	if !errors.As(err, &refusal) || refusal.Code != s3code.InvalidChunkSizeError || len(refusal.Details) != 2 ||
		refusal.Details[0].Value != "2" || refusal.Details[1].Value != "5" {
		t.Errorf("%+v", refusal)
	}
}

func TestSignedTrailersThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, sent, declared string
		code                 s3code.Code
	}{
		{"another name", "x-amz-checksum-sha1:YR/1TvTYOJz5gtqVFoBJBtmTibY=", "x-amz-checksum-crc32c", s3code.MalformedTrailerError},
		{"none sent", "", "x-amz-checksum-crc32c", s3code.MalformedTrailerError},
		{"none announced", trailer, "", s3code.MalformedTrailerError},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEncoder(t, sigv4.PayloadSignedTrailer)
			body := e.encode(c.sent, "some bytes")
			o := e.options(10)
			o.Trailer = c.declared
			_, err := io.ReadAll(awschunked.NewReader(strings.NewReader(body), o))
			expectRefusal(t, err, c.code, "")
		})
	}
	e := newEncoder(t, sigv4.PayloadSignedTrailer)
	body := strings.Replace(e.encode(trailer, "some bytes"), "sOO8", "sOO9", 1)
	r := awschunked.NewReader(strings.NewReader(body), e.options(10))
	_, err := io.ReadAll(r)
	expectRefusal(t, err, s3code.SignatureDoesNotMatch, "")
	if _, value := r.Trailer(); value != "" {
		t.Error("a trailer with a wrong signature")
	}
}

// What one widespread client sends: a bare line feed behind the trailer, then an empty line.
func TestLineFeedBehindTrailerIsUnderstood(t *testing.T) {
	e := newEncoder(t, sigv4.PayloadSignedTrailer)
	body := strings.Replace(e.encode(trailer, "some bytes"), trailer+"\r\n", trailer+"\n\r\n", 1)
	got, err := io.ReadAll(awschunked.NewReader(strings.NewReader(body), e.options(10)))
	if err != nil || string(got) != "some bytes" {
		t.Errorf("%q %v", got, err)
	}
}

// The same client without signatures sends two empty lines, and no more than two are an end.
func TestTwoEmptyLinesBehindTrailerAreUnderstood(t *testing.T) {
	e := newEncoder(t, sigv4.PayloadUnsignedTrailer)
	body := strings.Replace(e.encode(trailer, "some bytes"), trailer+"\r\n", trailer+"\n\r\n", 1)
	got, err := io.ReadAll(awschunked.NewReader(strings.NewReader(body), e.options(10)))
	if err != nil || string(got) != "some bytes" {
		t.Errorf("%q %v", got, err)
	}
	_, err = io.ReadAll(awschunked.NewReader(strings.NewReader(body+"\r\n"), e.options(10)))
	expectRefusal(t, err, s3code.IncompleteBody, "terminated unexpectedly")
}

func TestErrorsOfTheConnectionPassThrough(t *testing.T) {
	broken := errors.New("connection reset")
	for _, mode := range modes() {
		length := len(newEncoder(t, mode).encode(trailerOf(mode), "some bytes"))
		for i := range length {
			e := newEncoder(t, mode)
			body := e.encode(trailerOf(mode), "some bytes")
			_, err := io.ReadAll(awschunked.NewReader(io.MultiReader(strings.NewReader(body[:i]), iotest.ErrReader(broken)), e.options(10)))
			if !errors.Is(err, broken) {
				t.Errorf("%v, broken after %d bytes: %v", mode, i, err)
			}
		}
	}
}

func TestOptionsComeFromHeaders(t *testing.T) {
	signed := &sigv4.Signed{Payload: sigv4.PayloadUnsignedTrailer}
	for value, ok := range map[string]bool{"": false, "x": false, "-1": false, "+1": false, "0": true, "17": true, "99999999999999999999": false} {
		h := http.Header{}
		h.Set("X-Amz-Decoded-Content-Length", value)
		h.Set("X-Amz-Trailer", " X-Amz-Checksum-CRC32 ")
		o, err := awschunked.OptionsOf(h, signed)
		if !ok {
			expectRefusal(t, err, s3code.MissingContentLength, "")
		} else if err != nil || o.Trailer != "x-amz-checksum-crc32" || o.Payload != signed.Payload {
			t.Errorf("%q: %+v %v", value, o, err)
		}
	}
}

func TestTransferCodingIsNotStored(t *testing.T) {
	for in, want := range map[string]string{
		"aws-chunked": "", "": "", "gzip": "gzip", "aws-chunked,gzip": "gzip", "gzip, AWS-Chunked , br": "gzip, br", "aws-chunked,": "",
		"deflate, gzip": "deflate, gzip", "deflate,gzip": "deflate,gzip", " aws-chunked, gzip ": "gzip",
	} {
		if got := awschunked.StripEncoding(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	chunk := strings.Repeat("a", 64<<10)
	chunks := make([]string, 64)
	for i := range chunks {
		chunks[i] = chunk
	}
	for _, mode := range []sigv4.Payload{sigv4.PayloadUnsignedTrailer, sigv4.PayloadSigned} {
		b.Run(mode.String(), func(b *testing.B) {
			b.SetBytes(int64(len(chunk) * len(chunks)))
			b.ReportAllocs()
			p := make([]byte, 64<<10)
			for b.Loop() {
				b.StopTimer()
				e := newEncoder(b, mode)
				body := e.encode(trailerOf(mode), chunks...)
				b.StartTimer()
				r := awschunked.NewReader(strings.NewReader(body), e.options(len(chunk)*len(chunks)))
				for {
					if _, err := r.Read(p); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
