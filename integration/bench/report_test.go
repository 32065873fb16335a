package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
)

// sampleResults are two rounds of two rows on three subjects.
func sampleResults() *results {
	r := newResults(2)
	for subject, values := range map[string][2]float64{nativeName: {10e-6, 12e-6}, loopbackName: {20e-6, 20e-6}, etagfsName: {30e-6, 60e-6}} {
		for i, value := range values {
			r.add(cell{rowCreate, subject}, i+1, measurement{value: value})
		}
	}
	r.add(cell{rowCreate, etagfsName}, 0, measurement{value: 1, requests: requestCounts{"LOOKUP": 1, "CREATE": 1, "FLUSH": 1.5, "RELEASE": 1}})
	r.add(cell{rowOverwrite, nativeName}, 2, measurement{value: 0.25})
	return r
}

func sampleRows() ([]row, []string, []string) {
	return []row{{name: rowCreate}, {name: rowOverwrite}}, []string{nativeName, loopbackName, etagfsName}, []string{nativeName, loopbackName}
}

func TestReportIsATable(t *testing.T) {
	var out bytes.Buffer
	rows, subjects, references := sampleRows()
	if err := (report{out: &out}).rows("small files", "4 KiB each", rows, subjects, references, sampleResults()); err != nil {
		t.Fatal(err)
	}
	want := `small files: 4 KiB each

row                 subject   median  least..most     vs native       vs loopback    requests
create+write+close  native    11 us   10 us..12 us    -               -              -
                    loopback  20 us   20 us..20 us    1.83 (1.67..2)  -              -
                    etagfs    45 us   30 us..60 us    4 (3..5)        2.25 (1.5..3)  3.5
overwrite           native    250 ms  250 ms..250 ms  -               -              -

requests of create+write+close  etagfs  FLUSH 1.5, CREATE 1, LOOKUP 1, RELEASE 1

`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReportAsJSONHasOneObjectPerMeasurement(t *testing.T) {
	var out bytes.Buffer
	rows, subjects, references := sampleRows()
	if err := (report{out: &out, json: true}).rows("small files", "", rows, subjects, references, sampleResults()); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(&out)
	measured, counted := 0, 0
	for {
		var object struct {
			Round    int
			Unit     string
			Value    float64
			Requests map[string]float64
		}
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if object.Round == 0 {
			counted += len(object.Requests)
		} else if object.Unit == "seconds" && object.Value > 0 {
			measured++
		}
	}
	if measured != 7 || counted != 4 {
		t.Errorf("%d measurements and %d kinds of requests, want 7 and 4", measured, counted)
	}
}

func TestThreeDigits(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0", 1: "1", 0.02: "0.02", 1234567: "1234567", 12.345: "12.3", 0.98765: "0.988", 0.000123456: "0.000123", 99.96: "100",
	} {
		if got := significant(value); got != want {
			t.Errorf("%v is written %q, want %q", value, got, want)
		}
	}
	for _, c := range []struct {
		unit  unit
		value float64
		want  string
	}{
		{unitSeconds, 12.3e-6, "12.3 us"}, {unitSeconds, 0.5, "500 ms"}, {unitSeconds, 2.5, "2.5 s"},
		{unitPerSecond, 12345.6, "12346 /s"}, {unitBytes, 39.5e6, "39.5 MB"}, {unitRatio, 0.5, "0.5"},
	} {
		if got := c.unit.format(c.value); got != c.want {
			t.Errorf("%v in %v is written %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}

func TestBarsAreJudgedByTheMedianOfPairs(t *testing.T) {
	faster := bar{value: cell{rowCreate, etagfsName}, reference: cell{rowCreate, loopbackName}, limit: 1}
	for _, c := range []struct {
		name    string
		limit   float64
		atLeast bool
		met     bool
	}{
		{"at most, above", 2.2, false, false},
		{"at most, equal", 2.25, false, true},
		{"at least, equal", 2.25, true, true},
		{"at least, below", 2.3, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := faster
			b.limit, b.atLeast = c.limit, c.atLeast
			if v := b.judge(sampleResults()); !v.known || v.met != c.met {
				t.Errorf("%+v", v)
			}
		})
	}
	missing := bar{value: cell{rowBigWrite, etagfsName}, limit: 1}
	if v := missing.judge(sampleResults()); v.known || v.met || v.word() != "not measured" {
		t.Errorf("what was not measured is %+v, %s", v, v.word())
	}
}

func TestBarsNameRowsAndSubjectsThatExist(t *testing.T) {
	rows := make(map[string]bool)
	for _, table := range new(bench).tables() {
		for _, s := range table.scenarios {
			for _, row := range s.rows() {
				if rows[row.name] {
					t.Errorf("two rows are called %s", row.name)
				}
				rows[row.name] = true
			}
		}
	}
	for _, row := range memoryRows() {
		rows[row.name] = true
	}
	subjects := map[string]bool{nativeName: true, loopbackName: true, etagfsName: true, storeName: true, storeMountName: true, badgerName: true}
	for _, b := range bars() {
		for _, c := range []cell{b.value, b.reference} {
			if c != (cell{}) && (!rows[c.row] || !subjects[c.subject]) {
				t.Errorf("%s: no such row or subject: %+v", b.text, c)
			}
		}
	}
	var out bytes.Buffer
	count, err := (report{out: &out}).bars(bars(), sampleResults())
	if err != nil || count != 1 {
		t.Fatalf("%d bars are missed, %v", count, err)
	}
	missed := regexp.MustCompile(`create\+write\+close against loopback +at most 1 +2\.25 \(1\.5\.\.3\) +missed`)
	if !missed.MatchString(out.String()) || strings.Count(out.String(), "not measured") != len(bars())-1 {
		t.Errorf("got\n%s", out.String())
	}
}
