package checksum_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/etagfs/etagfs/objstore/s3server/internal/checksum"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

func expectRefusal(t *testing.T, err error, code s3code.Code, message string) {
	t.Helper()
	var e *s3code.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Text(), message) {
		t.Errorf("%v, want %v: %s", err, code, message)
	}
}

// sumOf is the checksum of p by one algorithm.
func sumOf(a checksum.Algorithm, p []byte) checksum.Value {
	h := checksum.NewHashes(a)
	h.Write(p)
	return h.Sum(a)
}

func randomBytes(t *testing.T, n int) ([]byte, *rand.Rand) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(random.Uint32())
	}
	return p, random
}

// Published values of "123456789", the empty string and "a".
func TestPublishedValues(t *testing.T) {
	for _, c := range []struct {
		a    checksum.Algorithm
		text string
		want string
	}{
		{checksum.CRC32, "123456789", "cbf43926"},
		{checksum.CRC32C, "123456789", "e3069283"},
		{checksum.CRC64NVME, "123456789", "ae8b14860a799888"},
		{checksum.CRC64NVME, "", "0000000000000000"},
		{checksum.SHA1, "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		{checksum.SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{checksum.SHA512, "", "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"},
		{checksum.MD5, "", "d41d8cd98f00b204e9800998ecf8427e"},
		{checksum.XXHASH64, "", "ef46db3751d8e999"},
		{checksum.XXHASH64, "a", "d24ec4f1a98c6e5b"},
		{checksum.XXHASH64, "123456789", "8cb841db40e6ae83"},
		{checksum.XXHASH3, "", "2d06800538d394c2"},
		{checksum.XXHASH128, "", "99aa06d3014798d86001c324468d497f"},
	} {
		if got := hex.EncodeToString([]byte(sumOf(c.a, []byte(c.text)).Digest)); got != c.want {
			t.Errorf("%v of %q: %s, want %s", c.a, c.text, got, c.want)
		}
	}
	// Values S3 itself gives.
	for text, want := range map[string]string{"hello world": "jSnVw/bqjr4=", "hello": "M3eFcAZSQlc=", "dummy data": "dPVWc2vU1+Q="} {
		if got := sumOf(checksum.CRC64NVME, []byte(text)).String(); got != want {
			t.Errorf("CRC64NVME of %q: %s, want %s", text, got, want)
		}
	}
}

// One number over all lengths up to 1,000, from another implementation.
func TestXXHash64OfAllLengths(t *testing.T) {
	p := make([]byte, 1000)
	for i := range p {
		p[i] = byte(i*7 + i/256)
	}
	all := checksum.NewHashes(checksum.XXHASH64)
	for n := range len(p) + 1 {
		fmt.Fprintf(all, "%x", sumOf(checksum.XXHASH64, p[:n]).Digest)
	}
	if got := hex.EncodeToString([]byte(all.Sum(checksum.XXHASH64).Digest)); got != "e8965ccefe17278e" {
		t.Error(got)
	}
}

func TestCRC64AgreesWithTheStandardLibrary(t *testing.T) {
	p, random := randomBytes(t, 200<<10)
	table := crc64.MakeTable(0x9a6c9329ac4bc9b5)
	for _, n := range []int{0, 1, 7, 8, 9, 15<<10 - 1, 15 << 10, 15<<10 + 1, 30 << 10, 200 << 10, random.IntN(200 << 10)} {
		from := random.IntN(len(p) - n + 1)
		want := crc64.Checksum(p[from:from+n], table)
		if got := sumOf(checksum.CRC64NVME, p[from:from+n]); got.Digest != string(be64(want)) {
			t.Errorf("%d bytes: %x, want %x", n, got.Digest, want)
		}
	}
}

func be64(n uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(n >> (56 - 8*i))
	}
	return b
}

// However the bytes arrive, each algorithm gives what it gives alone.
func TestSeveralAtOnceInOnePass(t *testing.T) {
	p, random := randomBytes(t, 100<<10)
	all := checksum.Algorithms()
	h := checksum.NewHashes(append(all, all...)...)
	got, err := io.ReadAll(h.Reader(&jerky{bytes.NewReader(p), random}))
	if err != nil || !bytes.Equal(got, p) || h.Bytes() != int64(len(p)) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	for _, a := range all {
		want := sumOf(a, p)
		if h.Sum(a) != want || len(want.Digest) != a.Bytes() || want.Type != checksum.FullObject {
			t.Errorf("%v: %v, want %v", a, h.Sum(a), want)
		}
		if err := h.Verify(want); err != nil {
			t.Error(err)
		}
	}
	if _, err := io.ReadAll(h.Reader(iotest.ErrReader(io.ErrNoProgress))); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}

type jerky struct {
	r      io.Reader
	random *rand.Rand
}

func (j *jerky) Read(p []byte) (int, error) { return j.r.Read(p[:min(len(p), 1+j.random.IntN(20000))]) }

func TestMismatchesAreTold(t *testing.T) {
	h := checksum.NewHashes(checksum.Algorithms()...)
	io.WriteString(h, "some bytes")
	for _, a := range checksum.Algorithms() {
		expectRefusal(t, h.Verify(sumOf(a, []byte("other bytes"))), s3code.BadDigest,
			"The "+a.String()+" you specified did not match the calculated checksum.")
	}
	expectRefusal(t, h.VerifyMD5(sumOf(checksum.MD5, nil).Digest), s3code.BadDigest, "The Content-MD5 you specified did not match what we received.")
	expectRefusal(t, h.VerifySHA256([32]byte{}), s3code.XAmzContentSHA256Mismatch, "")
	if err := h.VerifyMD5(sumOf(checksum.MD5, []byte("some bytes")).Digest); err != nil {
		t.Error(err)
	}
	if err := h.VerifySHA256([32]byte([]byte(sumOf(checksum.SHA256, []byte("some bytes")).Digest))); err != nil {
		t.Error(err)
	}
	none := checksum.NewHashes()
	expectRefusal(t, none.Verify(none.Sum(checksum.CRC32)), s3code.BadDigest, "")
	expectRefusal(t, none.VerifyMD5(""), s3code.BadDigest, "")
}

func TestValuesPrintAndParse(t *testing.T) {
	for _, a := range checksum.Algorithms() {
		v := sumOf(a, []byte("x"))
		for _, v := range []checksum.Value{v, {Algorithm: a, Type: checksum.Composite, Digest: v.Digest, Parts: 17}} {
			if got, err := checksum.ParseValue(a, v.String()); err != nil || got != v {
				t.Errorf("%v: %+v %v", v, got, err)
			}
		}
		good := v.String()
		for _, bad := range []string{
			"", "x", good + "A", good[:len(good)-1], good + "\n", " " + good, good + "-", good + "-0", good + "-x", good + "-10001", good + "-+1",
			good + "-01", base64.StdEncoding.EncodeToString([]byte(v.Digest + "x")),
		} {
			_, err := checksum.ParseValue(a, bad)
			expectRefusal(t, err, s3code.InvalidRequest, "Value for "+a.Header()+" header is invalid.")
		}
		_, err := checksum.ParseTrailer(a, "invalid")
		expectRefusal(t, err, s3code.InvalidRequest, "Value for "+a.Header()+" trailing header is invalid.")
	}
	if digest, err := checksum.ParseMD5("1B2M2Y8AsgTpgAmY7PhCfg=="); err != nil || digest != sumOf(checksum.MD5, nil).Digest {
		t.Errorf("%x %v", digest, err)
	}
	for _, bad := range []string{"", "x", "1B2M2Y8AsgTpgAmY7PhCfg", "AAAA"} {
		_, err := checksum.ParseMD5(bad)
		expectRefusal(t, err, s3code.InvalidDigest, "")
	}
}

func TestNamesAreFoundInAnyCase(t *testing.T) {
	for _, a := range checksum.Algorithms() {
		for _, name := range []string{a.String(), strings.ToLower(a.String())} {
			if got, ok := checksum.Parse(name); !ok || got != a {
				t.Errorf("%s: %v %v", name, got, ok)
			}
			if got, ok := checksum.OfHeader("X-Amz-Checksum-" + name); !ok || got != a {
				t.Errorf("%s: %v %v", name, got, ok)
			}
		}
		if h := a.New(); h.Size() != a.Bytes() || h.BlockSize() < 1 {
			t.Errorf("%v: size %d, blocks of %d", a, h.Size(), h.BlockSize())
		}
	}
	for _, name := range []string{"", "CRC", "SHA-256"} {
		if _, ok := checksum.Parse(name); ok {
			t.Errorf("%q was found", name)
		}
	}
	for _, typ := range []checksum.Type{checksum.FullObject, checksum.Composite} {
		if got, ok := checksum.ParseType(typ.String()); !ok || got != typ {
			t.Errorf("%v: %v %v", typ, got, ok)
		}
	}
	if _, ok := checksum.ParseType(""); ok {
		t.Error("no type was found")
	}
}
