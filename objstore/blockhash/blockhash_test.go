package blockhash

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

// sample is n bytes, byte i of which is i*31 + i/256.
func sample(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*31 + i>>8)
	}
	return p
}

func hexOf(d Digest) string { return hex.EncodeToString(d[:]) }

// The answers are those of xxhsum -H2; the last is that of two blocks' digests.
var answers = []struct {
	name    string
	content []byte
	want    string
}{
	{"nothing", nil, "99aa06d3014798d86001c324468d497f"},
	{"a", []byte("a"), "a96faf705af16834e6c632b61e964e1f"},
	{"abc", []byte("abc"), "06b05ab6733a618578af5f94892f3950"},
	{"100,000 bytes", sample(100_000), "1ceab015e15e2ba199dbd27fc89c5372"},
	{"a block", sample(BlockBytes), "8db55a0dfac1a607b4d38e5bfd34a8da"},
	{"a block of zeros", make([]byte, BlockBytes), "34001ae2f947e773165f453a5f35c459"},
	{"a block and three bytes", sample(BlockBytes + 3), "a259467c3be5429a58224b455825485c"},
}

func TestKnownAnswers(t *testing.T) {
	for _, a := range answers {
		var h Hasher
		h.Write(a.content)
		if got := hexOf(h.Sum()); got != a.want {
			t.Errorf("%s: %s instead of %s", a.name, got, a.want)
		}
		if int64(len(a.content)) <= BlockBytes && hexOf(Of(a.content)) != a.want {
			t.Errorf("%s: Of differs from the stream", a.name)
		}
	}
}

func TestZerosAreZeros(t *testing.T) {
	for _, n := range []int64{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, BlockBytes - 1, BlockBytes} {
		if Zeros(n) != Of(make([]byte, n)) {
			t.Errorf("%d zeros have another digest than the bytes", n)
		}
	}
}

// TestWritesMayBeCutAnywhere: the hash is that of the bytes, however they come, and
// what was asked for on the way changes nothing.
func TestWritesMayBeCutAnywhere(t *testing.T) {
	const seed = 1
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, size := range []int{0, 1, 1000, BlockBytes - 1, BlockBytes, BlockBytes + 1, 2 * BlockBytes, 3*BlockBytes + 12345} {
		content := sample(size)
		var want []Digest
		for at := 0; at < size; at += BlockBytes {
			want = append(want, Of(content[at:min(at+BlockBytes, size)]))
		}
		for range 3 {
			var h Hasher
			for at := 0; at < size; {
				n := min(1+rng.IntN(BlockBytes/2), size-at)
				if rng.IntN(2) == 0 {
					n = min(n, 4096)
				}
				h.Write(content[at : at+n])
				at += n
				if rng.IntN(4) == 0 {
					h.Blocks()
					h.Sum()
				}
				if h.Size() != int64(at) {
					t.Fatalf("size %d after %d bytes", h.Size(), at)
				}
			}
			if !equalDigests(h.Blocks(), want) || h.Sum() != Content(want) {
				t.Fatalf("%d bytes in pieces, seed %d: another hash", size, seed)
			}
			if int64(len(want)) != BlockCount(int64(size)) {
				t.Fatalf("%d blocks, counted %d", len(want), BlockCount(int64(size)))
			}
		}
	}
}

func equalDigests(a, b []Digest) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestResetStartsOver(t *testing.T) {
	var h Hasher
	h.Write(sample(BlockBytes + 5))
	before := h.Blocks()
	kept := bytes.Clone(before[0][:])
	h.Reset()
	if h.Size() != 0 || h.Sum() != Of(nil) {
		t.Error("something is left")
	}
	h.Write([]byte("abc"))
	if h.Sum() != Of([]byte("abc")) {
		t.Error("the old bytes count")
	}
	h.Write(make([]byte, BlockBytes))
	if !bytes.Equal(before[0][:], kept) {
		t.Error("digests handed out before have changed")
	}
}

func TestBlocksHandedOutStayAsTheyAre(t *testing.T) {
	var h Hasher
	h.Write(make([]byte, BlockBytes+1))
	blocks := h.Blocks()
	last := blocks[1]
	h.Write(sample(2 * BlockBytes))
	if blocks[1] != last {
		t.Error("writing on changed what was handed out")
	}
}

func TestOneByteChangesTheHash(t *testing.T) {
	content := sample(2*BlockBytes + 100)
	var h Hasher
	h.Write(content)
	want := h.Sum()
	for _, at := range []int{0, BlockBytes - 1, BlockBytes, 2*BlockBytes + 99} {
		content[at] ^= 1
		var h Hasher
		h.Write(content)
		if h.Sum() == want {
			t.Errorf("byte %d does not count", at)
		}
		content[at] ^= 1
	}
}
