package containers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// C10: who may only read is told so by every write, and who has no rights, or a wrong key, does not get a mount.
func TestRightsAreThoseOfTheKeys(t *testing.T) {
	given := t.TempDir()
	users := `{"users": [
		{"name": "reader", "accessKey": "reader", "secretKey": "reader-secret", "read": ["main"]},
		{"name": "wrong", "accessKey": "wrong", "secretKey": "another-secret", "read": ["main"]}]}`
	if err := os.WriteFile(filepath.Join(given, "users.json"), []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	server := s.serve(spec{places: map[string]place{"given": {dir: given}}}, "--credentials", "{given}/users.json")
	writer := s.mount(spec{name: "writer"}, server)
	writer.hands().put(writer.file("f"), "base")

	reader := s.mount(spec{name: "reader", user: "reader"}, server, "-o", "ro")
	r := reader.hands()
	r.expect(reader.file("f"), "base")
	r.fails(syscall.EROFS, order{Call: "writefile", Path: reader.file("f"), Text: "mine"})

	unaware := s.mount(spec{name: "unaware", user: "reader"}, server)
	u := unaware.hands()
	u.expect(unaware.file("f"), "base")
	for _, o := range []order{
		{Call: "writefile", Path: unaware.file("f"), Text: "mine"}, {Call: "writefile", Path: unaware.file("g"), Text: "mine"},
		{Call: "mkdir", Path: unaware.file("d")}, {Call: "remove", Path: unaware.file("f")},
		{Call: "rename", Path: unaware.file("f"), To: unaware.file("g")},
	} {
		u.fails(syscall.EACCES, o)
	}
	writer.hands().expect(writer.file("f"), "base")
	for user, why := range map[string]string{"wrong": "SignatureDoesNotMatch: ", "unknown": "InvalidAccessKeyId: "} {
		refused := s.tryMount(spec{name: user, user: user}, server)
		refused.awaitEnd()
		if log := refused.log(); strings.Contains(log, "-secret") || !strings.Contains(log, "open store main: permission denied: "+why) {
			t.Errorf("%s is told %q", user, log)
		}
		if err := refused.outcome(); err == nil {
			t.Errorf("%s is told that all is well", user)
		}
	}
}

// awaitEnd returns when the main program of a host has ended by itself.
func (h *host) awaitEnd() {
	h.t.Helper()
	late := time.NewTimer(readyTime)
	defer late.Stop()
	for h.alive() {
		select {
		case <-time.After(readyInterval):
		case <-late.C:
			h.t.Fatalf("%s has not ended after %v:\n%s", h.name, readyTime, h.log())
		}
	}
}

// A server with a certificate of an authority of one's own is mounted by who knows the authority, and by nobody else.
func TestMountsOverTLSKnowTheirAuthority(t *testing.T) {
	given := t.TempDir()
	s := newSite(t)
	makeAuthority(t, given, "server")
	places := map[string]place{"given": {dir: given}}
	server := s.serveTLS(places)
	mine := spec{name: "one", places: places, trust: "{given}/authority.pem"}
	one := s.mount(mine, server)
	one.hands().put(one.file("f"), "sealed")
	one.hands().expect(one.file("f"), "sealed")

	stranger := s.tryMount(spec{name: "stranger"}, server)
	stranger.awaitEnd()
	if log := stranger.log(); !strings.Contains(log, "certificate") {
		t.Errorf("a host that does not know the authority is told %q", log)
	}
}

// serveTLS is serve with a certificate.
func (s *site) serveTLS(places map[string]place) *host {
	s.t.Helper()
	return s.serve(spec{places: places, trust: "{given}/authority.pem"},
		"--tls-cert", "{given}/server.pem", "--tls-key", "{given}/server.key")
}

// makeAuthority makes one, and a certificate of it for a host.
func makeAuthority(t *testing.T, dir, name string) {
	t.Helper()
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		DNSNames: []string{name, "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for i := range byte(8) { // of the hosts of a site
		leaf.IPAddresses = append(leaf.IPAddresses, net.IPv4(10, 0, 0, i+1))
	}
	authorityKey, leafKey := newKey(t), newKey(t)
	writePEM(t, filepath.Join(dir, "authority.pem"), "CERTIFICATE", sign(t, authority, authority, authorityKey, authorityKey))
	writePEM(t, filepath.Join(dir, name+".pem"), "CERTIFICATE", sign(t, leaf, authority, leafKey, authorityKey))
	text, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(dir, name+".key"), "PRIVATE KEY", text)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, c, by *x509.Certificate, of, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	signed, err := x509.CreateCertificate(rand.Reader, c, by, &of.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func writePEM(t *testing.T, path, kind string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: text}), 0o600); err != nil {
		t.Fatal(err)
	}
}
