package s3clients_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// serveTLS is serve with a certificate of its own. Over TLS clients leave bodies unsigned, and put
// checksums behind them.
func serveTLS(t *testing.T) *server {
	t.Helper()
	cert, key := makeCertificate(t)
	s := serve(t, "--tls-cert", cert, "--tls-key", key)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(must(os.ReadFile(cert))(t)) {
		t.Fatal("no certificate")
	}
	s.authority = cert
	s.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	t.Cleanup(s.http.CloseIdleConnections)
	return s
}

// makeCertificate makes one for this machine that is its own authority.
func makeCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	signed := must(x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private))(t)
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: signed},
		key:  {Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(private))(t)},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// each runs a test over both kinds of connection.
func each(t *testing.T, run func(*testing.T, *server)) {
	t.Run("http", func(t *testing.T) { run(t, serve(t)) })
	t.Run("https", func(t *testing.T) { run(t, serveTLS(t)) })
}
