package crossmounts

import (
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

func TestMain(m *testing.M) {
	mounttest.Main(m, map[string]mounttest.Role{
		"append":    mounttest.Append,
		"client":    work,
		"increment": mounttest.Increment,
		"replace":   mounttest.Replace,
	})
}
