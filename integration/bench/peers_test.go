package main

import (
	"math"
	"testing"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

func TestAPeersBarIsAThirdOfItOrNative(t *testing.T) {
	values := measure.Values{
		measure.At("slow", s3fsName): {30, 30}, measure.At("slow", nativeName): {1, 1}, measure.At("slow", etagfsName): {9, 10},
		measure.At("near", s3fsName): {1, 1}, measure.At("near", nativeName): {9, 9}, measure.At("near", etagfsName): {11, 11},
		measure.At("else", loopbackName): {1, 1}, measure.At("else", nativeName): {1, 1},
	}
	bars := peerBars(values)
	if len(bars) != 2 {
		t.Fatalf("%d bars, want one for each row of the peer", len(bars))
	}
	for i, want := range []struct {
		ratio float64
		met   bool
	}{{11 * 0.9 / 9, false}, {0.95, true}} {
		if v := bars[i].Judge(values); math.Abs(v.Measured.Median-want.ratio) > 1e-9 || v.Met != want.met {
			t.Errorf("%s: %+v, want %v", bars[i].Text, v, want)
		}
	}
}
