package bridge

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cxbridge/cxbridge/bridge/drift"
)

// adminServer answers operators: is it alive, is it ready, what does it count, what is the contract, and the console.
type adminServer struct {
	token    atomic.Pointer[string] // nil or empty: none is asked for
	ready    *readiness
	metrics  http.Handler
	contract []byte // the AsyncAPI document
	local    bool   // only this machine can reach the listener
	drift    *drift.Watch
	console  http.Handler
	session  func(*http.Request) bool // whether a browser has logged in to the console
}

func (a *adminServer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, struct {
			Alive bool `json:"alive"`
		}{true})
	})
	mux.HandleFunc("GET /readyz", a.ready.serve(a.permits))
	mux.Handle("/{$}", a.console)
	mux.Handle("/console/", a.console)
	mux.Handle("GET /metrics", a.guard(a.metrics))
	mux.Handle("GET /asyncapi.json", a.guard(http.HandlerFunc(a.serveContract)))
	mux.Handle("GET /drift", a.guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, a.drift.Report()) })))
	if a.local {
		return localOnly(mux)
	}
	return mux
}

func (a *adminServer) serveContract(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	// Whoever asked has hung up if this fails; there is nobody left to tell.
	_, _ = w.Write(a.contract)
}

// localOnly refuses requests for a name that is not this machine's: a page in a browser here could have had its own name resolved to loopback,
// and so read what only this machine may. An address is no name that could be resolved to another one.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !localName(r.Host) {
			http.Error(w, "the admin listener is on loopback and answers to localhost and to addresses only; a proxy in front of it has to set Host", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// localName reports whether the Host of a request is empty, as in HTTP/1.0, an address, or localhost, with or without a port.
func localName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// guard asks for the token, if there is one. Probes of /livez and /readyz need none, but are told no more than yes or no.
func (a *adminServer) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.permits(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="cxbridge admin"`)
			http.Error(w, "the admin token is needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *adminServer) permits(r *http.Request) bool { return a.shows(r) || a.session(r) }

// inForce is the token that is asked for now; empty for none.
func (a *adminServer) inForce() string {
	if token := a.token.Load(); token != nil {
		return *token
	}
	return ""
}

// shows reports whether a request shows the token that is asked for, if there is one.
func (a *adminServer) shows(r *http.Request) bool {
	token := a.inForce()
	if token == "" {
		return true
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	// Hashes, so that the time tells nothing of the length either.
	have, want := sha256.Sum256([]byte(strings.TrimSpace(given))), sha256.Sum256([]byte(token))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(have[:], want[:]) == 1
}

// serveAdmin serves until ctx ends, then lets requests in hand finish for at most a second.
func serveAdmin(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, IdleTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("admin listener: %w", err)
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	err := server.Shutdown(limit)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
