package hostile

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// secrets are what nobody may find, by what they are.
type secrets map[string]string

// absent expects none of them in a text, nor what it would be in a URL.
func (s secrets) absent(t *testing.T, where, text string) {
	t.Helper()
	for what, secret := range s {
		if strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
			t.Errorf("%s tells the %s:\n%.2000s", where, what, text)
		}
	}
}

// absentFromProcesses looks where everybody may: at the arguments of all processes, and at the table of mounts.
func (s secrets) absentFromProcesses(t *testing.T) {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(names) < 2 {
		t.Fatalf("%d processes, %v", len(names), err)
	}
	for _, name := range append(names, "/proc/self/mountinfo") {
		if text, err := os.ReadFile(name); err == nil { // it may have ended
			s.absent(t, name, string(text))
		}
	}
}

// absentBelow looks into every file of a directory.
func (s secrets) absentBelow(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(name)
		s.absent(t, name, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a command of the program, and looks at what it says.
func (s secrets) run(t *testing.T, env []string, fails bool, words ...string) {
	t.Helper()
	cmd := exec.Command(mounttest.Binary(), words...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader("content\n")
	out, err := cmd.CombinedOutput()
	if (err != nil) != fails {
		t.Errorf("%s: %v\n%s", words[0], err, out)
	}
	s.absent(t, "etagfs "+words[0], string(out))
}

// secured is a server with every kind of secret, and who may use it.
type secured struct {
	*server
	secrets
	env    []string // as ana, to http(s):// and s3://
	client *http.Client
}

// secure starts one over TLS.
func secure(t *testing.T) secured {
	dir := t.TempDir()
	s := secured{secrets: secrets{
		"secret key of the environment": "canary/environment+0",
		"secret key of the file":        "canary/file+credentials0",
		"wrong secret key":              "canary/wrong+0",
	}}
	pool := s.certify(t, dir)
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	users := fmt.Sprintf(`{"users": [{"name": "ana", "accessKey": "ana", "secretKey": %q, "admin": ["*"]}]}`, s.secrets["secret key of the file"])
	if err := os.WriteFile(filepath.Join(dir, "users.json"), []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	s.server = serve(t, 0, []string{"ETAGFS_ACCESS_KEY=root", "ETAGFS_SECRET_KEY=" + s.secrets["secret key of the environment"], "GOTRACEBACK=all"},
		"--metrics=127.0.0.1:0", "--credentials="+dir+"/users.json", "--tls-cert="+dir+"/cert.pem", "--tls-key="+dir+"/key.pem", dir+"/store")
	s.env = s.as(dir, s.secrets["secret key of the file"])
	return s
}

// as is the environment of who has this secret key.
func (s secured) as(dir, secret string) []string {
	return []string{
		"SSL_CERT_FILE=" + dir + "/cert.pem", "AWS_CA_BUNDLE=" + dir + "/cert.pem", "XDG_CACHE_HOME=" + dir + "/cache", "AWS_REGION=us-east-1",
		"ETAGFS_ACCESS_KEY=ana", "ETAGFS_SECRET_KEY=" + secret, "AWS_ACCESS_KEY_ID=ana", "AWS_SECRET_ACCESS_KEY=" + secret,
	}
}

// certify writes a certificate for the loopback interface and its key, whose lines are secrets.
func (s secured) certify(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	s.secrets["key of the certificate"] = strings.Split(string(secret), "\n")[1]
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	for name, text := range map[string][]byte{"key.pem": secret, "cert.pem": public} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(public)
	return pool
}

// present asks with a presigned address, as it is and with another key. Both signatures are secrets from then on.
func (s secured) present(t *testing.T) {
	t.Helper()
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String(s.URL), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("ana", s.secrets["secret key of the file"], ""),
	})
	address, err := s3.NewPresignClient(client).PresignGetObject(context.Background(), &s3.GetObjectInput{Bucket: aws.String("main"), Key: aws.String("key")})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := url.Parse(address.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.secrets["signature of an address"] = parsed.Query().Get("X-Amz-Signature")
	for ask, want := range map[string]int{address.URL: http.StatusOK, strings.Replace(address.URL, "/key?", "/other?", 1): http.StatusForbidden} {
		answer, err := s.client.Get(ask)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("a presigned address is answered %s instead of %d", answer.Status, want)
		}
	}
}

// use runs the verbs that take secrets, with those that are right and others, and looks at what each says.
func (s secured) use(t *testing.T) {
	t.Helper()
	place, flat := s.URL+"/main", "s3://main/flat?endpoint="+s.URL
	wrong := s.as(strings.TrimSuffix(strings.TrimPrefix(s.env[0], "SSL_CERT_FILE="), "/cert.pem"), s.secrets["wrong secret key"])
	point := t.TempDir()
	for _, store := range []string{place, flat} {
		for _, words := range [][]string{{"put", store, "key"}, {"get", store, "key", "-"}, {"ls", store}, {"doctor", store}, {"mount", store, point}} {
			s.run(t, wrong, true, words...)
			if words[0] != "mount" {
				s.run(t, s.env, false, words...)
			}
		}
	}
	secret := s.secrets["secret key of the file"]
	for _, typed := range []string{
		strings.Replace(place, "//", "//ana:"+secret+"@", 1), "s3://ana:" + secret + "@main/flat", "s3://main?secretKey=" + url.QueryEscape(secret),
		strings.Replace(flat, "=https://", "=https://ana:"+url.QueryEscape(secret)+"@", 1), place + "?X-Amz-Signature=" + url.QueryEscape(secret),
	} {
		for _, words := range [][]string{{"mount", typed, point}, {"ls", typed}, {"doctor", typed}, {"serve", typed}, {"check", typed}, {"status", typed}, {"backup", typed, "b"}} {
			s.run(t, s.env, true, words...)
		}
	}
}

// mounted uses a mount, and looks at what it shows of itself.
func (s secured) mounted(t *testing.T, m *mounttest.Mount) {
	t.Helper()
	if err := os.WriteFile(m.Path("file"), []byte("content\n"), 0o600); err != nil {
		t.Error(err)
	}
	for _, words := range [][]string{
		{"status", m.Dir}, {"status", "--json", m.Dir}, {"top", "--once", m.Dir}, {"why", m.Path("file")}, {"doctor", m.Dir}, {"conflicts", "list", m.Dir},
	} {
		s.run(t, nil, false, words...)
	}
	for _, name := range []string{"config", "stats"} {
		text, err := os.ReadFile(m.Path(".etagfs", name))
		if err != nil || len(text) == 0 {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		s.absent(t, name, string(text))
	}
}

// No secret that the program is given is where others look for it: not among the arguments of processes, in logs, in what
// commands and mounts say of themselves, in errors, in metrics, nor in what a crash leaves.
func TestSecretsAreNowhereOthersLook(t *testing.T) {
	mounttest.Need(t, "fuse", "root", "binary")
	s := secure(t)
	s.use(t)
	s.present(t)
	mounts := []*mounttest.Mount{
		mounttest.Start(t, mounttest.Options{Source: s.URL + "/main", Env: s.env}),
		mounttest.Start(t, mounttest.Options{Source: "s3://main/flat?endpoint=" + s.URL, Env: s.env}),
	}
	for _, m := range mounts {
		s.mounted(t, m)
	}
	background := t.TempDir()
	s.run(t, s.env, false, "mount", s.URL+"/main", background)
	s.absentFromProcesses(t)
	s.run(t, nil, false, "unmount", background)
	answer, err := s.client.Get(s.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := io.ReadAll(answer.Body)
	if err != nil || !bytes.Contains(metrics, []byte("etagfs_")) {
		t.Errorf("metrics: %v, %.100q", err, metrics)
	}
	s.absent(t, "/metrics", string(metrics))
	for _, m := range mounts {
		if m.Goroutines() == 0 {
			t.Error("a mount has left no stacks")
		}
		s.absent(t, "the log of a mount", m.Log())
	}
	s.end(syscall.SIGQUIT)
	log := s.text("log")
	if !strings.Contains(log, "\ngoroutine ") || !strings.Contains(log, `"status":403`) {
		t.Errorf("the log has neither stacks nor requests:\n%.2000s", log)
	}
	s.absentBelow(t, s.dir)
	s.absentBelow(t, strings.TrimPrefix(s.env[2], "XDG_CACHE_HOME="))
}
