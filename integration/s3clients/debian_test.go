package s3clients_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// s3cmd signs every body and compares ETags that look like an MD5. It knows no conditions.
func TestS3cmd(t *testing.T) {
	s, d := serve(t), newSamples(t)
	c := newClient(t, "/usr/bin/s3cmd")
	config := d.path("s3cfg")
	text := fmt.Sprintf("[default]\naccess_key = %s\nsecret_key = %s\nhost_base = %s\nhost_bucket = %s\nuse_https = False\nbucket_location = %s\n", accessKey, secretKey, s.addr(), s.addr(), region)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.before = []string{"--config", config, "--no-progress"}
	c.run("put", d.path("small"), "s3://main/dir/small")
	c.run("put", "--multipart-chunk-size-mb=15", d.path("big"), "s3://main/dir/big")
	s.stored(d, "dir/small", "small")
	s.stored(d, "dir/big", "big")
	c.says([]string{"s3://main/dir/small", "104857600"}, "ls", "s3://main/dir/")
	c.run("get", "s3://main/dir/small", d.path("small.back"))
	c.run("get", "s3://main/dir/big", d.path("big.back"))
	d.same("small.back", "small")
	d.same("big.back", "big")
	c.run("cp", "s3://main/dir/small", "s3://main/copy with space+plus")
	s.stored(d, "copy with space+plus", "small")
	c.run("modify", "--add-header=Content-Type:text/x-test", "s3://main/dir/small")
	c.says([]string{"text/x-test"}, "info", "s3://main/dir/small")
	c.run("mb", "s3://another-bucket")
	c.run("rb", "s3://another-bucket")
	c.run("del", "s3://main/dir/small")
	c.run("del", "--recursive", "--force", "s3://main/")
	if left := s.keys(); left != "" {
		t.Errorf("left: %s", left)
	}
}

// rclone leaves bodies unsigned and sends Content-MD5. It knows no conditions but that of a copy's source.
func TestRclone(t *testing.T) {
	s, d := serve(t), newSamples(t)
	c := newClient(t, "/usr/bin/rclone", "RCLONE_CONFIG=/dev/null", "RCLONE_CONFIG_T_TYPE=s3", "RCLONE_CONFIG_T_PROVIDER=Other", "RCLONE_CONFIG_T_ACCESS_KEY_ID="+accessKey,
		"RCLONE_CONFIG_T_SECRET_ACCESS_KEY="+secretKey, "RCLONE_CONFIG_T_ENDPOINT="+s.URL, "RCLONE_CONFIG_T_REGION="+region)
	c.before = []string{"--s3-chunk-size=16M", "--s3-upload-cutoff=16M", "--retries=1"}
	c.run("sync", d.dir, "t:main/dir")
	s.stored(d, "dir/small", "small")
	s.stored(d, "dir/big", "big")
	c.says([]string{"104857600", "big", "small"}, "lsl", "t:main/dir")
	c.says([]string{"0 differences found", "2 matching files"}, "check", "--download", d.dir, "t:main/dir")
	c.run("copyto", "t:main/dir/big", d.path("big.back"))
	d.same("big.back", "big")
	c.run("copyto", "t:main/dir/small", "t:main/dir/deep/er/copy")
	s.stored(d, "dir/deep/er/copy", "small")
	c.run("moveto", "t:main/dir/big", "t:main/moved")
	s.stored(d, "moved", "big")
	c.run("mkdir", "t:another-bucket")
	c.says([]string{"another-bucket", "main"}, "lsd", "t:")
	c.run("rmdir", "t:another-bucket")
	c.run("deletefile", "t:main/moved")
	c.run("purge", "t:main/dir")
	if left := s.keys(); left != "" {
		t.Errorf("left: %s", left)
	}
}

// The command line of AWS before it sent checksums on its own.
func TestAWSCommandLine(t *testing.T) {
	s, d := serve(t), newSamples(t)
	c := newClient(t, "/usr/bin/aws")
	c.before = []string{"--endpoint-url", s.URL, "--output", "text"}
	c.run("s3", "cp", "--no-progress", d.path("small"), "s3://main/dir/small")
	c.run("s3", "cp", "--no-progress", d.path("big"), "s3://main/dir/big")
	s.stored(d, "dir/small", "small")
	s.stored(d, "dir/big", "big")
	c.says([]string{"104857600 dir/big", "4096 dir/small"}, "s3", "ls", "--recursive", "s3://main/")
	c.run("s3", "cp", "--no-progress", "s3://main/dir/big", d.path("big.back"))
	d.same("big.back", "big")
	c.run("s3", "cp", "--no-progress", "s3://main/dir/big", "s3://main/copy") // of parts, by ranges
	s.stored(d, "copy", "big")

	tag := strings.Trim(c.run("s3api", "head-object", "--bucket", bucket, "--key", "dir/small", "--query", "ETag"), `"`)
	object := []string{"--bucket", bucket, "--key", "dir/small"}
	c.run(append([]string{"s3api", "head-object", "--if-match", tag}, object...)...)
	c.refused("412", append([]string{"s3api", "head-object", "--if-match", "other"}, object...)...)
	c.refused("304", append([]string{"s3api", "head-object", "--if-none-match", tag}, object...)...)
	copied := []string{"s3api", "copy-object", "--bucket", bucket, "--key", "copy", "--copy-source", "main/dir/small"}
	c.refused("PreconditionFailed", append(copied, "--copy-source-if-none-match", tag)...)
	c.run(append(copied, "--copy-source-if-match", tag)...)
	s.stored(d, "copy", "small")
	c.says([]string{"CRC32C"}, "s3api", "put-object", "--bucket", bucket, "--key", "sum", "--body", d.path("small"), "--checksum-algorithm", "CRC32C", "--output", "json")
	c.run("s3", "rm", "s3://main/dir/small")
	c.run("s3", "rm", "--recursive", "s3://main/")
	if left := s.keys(); left != "" {
		t.Errorf("left: %s", left)
	}
}

// boto3 of the distribution, and conditional writes through headers it does not know.
func TestBoto3(t *testing.T) {
	each(t, func(t *testing.T, s *server) { runBoto3(t, s, "/usr/bin/python3") })
}

// boto3 of whichever python3 comes first, if that is another.
func TestBoto3OfThePath(t *testing.T) {
	python := newClient(t, "python3")
	if out, err := python.try("-c", "import sys, boto3; assert not sys.executable.startswith('/usr/bin/')"); err != nil {
		t.Skipf("needs another-boto3: %s", tail(out, 1))
	}
	each(t, func(t *testing.T, s *server) { runBoto3(t, s, "python3") })
}

func runBoto3(t *testing.T, s *server, python string) {
	d := newSamples(t)
	c := newClient(t, python, "AWS_CA_BUNDLE="+s.authority, "SSL_CERT_FILE="+s.authority)
	if out, err := c.try("-c", "import boto3"); err != nil {
		t.Skipf("needs boto3: %s", tail(out, 1))
	}
	script := must(filepath.Abs(filepath.Join("testdata", "boto3_client.py")))(t)
	out := c.run(script, s.URL, bucket, d.dir)
	if !strings.HasSuffix(out, "done") {
		t.Errorf("%s", out)
	}
	d.same("big.back", "big")
	s.stored(d, "kept", "big")
}
