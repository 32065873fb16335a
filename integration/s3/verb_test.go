package s3_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
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

// program is a running etagfs serve.
type program struct {
	cmd *exec.Cmd
	url string
}

func start(t *testing.T, store string, flags ...string) *program {
	t.Helper()
	cmd := exec.Command(mounttest.Binary(), append([]string{"serve", store, "--json", "--listen", "127.0.0.1:0"}, flags...)...)
	cmd.Env = append(os.Environ(), "ETAGFS_ACCESS_KEY=AKIDROOT", "ETAGFS_SECRET_KEY=root-secret")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	var announced struct{ URL string }
	if err != nil || json.Unmarshal([]byte(line), &announced) != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return &program{cmd, announced.URL}
}

func (p *program) client() *s3.Client {
	return clientOf(p.url, "AKIDROOT", "root-secret", http.DefaultClient)
}

// C8: what a server answered 200 survives a crash of the server, and so do its conditions.
func TestWhatTheServerAcknowledgedSurvivesItsCrash(t *testing.T) {
	mounttest.Need(t, "binary")
	ctx, store := t.Context(), t.TempDir()
	var last *string
	for round := range 4 {
		p := start(t, store)
		c := p.client()
		for i := range 10 {
			value := fmt.Sprintf("%d.%d", round, i)
			in := &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("counter"), Body: strings.NewReader(value), IfMatch: last}
			if last == nil {
				in.IfNoneMatch = aws.String("*")
			}
			out, err := c.PutObject(ctx, in)
			if err != nil {
				t.Fatalf("%s: %v", value, err)
			}
			stale, err := c.PutObject(ctx, in)
			refused(t, stale, err, "PreconditionFailed")
			last = out.ETag
		}
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.cmd.Wait() // killed
	}
	if got := read(t, ctx, start(t, store).client(), "counter"); got != "3.9" {
		t.Errorf("%q", got)
	}
}

// certificate makes one for this machine, its files, and a client that trusts it.
func certificate(t *testing.T) (certFile, keyFile string, client *http.Client) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	secret := must(x509.MarshalPKCS8PrivateKey(key))(t)
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(must(x509.ParseCertificate(der))(t))
	return certFile, keyFile, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
}

func TestServeOverTLS(t *testing.T) {
	mounttest.Need(t, "binary")
	certFile, keyFile, client := certificate(t)
	p := start(t, t.TempDir(), "--tls-cert", certFile, "--tls-key", keyFile)
	if !strings.HasPrefix(p.url, "https://") {
		t.Fatal(p.url)
	}
	c, ctx := clientOf(p.url, "AKIDROOT", "root-secret", client), t.Context()
	must(c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("over TLS")}))(t)
	if got := read(t, ctx, c, "k"); got != "over TLS" {
		t.Errorf("%q", got)
	}
}
