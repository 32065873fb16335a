package blockhash

import "testing"

func TestZerosAreTheDigestOfZeros(t *testing.T) {
	for _, n := range []int{0, 1, 4096, 64<<10 - 1, 64 << 10, 64<<10 + 1, BlockBytes - 1, BlockBytes} {
		if got, want := Zeros(int64(n)), Of(make([]byte, n)); got != want {
			t.Errorf("Zeros(%d) = %x, want %x", n, got, want)
		}
	}
}
