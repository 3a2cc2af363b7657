package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// newTLS returns the configuration of the listener. Certificates are read again when their files change; connections that are open keep
// what they began with.
func newTLS(cfg TLSConfig, log *slog.Logger) (config *tls.Config, expiry func() time.Time, err error) {
	var current atomic.Pointer[tls.Config]
	files := []string{cfg.CertFile, cfg.KeyFile}
	if cfg.ClientCAFile != "" {
		files = append(files, cfg.ClientCAFile)
	}
	watch, err := newWatched(log, func() error {
		cert, clients, err := loadTLS(cfg)
		if err != nil {
			return err
		}
		current.Store(serverTLS(cert, clients))
		return nil
	}, files...)
	if err != nil {
		return nil, nil, err
	}
	config = &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			watch.look()
			return current.Load(), nil
		},
	}
	return config, func() time.Time {
		watch.look()
		return expiryOf(current.Load().Certificates)
	}, nil
}

// expiryOf returns when the first certificate of a list expires.
func expiryOf(all []tls.Certificate) time.Time {
	var earliest time.Time
	for _, c := range all {
		if leaf := c.Leaf; leaf != nil && (earliest.IsZero() || leaf.NotAfter.Before(earliest)) {
			earliest = leaf.NotAfter
		}
	}
	return earliest
}

func serverTLS(cert tls.Certificate, clients *x509.CertPool) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}
	if clients != nil {
		c.ClientCAs, c.ClientAuth = clients, tls.RequireAndVerifyClientCert
	}
	return c
}

// loadTLS reads the certificate and, if senders must have one, the authorities that sign theirs.
func loadTLS(cfg TLSConfig) (tls.Certificate, *x509.CertPool, error) {
	cert, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("load certificate: %w", err)
	}
	if cfg.ClientCAFile == "" {
		return cert, nil, nil
	}
	text, err := os.ReadFile(cfg.ClientCAFile)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("load client authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return tls.Certificate{}, nil, errors.New("load client authorities: no certificate in " + cfg.ClientCAFile)
	}
	return cert, pool, nil
}
