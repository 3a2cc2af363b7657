package cxapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const testSecret = "s3cr3t-of-the-client"

// tokenServer answers token requests without a network, after some time.
type tokenServer struct {
	mu       sync.Mutex
	requests int
	delay    time.Duration
	life     time.Duration
	same     bool // always the same token
	status   int  // other than 0: an answer with this status
	body     string
	header   http.Header
	err      error
	check    func(*http.Request)
}

func (s *tokenServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.requests++
	number := s.requests
	delay, check := s.delay, s.check
	s.mu.Unlock()
	if check != nil {
		check(r)
	}
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	if s.same {
		number = 1
	}
	status, body := http.StatusOK, fmt.Sprintf(`{"access_token":"token-%d","scope":"cx.digital-interactions","token_type":"bearer","expires_in":%d}`, number, int(s.life.Seconds()))
	if s.status != 0 {
		status, body = s.status, s.body
	}
	header := s.header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", "application/json")
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (s *tokenServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

func (s *tokenServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func source(t *testing.T, s *tokenServer, change func(*ClientCredentialsConfig)) *ClientCredentials {
	t.Helper()
	cfg := ClientCredentialsConfig{TokenURL: "https://auth.example.test/oauth/token", ClientID: "me", ClientSecret: testSecret, HTTPClient: &http.Client{Transport: s}}
	if change != nil {
		change(&cfg)
	}
	c, err := NewClientCredentials(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantToken(t *testing.T, s TokenSource, want string) {
	t.Helper()
	if got, err := s.Token(t.Context()); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestTokenRequestIsAsDocumented(t *testing.T) {
	server := &tokenServer{life: time.Hour}
	server.check = func(r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		id, secret, _ := r.BasicAuth()
		got := strings.Join([]string{r.Method, r.URL.String(), r.Header.Get("Content-Type"), id, secret, string(body)}, "\n")
		want := "POST\nhttps://auth.example.test/oauth/token\napplication/x-www-form-urlencoded\nme\n" + testSecret + "\ngrant_type=client_credentials&scope=cx.digital-interactions"
		if got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	wantToken(t, source(t, server, nil), "token-1")
}

func TestTokenSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &tokenServer{life: time.Hour, delay: time.Second}
		s := source(t, server, nil)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { wantToken(t, s, "token-1") })
		}
		wg.Wait()
		if server.count() != 1 {
			t.Errorf("%d requests, want 1", server.count())
		}
		for range 100 { // all were refused with the token, and say so one after the other
			wg.Go(func() {
				s.Invalidate("token-1")
				wantToken(t, s, "token-2")
			})
		}
		wg.Wait()
		if server.count() != 2 {
			t.Errorf("%d requests, want 2", server.count())
		}
	})
}

func TestWhoeverGivesUpSpoilsNothingForTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := source(t, &tokenServer{life: time.Hour, delay: 5 * time.Second}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		wantToken(t, s, "token-1")
		wg.Wait()
	})
}

func TestTokenIsRenewedEarlyWithoutWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &tokenServer{life: time.Hour}
		s := source(t, server, nil)
		wantToken(t, s, "token-1")
		began := time.Now()
		if got := s.Expiry().Sub(began); got != time.Hour {
			t.Errorf("expires in %v", got)
		}
		time.Sleep(54 * time.Minute)
		wantToken(t, s, "token-1")
		time.Sleep(2 * time.Minute)
		server.set(func() { server.delay = 3 * time.Second; server.err = io.ErrUnexpectedEOF })
		wantToken(t, s, "token-1") // the renewal is under way, and will fail
		time.Sleep(4 * time.Second)
		wantToken(t, s, "token-1")
		synctest.Wait()
		if server.count() != 2 {
			t.Errorf("%d requests, want 2: not again at once", server.count())
		}
		server.set(func() { server.err = nil })
		time.Sleep(time.Minute)
		wantToken(t, s, "token-1")
		time.Sleep(4 * time.Second)
		wantToken(t, s, "token-3")
		if server.count() != 3 {
			t.Errorf("%d requests, want 3", server.count())
		}
	})
}

// The vendor gives out the same token with what is left of its life.
func TestTheSameTokenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &tokenServer{life: time.Hour, same: true}
		s := source(t, server, nil)
		for range 50 {
			wantToken(t, s, "token-1")
			s.Invalidate("token-1")
		}
		if n := server.count(); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
		time.Sleep(insistence + time.Second)
		s.Invalidate("token-1")
		wantToken(t, s, "token-1")
		if n := server.count(); n != 3 {
			t.Errorf("%d requests, want 3", n)
		}
	})
}

func TestEndedTokenIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &tokenServer{life: time.Minute}
		s := source(t, server, nil)
		wantToken(t, s, "token-1")
		time.Sleep(time.Minute)
		server.set(func() { server.err = io.ErrUnexpectedEOF })
		if _, err := s.Token(t.Context()); failure(t, err).Outcome != OutcomeLater {
			t.Errorf("got %v", err)
		}
		server.set(func() { server.err = nil })
		wantToken(t, s, "token-3")
	})
}

func TestTokenIsKeptAcrossRestarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	cached := func(c *ClientCredentialsConfig) { c.CacheFile = path }
	server := &tokenServer{life: time.Hour}
	first := source(t, server, cached)
	wantToken(t, first, "token-1")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got %v, %v", info.Mode(), err)
	}
	second := source(t, server, cached)
	wantToken(t, second, "token-1")
	if server.count() != 1 || second.Expiry().Sub(first.Expiry()).Abs() > time.Second {
		t.Errorf("%d requests, ends %v, then %v", server.count(), first.Expiry(), second.Expiry())
	}
	wantToken(t, source(t, server, func(c *ClientCredentialsConfig) { cached(c); c.ClientID = "else" }), "token-2")
	wantToken(t, source(t, server, cached), "token-3") // the file holds the token of the other one

	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	wantToken(t, source(t, server, cached), "token-4") // others could have written it
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	write(t, path, `{"access_token":`)
	wantToken(t, source(t, server, cached), "token-5")
	content, err := os.ReadFile(path)
	if err != nil || !json.Valid(content) || strings.Contains(string(content), testSecret) {
		t.Errorf("got %s, %v", content, err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestTokenThatCannotBeKeptIsUsed(t *testing.T) {
	var told error
	s := source(t, &tokenServer{life: time.Hour}, func(c *ClientCredentialsConfig) {
		c.CacheFile = filepath.Join(t.TempDir(), "missing", "cache")
		c.OnSaveError = func(err error) { told = err }
	})
	wantToken(t, s, "token-1")
	if told == nil || strings.Contains(told.Error(), "token-1") {
		t.Errorf("told %v", told)
	}
}

func TestTokenFailures(t *testing.T) {
	for name, test := range map[string]struct {
		server  *tokenServer
		kind    Kind
		outcome Outcome
		code    string
	}{
		"wrong secret": {&tokenServer{status: 401, body: `{"error":"invalid_client","error_description":"` + testSecret + ` is wrong"}`}, KindUnauthorized, OutcomeNever, "invalid_client"},
		"wrong scope":  {&tokenServer{status: 400, body: `{"error":"invalid_scope"}`}, KindUnauthorized, OutcomeNever, "invalid_scope"},
		"redirect":     {&tokenServer{status: 302, header: http.Header{"Location": {"https://elsewhere.example.test/"}}}, KindUnauthorized, OutcomeNever, ""},
		"busy":         {&tokenServer{status: 429, header: http.Header{"Retry-After": {"7"}}}, KindRateLimited, OutcomeLater, ""},
		"down":         {&tokenServer{status: 502, body: "<html>"}, KindUnavailable, OutcomeLater, ""},
		"cut":          {&tokenServer{err: io.ErrUnexpectedEOF}, KindConnection, OutcomeLater, ""},
		"slow":         {&tokenServer{delay: time.Hour}, KindTimeout, OutcomeLater, ""},
		"no token":     {&tokenServer{status: 200, body: `{"note":"` + testSecret + `"}`}, KindUnavailable, OutcomeLater, ""},
		"no JSON":      {&tokenServer{status: 200, body: testSecret}, KindUnavailable, OutcomeLater, ""},
		"bad token":    {&tokenServer{status: 200, body: `{"access_token":"a b"}`}, KindUnauthorized, OutcomeLater, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := testClient(t, "http://cx.example.test/", dialer(nil), WithTokenSource(source(t, test.server, nil))) // a call that is sent panics
				e := failure(t, send(c))
				if e.Kind != test.kind || e.Outcome != test.outcome || e.Code != test.code || e.Op != "POST messages/" {
					t.Errorf("got %+v", e)
				}
				if name == "busy" && e.RetryAfter != 7*time.Second {
					t.Errorf("wait %v", e.RetryAfter)
				}
				if strings.Contains(e.Error(), testSecret) {
					t.Errorf("%v shows the secret", e)
				}
			})
		})
	}
}

func TestOneRefreshAndOneReplayAfter401(t *testing.T) {
	for good, want := range map[string]struct {
		calls, tokens int
		done          bool
	}{"token-2": {2, 2, true}, "token-9": {2, 2, false}} {
		server := &tokenServer{life: time.Hour}
		calls := 0
		c := testClient(t, testServer(t, func(w http.ResponseWriter, r *http.Request) {
			calls++
			if r.Header.Get("Authorization") == "Bearer "+good {
				answering(http.StatusOK, "{}")(w, r)
				return
			}
			answering(http.StatusUnauthorized, strconv.Itoa(calls))(w, r)
		}), WithTokenSource(source(t, server, nil)))
		err := send(c)
		if err != nil && string(failure(t, err).Answer) != "2" {
			t.Errorf("%s: the answer is %s", good, failure(t, err).Answer)
		}
		if calls != want.calls || server.count() != want.tokens || (err == nil) != want.done {
			t.Errorf("%s: %d calls, %d tokens, %v", good, calls, server.count(), err)
		}
	}
}

func TestNewClientCredentialsRefuses(t *testing.T) {
	for _, cfg := range []ClientCredentialsConfig{
		{ClientID: "me"},
		{ClientSecret: testSecret},
		{ClientID: "me", ClientSecret: testSecret, TokenURL: "auth.sangoma.com"},
		{ClientID: "me", ClientSecret: testSecret, TokenURL: "https://a:b@auth.sangoma.com/"},
	} {
		if _, err := NewClientCredentials(cfg); err == nil || strings.Contains(err.Error(), testSecret) {
			t.Errorf("got %v", err)
		}
	}
}
