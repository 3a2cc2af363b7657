package console

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	cookieName   = "cxbridge-console"
	sessionLife  = 12 * time.Hour
	mostSessions = 64
)

// sessions are browsers that have logged in. They are kept in memory only, and end when the token changes.
type sessions struct {
	token func() string
	tries *rate.Limiter // of logging in, by anybody: so that a token cannot be found by trying

	mu   sync.Mutex
	open map[[sha256.Size]byte]session // by the hash of the cookie's value
}

type session struct {
	token [sha256.Size]byte // hash of the token that it was opened with
	until time.Time
}

func newSessions(token func() string) *sessions {
	return &sessions{token: token, tries: rate.NewLimiter(rate.Every(time.Second), 10), open: map[[sha256.Size]byte]session{}}
}

// needed reports whether a token is asked for at all.
func (s *sessions) needed() bool { return s.token() != "" }

// matches compares hashes, so that the time tells nothing of the token.
func (s *sessions) matches(given string) bool {
	have, want := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(s.token()))
	return subtle.ConstantTimeCompare(have[:], want[:]) == 1
}

// begin opens a session and returns the value of its cookie.
func (s *sessions) begin() string {
	value := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, one := range s.open {
		if time.Now().After(one.until) {
			delete(s.open, key)
		}
	}
	for key := range s.open {
		if len(s.open) < mostSessions {
			break
		}
		delete(s.open, key) // any one: its browser asks for the token again
	}
	s.open[sha256.Sum256([]byte(value))] = session{token: sha256.Sum256([]byte(s.token())), until: time.Now().Add(sessionLife)}
	return value
}

func (s *sessions) end(r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, sha256.Sum256([]byte(c.Value)))
	}
}

// holds reports whether a request belongs to a session.
func (s *sessions) holds(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return false
	}
	s.mu.Lock()
	one, found := s.open[sha256.Sum256([]byte(c.Value))]
	s.mu.Unlock()
	return found && time.Now().Before(one.until) && one.token == sha256.Sum256([]byte(s.token()))
}

// cookie makes the cookie of a session; an empty value takes it away.
func cookie(r *http.Request, value string) *http.Cookie {
	c := &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: int(sessionLife.Seconds()), HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}
