package s3clients_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/etagfs/etagfs/integration/mounttest"
)

const (
	bigBytes   = 100 << 20
	smallBytes = 4 << 10
	// clientTime is how long one command of a client may take.
	clientTime = 2 * time.Minute
)

// samples are two files to be uploaded, "small" and "big", and a directory for what comes back.
type samples struct {
	t   *testing.T
	dir string
}

func newSamples(t *testing.T) samples {
	t.Helper()
	d := samples{t, t.TempDir()}
	for i, f := range []struct {
		name string
		size int64
	}{{"small", smallBytes}, {"big", bigBytes}} {
		file := must(os.Create(d.path(f.name)))(t)
		random := rand.NewChaCha8([32]byte{byte(i), byte(len(t.Name()))})
		if _, err := io.CopyN(file, random, f.size); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d samples) path(name string) string { return filepath.Join(d.dir, name) }

// digest is that of a file.
func (d samples) digest(name string) string {
	d.t.Helper()
	file := must(os.Open(d.path(name)))(d.t)
	defer file.Close()
	return digestOf(d.t, file)
}

func digestOf(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// same checks that a client brought back what it was given.
func (d samples) same(name, want string) {
	d.t.Helper()
	if d.digest(name) != d.digest(want) {
		d.t.Errorf("%s is not %s", name, want)
	}
}

// stored checks what a client put, with another client.
func (s *server) stored(d samples, key, want string) {
	s.t.Helper()
	out := must(s.client().GetObject(s.t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key}))(s.t)
	defer out.Body.Close()
	if digestOf(s.t, out.Body) != d.digest(want) {
		s.t.Errorf("the object %s is not %s", key, want)
	}
}

// keys are all of the bucket.
func (s *server) keys() string {
	s.t.Helper()
	var keys []string
	for _, o := range must(s.client().ListObjectsV2(s.t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket)}))(s.t).Contents {
		keys = append(keys, *o.Key)
	}
	return strings.Join(keys, " ")
}

// client is a foreign program with the environment it needs.
type client struct {
	t       *testing.T
	program string
	before  []string // arguments of every command
	env     []string
}

// newClient is a program that must be there, and runs in a home directory of its own.
func newClient(t *testing.T, program string, env ...string) *client {
	t.Helper()
	if strings.HasPrefix(program, "/") {
		if _, err := os.Stat(program); err != nil {
			t.Skipf("needs %s: %v", filepath.Base(program), err)
		}
	} else {
		mounttest.Need(t, program)
	}
	own := []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey,
		"AWS_DEFAULT_REGION=" + region, "AWS_REGION=" + region, "AWS_EC2_METADATA_DISABLED=true"}
	return &client{t: t, program: program, env: append(own, env...)}
}

// try runs a command and returns all it wrote.
func (c *client) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), clientTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.program, append(append([]string(nil), c.before...), args...)...)
	cmd.Env = c.env
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(bytes.TrimSpace(out)), err
}

// run is try for a command that has to succeed.
func (c *client) run(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s", filepath.Base(c.program), strings.Join(args, " "), err, out)
	}
	return out
}

// refused is try for a command that the server has to refuse with a word of its answer.
func (c *client) refused(word string, args ...string) {
	c.t.Helper()
	if out, err := c.try(args...); err == nil || !strings.Contains(out, word) {
		c.t.Errorf("%s %s: %v instead of %s\n%s", filepath.Base(c.program), strings.Join(args, " "), err, word, out)
	}
}

// says runs a command that has to succeed and write all of the words.
func (c *client) says(words []string, args ...string) {
	c.t.Helper()
	out := c.run(args...)
	for _, word := range words {
		if !strings.Contains(out, word) {
			c.t.Errorf("%s %s does not say %q:\n%s", filepath.Base(c.program), strings.Join(args, " "), word, out)
		}
	}
}
