package crossmounts

import (
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

func TestMain(m *testing.M) {
	mounttest.Main(m, map[string]mounttest.Role{
		"append":    appendOften,
		"client":    work,
		"increment": mounttest.Increment,
	})
}
