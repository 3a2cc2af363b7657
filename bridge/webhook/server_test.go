package webhook

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// listen serves until the end of the test and returns the address.
func (h *harness) listen(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	run(t, func(ctx context.Context) error { return h.Serve(ctx, listener) })
	return listener.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // It may be closed already.
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

const requestLine = "POST " + Path + token + " HTTP/1.1\r\nHost: a\r\n"

// answered checks that a proper request gets its answer.
func answered(t *testing.T, addr string) {
	t.Helper()
	conn := dial(t, addr)
	send(t, conn, fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", requestLine, len(incoming), incoming))
	status(t, conn, http.StatusOK)
}

func status(t *testing.T, conn net.Conn, want int) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // It is read from a connection that the test closes.
	if resp.StatusCode != want {
		t.Errorf("answer %d, want %d", resp.StatusCode, want)
	}
}

// ends waits until the server has closed the connection.
func ends(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, conn); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the connection stays open")
		}
	}
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	h := setup(t, func(c *Config, _ *Deps) { c.ReadHeaderTimeout = 50 * time.Millisecond })
	addr := h.listen(t)
	slow := dial(t, addr)
	_, _ = io.WriteString(slow, "POST /webh") // It may be cut off before.
	ends(t, slow)
}

func TestSlowBodiesAreCutOff(t *testing.T) {
	h := setup(t, func(c *Config, _ *Deps) { c.ReadTimeout = 300 * time.Millisecond })
	addr := h.listen(t)
	slow := dial(t, addr)
	_, _ = io.WriteString(slow, requestLine+"Content-Length: 1000\r\n\r\n{") // It may be cut off before.
	ends(t, slow)
	eventually(t, "nothing is in flight", func() bool { return h.requests.Load() == 0 && h.bytes.Load() == 0 })
	if n := len(h.bus.messages()); n != 0 {
		t.Errorf("%d messages are stored", n)
	}
}

func TestABodyThatIsCutIsRefused(t *testing.T) {
	h := setup(t, nil)
	conn := dial(t, h.listen(t))
	send(t, conn, requestLine+"Content-Length: 1000\r\n\r\n{}")
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err := tcp.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	status(t, conn, http.StatusBadRequest)
	if n := len(h.bus.messages()); n != 0 {
		t.Errorf("%d messages are stored", n)
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	h := setup(t, func(c *Config, _ *Deps) { c.IdleTimeout = 50 * time.Millisecond })
	conn := dial(t, h.listen(t))
	send(t, conn, fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", requestLine, len(incoming), incoming))
	ends(t, conn)
}

func TestConnectionsThatAreMerelyHeldKeepNobodyOut(t *testing.T) {
	h := setup(t, func(c *Config, _ *Deps) { c.MaxConnections = 20 })
	addr := h.listen(t)
	first := dial(t, addr)
	for range 100 {
		send(t, dial(t, addr), "POST")
	}
	answered(t, addr)
	ends(t, first)
	eventually(t, "the connections are within the limit", func() bool { return h.conns.count() <= 20 })
}

func TestAThousandIdleConnectionsLeaveOthersAnswered(t *testing.T) {
	h := setup(t, nil)
	addr := h.listen(t)
	for range 1000 {
		dial(t, addr)
	}
	answered(t, addr)
}

func TestHugeHeadersAreRefused(t *testing.T) {
	h := setup(t, nil)
	addr := h.listen(t)
	conn := dial(t, addr)
	// It is cut off, and may lose the answer by that.
	if n, err := io.WriteString(conn, requestLine+"X: "+strings.Repeat("x", 10<<20)); err == nil {
		t.Errorf("the server took all %d bytes", n)
	}
	answered(t, addr)
	h.only(t)
}

func TestOptionsOfEverythingIsAnotherPath(t *testing.T) {
	h := setup(t, nil)
	conn := dial(t, h.listen(t))
	send(t, conn, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
	status(t, conn, http.StatusNotFound)
}

func TestChunkedBodies(t *testing.T) {
	h := setup(t, func(c *Config, _ *Deps) { c.MaxBodyBytes = 4096 })
	addr := h.listen(t)
	conn := dial(t, addr)
	send(t, conn, fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", requestLine, len(incoming), incoming))
	status(t, conn, http.StatusOK)
	if string(h.only(t).Data) != incoming {
		t.Error("the body was changed")
	}
	req := httptest.NewRequest(http.MethodPost, Path+token, strings.NewReader(strings.Repeat(" ", 5000)))
	req.ContentLength = -1
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, req)
	checkProblem(t, w, http.StatusRequestEntityTooLarge)
}

func TestALargeBodyIsRefusedUnread(t *testing.T) {
	h := setup(t, nil)
	conn := dial(t, h.listen(t))
	send(t, conn, requestLine+"Content-Length: 99999999999\r\n\r\n{")
	status(t, conn, http.StatusRequestEntityTooLarge)
}

func TestAStrangersBodyIsRefusedUnreadWhateverItsSize(t *testing.T) {
	h := setup(t, nil)
	addr := h.listen(t)
	for _, length := range []string{"Content-Length: 10", "Content-Length: 99999999999", "Transfer-Encoding: chunked"} {
		conn := dial(t, addr)
		send(t, conn, "POST "+Path+"wrong HTTP/1.1\r\nHost: a\r\n"+length+"\r\n\r\n")
		status(t, conn, http.StatusUnauthorized)
	}
}

func TestAStopFinishesWhatIsInHand(t *testing.T) {
	h := setup(t, nil)
	inside, goOn := make(chan struct{}), make(chan struct{})
	h.bus.set(func(*nats.Msg) error {
		close(inside)
		<-goOn
		return nil
	})
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(ctx, listener) }()
	conn := dial(t, listener.Addr().String())
	send(t, conn, fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", requestLine, len(incoming), incoming))
	<-inside
	cancel()
	close(goOn)
	status(t, conn, http.StatusOK)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	der, key := certify(t, nil, "authority", nil)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, a.key = cert, key
	return a
}

// certify makes a certificate; one without an authority signs itself.
func certify(t *testing.T, by *authority, name string, usage []x509.ExtKeyUsage) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: usage, BasicConstraintsValid: true, IsCA: by == nil,
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

func (a *authority) files(t *testing.T, certFile, keyFile, name string) {
	t.Helper()
	der, key := certify(t, a, name, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth})
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})))
	write(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

func TestMutualTLSWithCertificatesThatChange(t *testing.T) {
	dir, ours, theirs := t.TempDir(), newAuthority(t), newAuthority(t)
	cfg := TLSConfig{CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key"), ClientCAFile: filepath.Join(dir, "ca")}
	ours.files(t, cfg.CertFile, cfg.KeyFile, "first")
	write(t, cfg.ClientCAFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: theirs.cert.Raw})))
	h := setup(t, func(c *Config, _ *Deps) { c.TLS = cfg })
	addr := h.listen(t)

	roots := x509.NewCertPool()
	roots.AddCert(ours.cert)
	theirs.files(t, filepath.Join(dir, "c"), filepath.Join(dir, "k"), "client")
	client, err := tls.LoadX509KeyPair(filepath.Join(dir, "c"), filepath.Join(dir, "k"))
	if err != nil {
		t.Fatal(err)
	}
	if name, err := shown(t, addr, &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{client}}); name != "first" || err != nil {
		t.Fatalf("certificate %q, error %v", name, err)
	}
	if _, err := shown(t, addr, &tls.Config{RootCAs: roots}); err == nil {
		t.Error("a sender without a certificate was let in")
	}
	ours.files(t, cfg.CertFile, cfg.KeyFile, "second")
	eventually(t, "the new certificate is in use", func() bool {
		name, err := shown(t, addr, &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{client}})
		return name == "second" && err == nil
	})
}

// shown posts an event over TLS and returns the name in the server's certificate.
func shown(t *testing.T, addr string, config *tls.Config) (string, error) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+addr+Path+token, strings.NewReader(incoming))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Errorf("answer %d", resp.StatusCode)
	}
	return resp.TLS.PeerCertificates[0].Subject.CommonName, nil
}
