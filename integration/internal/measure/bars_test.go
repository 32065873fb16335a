package measure

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func sampleValues() Values {
	return Values{At("put", "ours"): {30, 60, math.NaN()}, At("put", "theirs"): {20, 20, 20}}
}

func TestBarsAreJudgedByTheMedianOfPairs(t *testing.T) {
	value, reference := At("put", "ours"), At("put", "theirs")
	for _, c := range []struct {
		name string
		bar  Bar
		met  bool
	}{
		{"at most, above", RatioAtMost("", value, reference, 2.2), false},
		{"at most, equal", RatioAtMost("", value, reference, 2.25), true},
		{"at least, equal", RatioAtLeast("", value, reference, 2.25), true},
		{"at least, below", RatioAtLeast("", value, reference, 2.3), false},
		{"the value itself", Bar{Value: value, Limit: 45}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if v := c.bar.Judge(sampleValues()); !v.Known || v.Met != c.met {
				t.Errorf("%+v", v)
			}
		})
	}
	missing := RatioAtMost("", At("get", "ours"), reference, 1)
	if v := missing.Judge(sampleValues()); v.Known || v.Met || v.String() != "not measured" {
		t.Errorf("what was not measured is %+v, %s", v, v)
	}
}

func TestMissedBarsAreCounted(t *testing.T) {
	value, reference := At("put", "ours"), At("put", "theirs")
	bars := []Bar{RatioAtMost("few", value, reference, 1), RatioAtLeast("many", value, reference, 2), RatioAtMost("none", At("get", "ours"), reference, 1)}
	var table, objects bytes.Buffer
	inTable, err := PrintBars(&table, false, bars, sampleValues())
	if err != nil {
		t.Fatal(err)
	}
	asObjects, err := PrintBars(&objects, true, bars, sampleValues())
	if err != nil {
		t.Fatal(err)
	}
	if inTable != 1 || asObjects != 1 {
		t.Errorf("%d and %d bars are missed", inTable, asObjects)
	}
	want := `bar   limit       measured (least..most)  
few   at most 1   2.25 (1.5..3)           missed
many  at least 2  2.25 (1.5..3)           met
none  at most 1   -                       not measured
`
	if table.String() != want {
		t.Errorf("got\n%s\nwant\n%s", table.String(), want)
	}
	var first struct {
		Bar      string
		Measured float64
		Met      bool
	}
	if err := json.Unmarshal([]byte(strings.Split(objects.String(), "\n")[0]), &first); err != nil || first.Bar != "few" || first.Measured != 2.25 || first.Met {
		t.Errorf("%+v, %v, of %s", first, err, objects.String())
	}
}

func TestThreeDigits(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0", 1: "1", 0.02: "0.02", 1234567: "1234567", 12.345: "12.3", 0.98765: "0.988", 0.000123456: "0.000123", 99.96: "100",
	} {
		if got := Significant(value); got != want {
			t.Errorf("%v is written %q, want %q", value, got, want)
		}
	}
	for _, c := range []struct {
		unit  Unit
		value float64
		want  string
	}{
		{Seconds, 12.3e-6, "12.3 us"}, {Seconds, 0.5, "500 ms"}, {Seconds, 2.5, "2.5 s"},
		{PerSecond, 12345.6, "12346 /s"}, {PerSecond, 3.456, "3.46 /s"}, {Bytes, 39.5e6, "39.5 MB"}, {Ratio, 0.5, "0.5"},
	} {
		if got := c.unit.Format(c.value); got != c.want {
			t.Errorf("%v in %v is written %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}
