package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

// sampleResults are two rounds of two rows on three subjects.
func sampleResults() *results {
	r := newResults(2)
	for subject, values := range map[string][2]float64{nativeName: {10e-6, 12e-6}, loopbackName: {20e-6, 20e-6}, etagfsName: {30e-6, 60e-6}} {
		for i, value := range values {
			r.add(measure.At(rowCreate, subject), i+1, measurement{value: value})
		}
	}
	r.add(measure.At(rowCreate, etagfsName), 0, measurement{value: 1, requests: requestCounts{"LOOKUP": 1, "CREATE": 1, "FLUSH": 1.5, "RELEASE": 1}})
	r.add(measure.At(rowOverwrite, nativeName), 2, measurement{value: 0.25})
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
		for _, c := range []measure.Cell{b.Value, b.Reference} {
			if c != (measure.Cell{}) && (!rows[c.Row] || !subjects[c.Subject]) {
				t.Errorf("%s: no such row or subject: %+v", b.Text, c)
			}
		}
	}
	var out bytes.Buffer
	count, err := measure.PrintBars(&out, false, bars(), sampleResults().values)
	if err != nil || count != 1 {
		t.Fatalf("%d bars are missed, %v", count, err)
	}
	missed := regexp.MustCompile(`create\+write\+close against loopback +at most 0\.5 +2\.25 \(1\.5\.\.3\) +missed`)
	if !missed.MatchString(out.String()) || strings.Count(out.String(), "not measured") != len(bars())-1 {
		t.Errorf("got\n%s", out.String())
	}
}
