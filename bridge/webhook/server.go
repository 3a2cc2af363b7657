package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// stopWithin is how long requests that are in hand may take when the server stops. It is more than storing an event may take.
const stopWithin = 10 * time.Second

// Serve answers requests from the listener, which it closes, until ctx ends. Then it finishes what is in hand and returns nil.
func (r *Receiver) Serve(ctx context.Context, listener net.Listener) error {
	server := r.server()
	if r.cfg.TLS.CertFile != "" {
		config, expiry, err := newTLS(r.cfg.TLS, r.log)
		if err == nil {
			err = certificateExpiry(r.registerer, expiry)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("webhook: %w", err), listener.Close())
		}
		listener = tls.NewListener(listener, config)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("webhook: serve: %w", err)
	case <-ctx.Done():
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	err := server.Shutdown(within)
	if err != nil {
		err = errors.Join(fmt.Errorf("webhook: stop: %w", err), server.Close())
	}
	if serving := <-ended; !errors.Is(serving, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("webhook: serve: %w", serving))
	}
	return err
}

// server returns an HTTP server that nobody can wear out: each phase of a request has its time, and everything that is held its limit.
func (r *Receiver) server() *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           r.Handler(),
		ReadHeaderTimeout: r.cfg.ReadHeaderTimeout,
		ReadTimeout:       r.cfg.ReadTimeout,
		WriteTimeout:      r.cfg.ReadTimeout + r.cfg.StoreTimeout + 5*time.Second,
		IdleTimeout:       r.cfg.IdleTimeout,
		MaxHeaderBytes:    r.cfg.MaxHeaderBytes,
		ConnState:         r.conns.changed,
		Protocols:         &protocols,
		// "OPTIONS *" is another path like any.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(r.log.Handler(), slog.LevelDebug),
	}
}
