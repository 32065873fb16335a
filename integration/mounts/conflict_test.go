package mounts

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

func TestSecondCloseLosesWithEBUSYAndIsKept(t *testing.T) {
	m := mounttest.Start(t, mounttest.Options{})
	path := m.Path("f")
	if err := os.WriteFile(path, []byte("base"), 0o644); err != nil {
		t.Fatal(err)
	}
	a, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	a.WriteString("AAAA")
	b.WriteString("BBBB")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); !errors.Is(err, syscall.EBUSY) {
		t.Fatalf("second close: %v", err)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != "AAAA" {
		t.Fatalf("%q %v", got, err)
	}
}
