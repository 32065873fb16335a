package objstore

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// What is put in place of a file is all of what was read, or nothing: a body that breaks off is an error.
func TestFillTakesABodyThatBreaksOffForNoEnd(t *testing.T) {
	for _, cause := range []error{io.ErrUnexpectedEOF, fmt.Errorf("read: %w", io.EOF)} {
		body := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(cause))
		if n, err := Fill(body, make([]byte, 10)); n != 4 || err != cause {
			t.Errorf("%v: %d, %v", cause, n, err)
		}
	}
	body := iotest.OneByteReader(strings.NewReader("whole"))
	if n, err := Fill(body, make([]byte, 10)); n != 5 || err != io.EOF {
		t.Errorf("whole: %d, %v", n, err)
	}
}
