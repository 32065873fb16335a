package s3clients_test

import (
	"path/filepath"
	"testing"
)

// What AWS was recorded to answer, by the names of the recordings in LocalStack's tests.
func TestRecordedConditionsOfAWS(t *testing.T) {
	serve(t).play(t, filepath.Join("testdata", "recorded.txt"))
}

// The conditions of ceph/s3-tests, which go beyond AWS: ETags in If-None-Match and "*" in If-Match of writes, deletes by
// size and time, and 204 for what is missing.
func TestConditionsOfCeph(t *testing.T) {
	serve(t, "--conditions", "extended").play(t, filepath.Join("testdata", "ceph.txt"))
}
