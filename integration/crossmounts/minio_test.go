package crossmounts

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/integration/internal/foreign"
)

// minioVariable names the program of a MinIO server, if it is another than the usual one.
const minioVariable = "ETAGFS_MINIO"

// minioProgram is the program of a MinIO server. It takes long to build, so that is done only if asked for.
func minioProgram(t *testing.T) string {
	t.Helper()
	if program := os.Getenv(minioVariable); program != "" {
		return program
	}
	if !foreign.InCache(foreign.MinIO) && !slices.Contains(strings.Split(os.Getenv("ETAGFS_REQUIRE"), ","), "minio") {
		t.Skip("needs minio: make crossmounts builds it")
	}
	program, err := foreign.Program(t.Context(), foreign.MinIO)
	if err != nil {
		t.Skipf("needs minio: %v", err)
	}
	return program
}
