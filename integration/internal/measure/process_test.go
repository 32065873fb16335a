package measure

import (
	"os"
	"testing"
)

func TestAProcessIsMeasured(t *testing.T) {
	p := Process(os.Getpid())
	before, err := p.ProcessorTime()
	if err != nil {
		t.Fatal(err)
	}
	for used := before; used <= before; { // ends with the next tick of work
		if used, err = p.ProcessorTime(); err != nil {
			t.Fatal(err)
		}
	}
	memory, err := p.AnonymousBytes()
	if err != nil || memory < 1e5 {
		t.Errorf("%v bytes, %v", memory, err)
	}
}
