package console

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"strings"
	"time"
)

//go:embed page
var pages embed.FS

const (
	maxRequest = 64 << 10         // bytes of a request
	writeLimit = 15 * time.Second // of one message to a browser, after which it is sent away
	quietLimit = 10 * time.Second // between two messages, so that both sides notice when the other is gone
)

// policy lets the page use nothing but its own files, and lets nobody frame it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Handler serves the page at "/" and everything of it below "/console/". The page itself tells nothing, and is shown to everybody, so that it can
// ask for the token.
func (c *Console) Handler() (http.Handler, error) {
	files, err := fs.Sub(pages, "page")
	if err != nil {
		return nil, err
	}
	static := http.FileServerFS(files)
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", static)
	mux.Handle("GET /console/page/", http.StripPrefix("/console/page", static))
	mux.Handle("GET /console/session", c.guard(func(w http.ResponseWriter, _ *http.Request) { answer(w, map[string]bool{"login": c.sessions.needed()}) }))
	mux.Handle("GET /console/events", c.guard(c.watch))
	mux.Handle("POST /console/ask/{query}", jsonOnly(c.guard(c.ask)))
	mux.Handle("POST /console/login", jsonOnly(http.HandlerFunc(c.login)))
	mux.Handle("POST /console/logout", jsonOnly(http.HandlerFunc(c.logout)))
	return headers(sameSite(http.NewCrossOriginProtection().Handler(mux))), nil
}

// Permits reports whether a request may see and do what an operator may.
func (c *Console) Permits(r *http.Request) bool {
	return !c.sessions.needed() || c.deps.Allowed(r) || c.sessions.holds(r)
}

func (c *Console) guard(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.Permits(r) {
			refuse(w, http.StatusUnauthorized, "the admin token is needed")
			return
		}
		next(w, r)
	})
}

func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// sameSite keeps pages of others from using what is below "/console/", also where that only reads: each watcher takes one of few places.
func sameSite(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site := r.Header.Get("Sec-Fetch-Site")
		if strings.HasPrefix(r.URL.Path, "/console/") && site != "" && site != "same-origin" && site != "none" {
			refuse(w, http.StatusForbidden, "the request comes from another page")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// jsonOnly refuses what a form of another page could send without being asked.
func jsonOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			refuse(w, http.StatusUnsupportedMediaType, "the content type must be application/json")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		next.ServeHTTP(w, r)
	})
}

// ask passes a query on to the operator's ones.
func (c *Console) ask(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "the request cannot be read")
		return
	}
	select {
	case c.asking <- struct{}{}:
		defer func() { <-c.asking }()
	default:
		refuse(w, http.StatusTooManyRequests, "too many questions at once; try again in a moment")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askLimit)
	defer cancel()
	query := "bridge." + r.PathValue("query")
	found, err := c.deps.Operator.Ask(ctx, query, body)
	switch {
	case errors.Is(err, ErrNoQuery):
		refuse(w, http.StatusNotFound, err.Error())
		return
	case err != nil:
		refuse(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	if acts(query) {
		c.deps.Log.Info("console: an operator acted", "query", query, "remote", r.RemoteAddr)
	}
	answer(w, found)
}

// acts reports whether a query changes something.
func acts(query string) bool {
	switch query {
	case "bridge.pause", "bridge.resume", "bridge.dead.replay", "bridge.dead.drop":
		return true
	}
	return false
}

func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		refuse(w, http.StatusBadRequest, "the request cannot be read")
		return
	}
	if !c.sessions.tries.Allow() {
		refuse(w, http.StatusTooManyRequests, "too many tries; wait a few seconds")
		return
	}
	if !c.sessions.needed() || !c.sessions.matches(strings.TrimSpace(asked.Token)) {
		c.deps.Log.Warn("console: a login with a wrong token", "remote", r.RemoteAddr)
		refuse(w, http.StatusUnauthorized, "that is not the admin token")
		return
	}
	http.SetCookie(w, cookie(r, c.sessions.begin()))
	answer(w, struct{}{})
}

func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	c.sessions.end(r)
	http.SetCookie(w, cookie(r, ""))
	answer(w, struct{}{})
}

func answer(w http.ResponseWriter, body any) { write(w, http.StatusOK, body) }

func refuse(w http.ResponseWriter, status int, why string) {
	write(w, status, map[string]string{"error": why})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever is gone need not be told
}
