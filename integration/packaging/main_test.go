package packaging

import (
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

func TestMain(m *testing.M) { mounttest.Main(m, nil) }
