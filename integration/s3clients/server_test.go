package s3clients_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/etagfs/etagfs/integration/mounttest"
)

const (
	accessKey = "AKIDCLIENTS"
	secretKey = "clients-secret"
	region    = "us-east-1"
	// bucket is what a new store has.
	bucket = "main"

	// startTime is how long the server may take to listen, endTime how long to end.
	startTime = time.Minute
	endTime   = 60 * time.Second
)

// server is etagfs serve as a child process.
type server struct {
	t   *testing.T
	URL string
	// authority is the file of the certificate, if the server speaks TLS, and http a client that trusts it.
	authority string
	http      *http.Client

	cmd    *exec.Cmd
	log    *lines
	exited chan struct{} // closed once it has ended
}

// lines is what the server logs, safe for use while it does.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve starts the server over an empty store.
func serve(t *testing.T, args ...string) *server {
	t.Helper()
	mounttest.Need(t, "binary")
	s := &server{t: t, http: http.DefaultClient, log: &lines{}, exited: make(chan struct{})}
	store := filepath.Join(t.TempDir(), "store")
	s.cmd = exec.Command(mounttest.Binary(), append([]string{"--json", "serve", store, "--listen", "127.0.0.1:0"}, args...)...)
	s.cmd.Env = append(os.Environ(), "ETAGFS_ACCESS_KEY="+accessKey, "ETAGFS_SECRET_KEY="+secretKey)
	s.cmd.Stderr = s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n') // nothing if the server ends
		said <- line
		s.cmd.Wait() // how it ended is in cmd.ProcessState
		close(s.exited)
	}()
	t.Cleanup(s.end)
	s.await(said)
	return s
}

// await waits until the server listens.
func (s *server) await(said <-chan string) {
	s.t.Helper()
	select {
	case line := <-said:
		var announced struct{ URL string }
		if err := json.Unmarshal([]byte(line), &announced); err != nil || announced.URL == "" {
			s.t.Fatalf("the server said %q\n%s", line, s.log)
		}
		s.URL = announced.URL
	case <-time.After(startTime):
		s.t.Fatalf("not listening after %v\n%s", startTime, s.log)
	}
}

// end stops the server, which must do so by itself, and looks through its log.
func (s *server) end() {
	s.cmd.Process.Signal(syscall.SIGTERM) // an error means that it is gone, which is seen below
	select {
	case <-s.exited:
	case <-time.After(endTime):
		s.t.Errorf("the server did not end within %v", endTime)
		s.cmd.Process.Kill()
		<-s.exited
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		s.t.Errorf("the server ended with exit code %d\n%s", code, tail(s.log.String(), 40))
	}
	for _, line := range strings.Split(s.log.String(), "\n") {
		var record struct{ Status int }
		json.Unmarshal([]byte(line), &record) // a line that is none has no status
		if record.Status >= http.StatusInternalServerError && record.Status != http.StatusNotImplemented || strings.Contains(line, "panic") {
			s.t.Errorf("the server failed: %s", line)
		}
	}
}

// tail is the last lines of text.
func tail(text string, count int) string {
	all := strings.SplitAfter(text, "\n")
	return strings.Join(all[max(len(all)-count, 0):], "")
}

// addr is the server's as HOST:PORT.
func (s *server) addr() string { return s.URL[strings.LastIndex(s.URL, "/")+1:] }

// client is aws-sdk-go-v2 as it comes, without retries.
func (s *server) client(options ...func(*s3.Options)) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(s.URL),
		Region:       region,
		UsePathStyle: true,
		HTTPClient:   s.http,
		Credentials:  credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		Retryer:      aws.NopRetryer{},

		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}, options...)
}

// clear removes every bucket but the first: what a suite that failed left would fail the next.
func (s *server) clear() {
	s.t.Helper()
	c, ctx := s.client(), context.WithoutCancel(s.t.Context())
	buckets := must(c.ListBuckets(ctx, &s3.ListBucketsInput{}))(s.t)
	for _, b := range buckets.Buckets {
		if *b.Name == bucket {
			continue
		}
		c.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: b.Name}) // there may be none
		pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: b.Name})
		for pages.HasMorePages() {
			var objects []types.ObjectIdentifier
			for _, o := range must(pages.NextPage(ctx))(s.t).Contents {
				objects = append(objects, types.ObjectIdentifier{Key: o.Key})
			}
			if len(objects) > 0 {
				must(c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: b.Name, Delete: &types.Delete{Objects: objects}}))(s.t)
			}
		}
		must(c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: b.Name}))(s.t)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
