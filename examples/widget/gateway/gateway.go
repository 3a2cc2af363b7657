// Package gateway stands between the browsers of visitors and NATS: a chat widget of one's own for Sangoma CX.
//
// It is a NATS client and nothing else. What a visitor does becomes a command on the bus, and what the visitor sees is read from the streams of
// events, commands and results. It keeps nothing: after a restart it reads the streams again. A visitor is known by a random cookie, and everything
// that must not be done twice has an id made of that cookie, so that browser and gateway may repeat whatever was not answered.
package gateway

import (
	"context"
	"crypto/rand"
	"embed"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/cxbridge/cxbridge/subjects"
)

// Config are the settings of a [Gateway].
type Config struct {
	// InboxID is the inbox in which conversations begin. It has to be one for an API channel, or CX refuses what customers write.
	InboxID string
	// Keyed says that the bridge publishes events on keyed subjects, as its setting subjects.keyed does.
	Keyed bool
	// Title stands above the chat.
	Title string
	// Secure marks the cookie for HTTPS only. Set it wherever visitors come by HTTPS.
	Secure bool
	// Lifetime is how long a visitor can come back to a conversation, and how far back the streams are read.
	Lifetime time.Duration
	// PublishTimeout is how long a command may take to be stored on the bus.
	PublishTimeout time.Duration
	// KeepAlive is the pause between two signs of life on a quiet stream to a browser.
	KeepAlive time.Duration

	MaxText     int // characters of one message of the visitor
	MaxMessages int // messages of a conversation that are shown again after a reload, the newest
	MaxChats    int // conversations in memory; the ones that are quiet for longest go first
	MaxStreams  int // browsers that are connected at once

	Messages       rate.Limit // of one visitor, a second
	MessagesAtOnce int
	Starts         rate.Limit // conversations that begin from one address, a second
	StartsAtOnce   int
}

// DefaultConfig returns the settings of a small site.
func DefaultConfig() Config {
	return Config{
		InboxID: "1", Title: "Chat with us", Lifetime: 12 * time.Hour, PublishTimeout: 10 * time.Second, KeepAlive: 15 * time.Second,
		MaxText: 4000, MaxMessages: 500, MaxChats: 10_000, MaxStreams: 2000,
		Messages: 1, MessagesAtOnce: 20, Starts: 0.2, StartsAtOnce: 20,
	}
}

// Gateway serves the page and what it asks for. Make one with [New]; [Gateway.Run] must run while it serves.
type Gateway struct {
	cfg   Config
	names subjects.Names
	js    jetstream.JetStream
	log   *slog.Logger
	chats *chats
	gate  *gate

	ready chan struct{} // all streams were read up to their ends
	done  chan struct{} // Run has ended
}

// New returns a gateway for the bridge that uses these names on this bus.
func New(cfg Config, js jetstream.JetStream, names subjects.Names, log *slog.Logger) *Gateway {
	return &Gateway{
		cfg: cfg, names: names, js: js, log: log, chats: newChats(cfg), gate: newGate(cfg),
		ready: make(chan struct{}), done: make(chan struct{}),
	}
}

//go:embed page
var files embed.FS

// policy lets the page load its own script and style and ask its own origin, and nothing else; its script cannot write markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Handler serves the page at / and its calls below /api/. Mount it with [http.StripPrefix] to have it elsewhere.
func (g *Gateway) Handler() http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(page))
	mux.HandleFunc("POST /api/session", g.session)
	mux.HandleFunc("POST /api/start", g.start)
	mux.HandleFunc("POST /api/messages", g.message)
	mux.HandleFunc("POST /api/leave", g.leave)
	mux.HandleFunc("GET /api/events", g.events)
	return secured(http.NewCrossOriginProtection().Handler(mux))
}

// secured sets what protects a page of this origin from others.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// newToken returns a secret of 130 bits that nobody can guess.
func newToken() string { return rand.Text() }

// Run reads the streams until ctx ends, across restarts of NATS. It returns when nothing of it is left; streams to browsers end with it.
func (g *Gateway) Run(ctx context.Context) {
	defer close(g.done)
	var reading, behind sync.WaitGroup
	for _, s := range g.sources() {
		behind.Add(1)
		reading.Go(func() { g.follow(ctx, s, sync.OnceFunc(behind.Done)) })
	}
	reading.Go(func() { behind.Wait(); close(g.ready) })
	reading.Wait()
}

// Ready is closed once the streams were read up to their ends for the first time. Before, the gateway knows no visitor and answers 503.
func (g *Gateway) Ready() <-chan struct{} { return g.ready }
