package cxsim

import (
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const tokenPath = "/oauth/token"

type grant struct {
	scopes  []string
	expires time.Time
}

// tokens knows which bearer tokens are good for what.
type tokens struct {
	opt Options

	mu      sync.Mutex
	static  string
	issued  int64
	grants  map[string]grant  // by token
	current map[string]string // token by its scopes: the server hands out the same one while it lives
}

func newTokens(opt Options) *tokens {
	return &tokens{opt: opt, static: opt.Token, grants: map[string]grant{}, current: map[string]string{}}
}

// check tells why a request may not pass, nil if it may.
func (t *tokens) check(authorization string, now time.Time) *reply {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return &reply{status: http.StatusUnauthorized, native: map[string][]string{
			"errors": {"You need to sign in or sign up before continuing."},
		}}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.static != "" && subtle.ConstantTimeCompare([]byte(token), []byte(t.static)) == 1 {
		return nil
	}
	g, ok := t.grants[token]
	switch {
	case !ok || !now.Before(g.expires):
		return no(http.StatusUnauthorized, "Invalid Access Token")
	case !slices.Contains(g.scopes, Scope):
		return no(http.StatusForbidden, "You are not authorized to do this action")
	}
	return nil
}

// SetToken replaces the static token, so that the former one is answered 401 from now on. An empty one leaves only
// those of the token server.
func (s *Sim) SetToken(token string) {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	s.tokens.static = token
}

// RevokeTokens makes every token that the token server has given out invalid.
func (s *Sim) RevokeTokens() {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	clear(s.tokens.grants)
	clear(s.tokens.current)
}

// token serves the token server.
func (h *apiHandler) token(w http.ResponseWriter, r *http.Request) {
	x := h.open(w, r, OpToken)
	x.entry.Body = redacted(x.body)
	v := h.sim.faults.judge(occasion{op: OpToken, body: x.body})
	x.entry.Fault = v.label
	h.sim.pause(r.Context(), v.delay)
	if v.before() {
		h.sim.failBefore(x, v)
		return
	}
	told := h.sim.tokens.grant(r, x.body, h.sim.opt.Now())
	x.entry.CarriedOut = told.status == http.StatusOK
	x.entry.Status = v.shown(told.status)
	h.sim.note(x.entry)
	w.Header().Set("Cache-Control", "no-store")
	h.sim.answer(x, v, told, newBatch())
}

// redacted is a form without its secret.
func redacted(body []byte) string {
	form, err := url.ParseQuery(string(body))
	if err != nil || !form.Has("client_secret") {
		return string(body)
	}
	form.Set("client_secret", "redacted")
	return form.Encode()
}

type tokenBody struct {
	AccessToken string `json:"access_token"`
	Scope       string `json:"scope"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
}

type tokenFailure struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func denied(status int, code, text string) reply {
	r := reply{status: status, native: tokenFailure{code, text}}
	if status == http.StatusUnauthorized {
		r.header = http.Header{"Www-Authenticate": {`Basic realm="oauth"`}}
	}
	return r
}

// grant answers a request for a token.
func (t *tokens) grant(r *http.Request, body []byte, now time.Time) reply {
	form, err := url.ParseQuery(string(body))
	if r.Method != http.MethodPost {
		return denied(http.StatusMethodNotAllowed, "invalid_request", "the method is POST")
	}
	if kind := r.Header.Get("Content-Type"); err != nil || !strings.HasPrefix(kind, "application/x-www-form-urlencoded") {
		return denied(http.StatusBadRequest, "invalid_request", "the body is not a form")
	}
	id, secret, ok := r.BasicAuth()
	if !ok || !t.knows(id, secret) {
		return denied(http.StatusUnauthorized, "invalid_client", "client authentication failed")
	}
	if form.Get("grant_type") != "client_credentials" {
		return denied(http.StatusBadRequest, "unsupported_grant_type", "the grant type is client_credentials")
	}
	scopes := slices.DeleteFunc(strings.Fields(form.Get("scope")), func(scope string) bool {
		return !slices.Contains(t.opt.Scopes, scope)
	})
	if len(scopes) == 0 {
		return denied(http.StatusBadRequest, "invalid_scope", "none of the scopes may be granted")
	}
	return reply{status: http.StatusOK, native: t.issue(scopes, now)}
}

func (t *tokens) knows(id, secret string) bool {
	// The basic credentials of OAuth are form-encoded, which some clients do and others do not.
	plain := func(text string) string {
		if decoded, err := url.QueryUnescape(text); err == nil {
			return decoded
		}
		return text
	}
	sameID := id == t.opt.ClientID || plain(id) == t.opt.ClientID
	return sameID && (secret == t.opt.ClientSecret || plain(secret) == t.opt.ClientSecret)
}

// issue hands out the token that there is for the scopes, with the life that it has left, or a new one.
func (t *tokens) issue(scopes []string, now time.Time) tokenBody {
	slices.Sort(scopes)
	key := strings.Join(slices.Compact(scopes), " ")
	t.mu.Lock()
	defer t.mu.Unlock()
	token, ok := t.current[key]
	if !ok || !now.Before(t.grants[token].expires) {
		t.issued++
		token = hex.EncodeToString(derive(t.opt.Seed, "token", t.issued))
		t.grants[token] = grant{scopes: strings.Fields(key), expires: now.Add(t.opt.TokenLifetime)}
		t.current[key] = token
	}
	left := t.grants[token].expires.Sub(now)
	return tokenBody{AccessToken: token, Scope: key, TokenType: "bearer", ExpiresIn: int64(left / time.Second)}
}
