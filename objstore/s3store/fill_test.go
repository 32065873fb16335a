package s3store

import (
	"bytes"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// Of a body whose length is known a part takes what it is long, as --memory counts on, and not what a buffer grows to.
func TestAPartTakesWhatItIsLong(t *testing.T) {
	const partBytes = 1 << 20
	s := &Store{opt: Options{PartBytes: partBytes}, caps: objstore.Capabilities{ObjectBytesMax: 1 << 30}}
	body := bytes.NewReader(make([]byte, 2*partBytes+100))
	d := &draft{op: "put", opt: objstore.PutOptions{LengthKnown: true, Length: body.Size()}}
	var part bytes.Buffer
	for i, want := range []int{partBytes, partBytes, 100} {
		more, err := s.fill(t.Context(), d, &part, body)
		if err != nil || part.Len() != want || more != (want == partBytes) {
			t.Fatalf("part %d has %d bytes, more: %v, %v", i, part.Len(), more, err)
		}
		if most := partBytes + partBytes/4; part.Cap() > most {
			t.Errorf("part %d takes %d bytes, want at most %d", i, part.Cap(), most)
		}
	}
}
