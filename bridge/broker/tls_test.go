package broker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

// certificate makes a certificate that is its own authority, for server and client, and returns its files.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nats.test"}, DNSNames: []string{"nats.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemFile(t, "cert.pem", "CERTIFICATE", cert), pemFile(t, "key.pem", "PRIVATE KEY", encoded)
}

func pemFile(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTLSAndMutualTLS(t *testing.T) {
	certFile, keyFile := certificate(t)
	for _, mutual := range []bool{false, true} {
		s := natstest.Start(t, func(o *server.Options) {
			config, err := server.GenTLSConfig(&server.TLSConfigOpts{CertFile: certFile, KeyFile: keyFile, CaFile: certFile, Verify: mutual, Timeout: natstest.Patience.Seconds()})
			if err != nil {
				t.Error(err)
			}
			o.TLSConfig, o.TLSVerify, o.TLSTimeout = config, mutual, natstest.Patience.Seconds()
		})
		c := external(strings.Replace(s.URL, "nats://", "tls://", 1))
		c.TLS = broker.TLSConfig{CAFile: certFile, ServerName: "nats.test"}
		if mutual {
			c.TLS.CertFile, c.TLS.KeyFile = certFile, keyFile
		}
		b := open(t, c)
		ready(t, b)
		state, err := b.Conn().TLSConnectionState()
		if err != nil {
			t.Fatal(err)
		}
		if state.ServerName != "nats.test" || state.Version < tls.VersionTLS12 {
			t.Errorf("server %s, version %x", state.ServerName, state.Version)
		}
	}
}

func TestCertificateFilesThatAreMissing(t *testing.T) {
	c := external("tls://127.0.0.1:1")
	c.TLS.CAFile = "does-not-exist.pem"
	openError(t, c, "does-not-exist.pem")
	c = external("nats://127.0.0.1:1")
	c.CredentialsFile = "does-not-exist.creds"
	openError(t, c, "nats.credentials_file", "does-not-exist.creds")
	c = external("nats://127.0.0.1:1")
	c.User, c.PasswordFile = "bridge", "does-not-exist"
	openError(t, c, "nats.password_file", "does-not-exist")
}
