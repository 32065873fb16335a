package checksum_test

import (
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server/internal/checksum"
)

func BenchmarkHashes(b *testing.B) {
	p := make([]byte, 256<<10)
	for _, a := range checksum.Algorithms() {
		b.Run(a.String(), func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			h := checksum.NewHashes(a)
			for b.Loop() {
				h.Write(p)
			}
		})
	}
	b.Run("CRC64NVME in 4 KiB", func(b *testing.B) {
		b.SetBytes(4 << 10)
		b.ReportAllocs()
		for b.Loop() {
			h := checksum.NewHashes(checksum.CRC64NVME)
			h.Write(p[:4<<10])
			h.Sum(checksum.CRC64NVME)
		}
	})
}

func BenchmarkCombine(b *testing.B) {
	one := sumOf(checksum.CRC64NVME, []byte("one")).Digest
	for b.Loop() {
		one = checksum.Combine(checksum.CRC64NVME, one, one, 5<<20)
	}
}
