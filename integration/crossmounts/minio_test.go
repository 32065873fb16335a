package crossmounts

import (
	"os"
	"testing"
)

// minioVariable names the program of a MinIO server.
const minioVariable = "ETAGFS_MINIO"

// minioProgram is the program of a MinIO server.
func minioProgram(t *testing.T) string {
	t.Helper()
	program := os.Getenv(minioVariable)
	if program == "" {
		t.Skipf("needs minio: %s does not name one", minioVariable)
	}
	return program
}
