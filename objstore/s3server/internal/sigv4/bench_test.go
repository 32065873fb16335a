package sigv4_test

import "testing"

func BenchmarkVerify(b *testing.B) {
	b.Run("header", func(b *testing.B) {
		v, r := verifierAt(exampleTime()), headerExamples()["get object"]
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("query", func(b *testing.B) {
		v, r := verifierAt(exampleTime()), presignedExample()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
