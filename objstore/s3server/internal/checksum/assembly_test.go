package checksum_test

import (
	"fmt"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server/internal/checksum"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

func crcs() []checksum.Algorithm {
	return []checksum.Algorithm{checksum.CRC32, checksum.CRC32C, checksum.CRC64NVME}
}

// The table of multipart checksum types.
func TestWhichTypesAnUploadMayHave(t *testing.T) {
	full := map[checksum.Algorithm]bool{checksum.CRC32: true, checksum.CRC32C: true, checksum.CRC64NVME: true}
	for _, a := range checksum.Algorithms() {
		_, err := checksum.NewAssembly(a, checksum.FullObject)
		if full[a] != (err == nil) {
			t.Errorf("%v, full object: %v", a, err)
		}
		if !full[a] {
			expectRefusal(t, err, s3code.InvalidRequest, "The FULL_OBJECT checksum type cannot be used with the ")
		}
		_, err = checksum.NewAssembly(a, checksum.Composite)
		if composite := a != checksum.CRC64NVME; composite != (err == nil) || composite != (a.DefaultType() == checksum.Composite) {
			t.Errorf("%v, composite: %v", a, err)
		}
	}
	if checksum.CRC64NVME.DefaultType() != checksum.FullObject || checksum.CRC32.Allows(0) {
		t.Error("default of CRC64NVME, or no type allowed")
	}
	_, err := checksum.NewAssembly(checksum.CRC64NVME, checksum.Composite)
	expectRefusal(t, err, s3code.InvalidRequest, "The COMPOSITE checksum type cannot be used with the crc64nvme checksum algorithm.")
}

// CRCs of parts make the CRC of the whole, wherever it is cut.
func TestCombinedIsTheWhole(t *testing.T) {
	p, random := randomBytes(t, 40<<10)
	for _, a := range crcs() {
		whole := sumOf(a, p)
		for range 20 {
			assembly, err := checksum.NewAssembly(a, checksum.FullObject)
			if err != nil {
				t.Fatal(err)
			}
			rest := p
			for len(rest) > 0 {
				n := 1 + random.IntN(len(rest))
				if err := assembly.Add(sumOf(a, rest[:n]), int64(n)); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if assembly.Sum() != whole {
				t.Errorf("%v: %v, want %v", a, assembly.Sum(), whole)
			}
		}
		if got := checksum.Combine(a, whole.Digest, sumOf(a, nil).Digest, 0); got != whole.Digest {
			t.Errorf("%v and nothing: %x, want %x", a, got, whole.Digest)
		}
		if got := checksum.Combine(a, sumOf(a, nil).Digest, whole.Digest, int64(len(p))); got != whole.Digest {
			t.Errorf("nothing and %v: %x, want %x", a, got, whole.Digest)
		}
	}
	if checksum.Combine(checksum.SHA256, "", "", 1) != "" {
		t.Error("SHA-256 was combined")
	}
}

// Joining is associative, for lengths no test could hash.
func TestCombiningIsAssociative(t *testing.T) {
	_, random := randomBytes(t, 0)
	for _, a := range crcs() {
		for range 50 {
			x, y, z := sumOf(a, fmt.Append(nil, random.Uint64())).Digest, sumOf(a, fmt.Append(nil, random.Uint64())).Digest, sumOf(a, []byte("z")).Digest
			n, m := random.Int64N(1<<43), random.Int64N(1<<43)
			left := checksum.Combine(a, checksum.Combine(a, x, y, n), z, m)
			right := checksum.Combine(a, x, checksum.Combine(a, y, z, m), n+m)
			if left != right {
				t.Errorf("%v: %x and %x", a, left, right)
			}
		}
	}
}

func TestCompositeIsOverDigests(t *testing.T) {
	for _, a := range checksum.Algorithms() {
		assembly, err := checksum.NewAssembly(a, checksum.Composite)
		if err != nil {
			continue
		}
		one, two := sumOf(a, []byte("one")), sumOf(a, []byte("two"))
		for _, part := range []checksum.Value{one, two} {
			if err := assembly.Add(part, 3); err != nil {
				t.Fatal(err)
			}
		}
		want := checksum.Value{Algorithm: a, Type: checksum.Composite, Digest: sumOf(a, []byte(one.Digest+two.Digest)).Digest, Parts: 2}
		if assembly.Sum() != want {
			t.Errorf("%v, want %v", assembly.Sum(), want)
		}
	}
}

func TestPartsOfAnotherKindAreRefused(t *testing.T) {
	assembly, err := checksum.NewAssembly(checksum.CRC32, checksum.Composite)
	if err != nil {
		t.Fatal(err)
	}
	expectRefusal(t, assembly.Add(sumOf(checksum.SHA256, nil), 0), s3code.InvalidRequest,
		"Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: sha256")
	expectRefusal(t, assembly.Add(checksum.Value{}, 0), s3code.InvalidRequest, "actual checksum Type: null")
	composite := sumOf(checksum.CRC32, nil)
	composite.Type = checksum.Composite
	expectRefusal(t, assembly.Add(composite, 0), s3code.InvalidRequest, "")
}
