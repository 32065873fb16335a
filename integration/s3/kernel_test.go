package s3_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/etagfs/etagfs/objstore/badgerstore"
	"github.com/etagfs/etagfs/objstore/s3server"
)

const largeBytes = 3 << 20

// kernelSite serves one store with a clock over HTTP and TLS, as etagfs serve does.
type kernelSite struct {
	t          *testing.T
	dir        string
	later      atomic.Int64 // by how much the clock is ahead
	handler    *s3server.Server
	plain, tls *s3.Client
}

// openKernelSite has the kernel send what was verified within age.
func openKernelSite(t *testing.T, age time.Duration) *kernelSite {
	t.Helper()
	k := &kernelSite{t: t, dir: t.TempDir()}
	clock := func() time.Time { return time.Now().Add(time.Duration(k.later.Load())) }
	engine, err := badgerstore.Open(t.Context(), k.dir,
		badgerstore.Options{Create: true, Profile: badgerstore.ProfileServer, ScrubAge: age}, badgerstore.Parts{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &site{t: t, engine: engine}
	everyone := users()
	everyone.Anonymous = &s3server.User{Read: []string{"*"}}
	if s.handler, err = s3server.New(s3server.Options{Buckets: engine, Users: everyone}); err != nil {
		t.Fatal(err)
	}
	k.handler = s.handler
	t.Cleanup(s.handler.Close)
	certified := open(t, true, s3server.Options{}).http // for its certificate, and a client that trusts it
	k.plain = clientOf("http://"+k.serve(s, nil), "AKIDROOT", "root-secret", &http.Client{})
	k.tls = clientOf("https://"+k.serve(s, certified.TLS), "AKIDROOT", "root-secret", certified.Client())
	return k
}

func (k *kernelSite) serve(s *site, config *tls.Config) (addr string) {
	k.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		k.t.Fatal(err)
	}
	h := s.handler.HTTP(config)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if config != nil {
			h.ServeTLS(s.handler.Listener(l), "", "")
		} else {
			h.Serve(s.handler.Listener(l))
		}
	}()
	k.t.Cleanup(func() { h.Close(); <-ended })
	return l.Addr().String()
}

// get reads an object, or a range of it.
func (k *kernelSite) get(c *s3.Client, key, bytesRange string) ([]byte, error) {
	in := &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key}
	if bytesRange != "" {
		in.Range = &bytesRange
	}
	out, err := c.GetObject(context.WithoutCancel(k.t.Context()), in)
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}

// damage flips a bit of the file that has these bytes.
func (k *kernelSite) damage(content []byte, at int) {
	k.t.Helper()
	found := 0
	err := filepath.WalkDir(k.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if info, err := entry.Info(); err != nil || info.Size() != int64(len(content)) {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		found++
		_, err = f.WriteAt([]byte{content[at] ^ 1}, int64(at))
		return err
	})
	if err != nil || found != 1 {
		k.t.Fatalf("%d files, %v", found, err)
	}
}

func (k *kernelSite) put(key string) []byte {
	k.t.Helper()
	content := make([]byte, largeBytes)
	rand.NewChaCha8([32]byte{1}).Read(content)
	must(k.plain.PutObject(k.t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(content)}))(k.t)
	return content
}

// C11: what was verified lately leaves by the kernel, everything else is verified on its way.
func TestLargeObjectsAreSentByTheKernelOnceVerified(t *testing.T) {
	k := openKernelSite(t, time.Hour)
	want := k.put("large")
	for _, c := range []*s3.Client{k.plain, k.plain, k.tls} {
		if got, err := k.get(c, "large", ""); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if got, err := k.get(c, "large", "bytes=70001-1200000"); err != nil || !bytes.Equal(got, want[70001:1200001]) {
			t.Fatalf("of a range %d bytes, %v", len(got), err)
		}
	}
	const at = 2 << 20
	k.damage(want, at)
	if got, err := k.get(k.plain, "large", ""); len(got) != len(want) || got[at] == want[at] { // the client sees the error
		t.Errorf("the kernel did not send it: %d bytes, %v", len(got), err)
	}
	if got, err := k.get(k.tls, "large", ""); err == nil || !bytes.HasPrefix(want, got) {
		t.Errorf("over TLS damage is served: %d bytes, %v", len(got), err)
	}
	k.later.Store(int64(time.Hour))
	if got, err := k.get(k.plain, "large", ""); err == nil || !bytes.HasPrefix(want, got) {
		t.Errorf("an hour later damage is served: %d bytes, %v", len(got), err)
	}
}

// C11: what nobody has read is verified before the kernel sends it, a few MiB at a time.
func TestLargeObjectsAreVerifiedOnTheirWay(t *testing.T) {
	k := openKernelSite(t, time.Hour)
	want := bytes.Repeat(k.put("other"), 4)
	must(k.plain.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("larger"), Body: bytes.NewReader(want)}))(t)
	for _, r := range []string{"bytes=5000000-9000000", ""} {
		from, to := 0, len(want)
		if r != "" {
			from, to = 5000000, 9000001
		}
		if got, err := k.get(k.plain, "larger", r); err != nil || !bytes.Equal(got, want[from:to]) {
			t.Fatalf("%q: %d bytes, %v", r, len(got), err)
		}
	}
	k.later.Store(int64(time.Hour))
	k.damage(want, 10<<20)
	if got, err := k.get(k.plain, "larger", ""); err == nil || len(got) < 4<<20 || !bytes.HasPrefix(want, got) {
		t.Errorf("damage that nobody has seen is served: %d bytes, %v", len(got), err)
	}
}

// slowReader takes so many bytes in the time it has.
type slowReader struct {
	httptest.ResponseRecorder
	atOnce int64
}

func (s *slowReader) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(s.Body, io.LimitReader(r, s.atOnce))
	if n == s.atOnce && err == nil {
		err = &net.OpError{Op: "sendfile", Err: os.ErrDeadlineExceeded}
	}
	return n, err
}

func TestReadersThatTakeWhatTheKernelSendsMayBeSlow(t *testing.T) {
	k := openKernelSite(t, time.Hour)
	want := k.put("large")
	for atOnce, whole := range map[int64]bool{256 << 10: true, 256<<10 - 1: false} {
		w := &slowReader{*httptest.NewRecorder(), atOnce}
		func() {
			defer func() {
				if aborted := recover() == http.ErrAbortHandler; aborted == whole {
					t.Errorf("%d bytes at once: cut off: %v", atOnce, aborted)
				}
			}()
			k.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+bucket+"/large", nil))
		}()
		if got := w.Body.Bytes(); bytes.Equal(got, want) != whole || !bytes.HasPrefix(want, got) {
			t.Errorf("%d bytes at once: %d came", atOnce, len(got))
		}
	}
}

// C11: with a scrub age of 0 every byte is verified on its way, each time.
func TestNothingIsSentByTheKernelUnlessAllowed(t *testing.T) {
	k := openKernelSite(t, 0)
	want := k.put("large")
	if got, err := k.get(k.plain, "large", ""); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	k.damage(want, 2<<20)
	if got, err := k.get(k.plain, "large", ""); err == nil || !bytes.HasPrefix(want, got) {
		t.Errorf("damage is served: %d bytes, %v", len(got), err)
	}
}

// A file that became shorter ends the answer early, and is not taken for the whole.
func TestATruncatedFileIsNoWholeAnswer(t *testing.T) {
	k := openKernelSite(t, time.Hour)
	want := k.put("large")
	if _, err := k.get(k.plain, "large", ""); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(k.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if info, err := entry.Info(); err != nil || info.Size() != largeBytes {
			return err
		}
		return os.Truncate(path, largeBytes/2)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.get(k.plain, "large", ""); err == nil || !strings.Contains(err.Error(), "EOF") || !bytes.HasPrefix(want, got) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
