package checksum

import "testing"

func TestTableIsThatOfThePolynomial(t *testing.T) {
	f := fieldOf(CRC64NVME)
	for zeros := range crc64Table {
		for b, got := range crc64Table[zeros] {
			want := uint64(b)
			for range 8 * (1 + zeros) {
				want = want>>1 ^ crc64Poly&-(want&1)
			}
			if got != want {
				t.Fatalf("byte %d with %d behind it: %x, want %x", b, zeros, got, want)
			}
		}
	}
	one := uint64(1) << 63 // x^0
	if f.shift(one, laneBytes) != crc64Lane || f.shift(one, 2*laneBytes) != crc64Lanes {
		t.Errorf("lanes: %x %x", f.shift(one, laneBytes), f.shift(one, 2*laneBytes))
	}
}
