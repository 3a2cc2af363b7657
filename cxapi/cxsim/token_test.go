package cxsim

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func askToken(t *testing.T, s *Sim, id, secret, kind, form string) answered {
	t.Helper()
	r, err := http.NewRequestWithContext(within(t), http.MethodPost, s.TokenURL(), strings.NewReader(form))
	must(t, err)
	r.Header.Set("Content-Type", kind)
	if id != "" {
		r.SetBasicAuth(id, secret)
	}
	response, err := client(t).Do(r)
	must(t, err)
	text, err := io.ReadAll(response.Body)
	must(t, err)
	must(t, response.Body.Close())
	return answered{response.StatusCode, response.Header, string(text)}
}

const (
	formKind  = "application/x-www-form-urlencoded"
	goodForm  = "grant_type=client_credentials&scope=" + Scope
	wideForm  = goodForm + "+cx.agent-calls+cx.unknown"
	otherForm = "grant_type=client_credentials&scope=cx.agent-calls"
)

func TestTheTokenServer(t *testing.T) {
	for _, c := range []struct {
		name, id, secret, kind, form string
		status                       int
		says                         string
	}{
		{"granted", DefaultClientID, DefaultClientSecret, formKind, goodForm, 200, `"token_type":"bearer","expires_in":24304413`},
		{"unknown scopes are left out", DefaultClientID, DefaultClientSecret, formKind, wideForm, 200, `"scope":"cx.agent-calls cx.digital-interactions"`},
		{"nobody", "", "", formKind, goodForm, 401, "invalid_client"},
		{"wrong secret", DefaultClientID, "x", formKind, goodForm, 401, "invalid_client"},
		{"wrong client", "x", DefaultClientSecret, formKind, goodForm, 401, "invalid_client"},
		{"wrong grant", DefaultClientID, DefaultClientSecret, formKind, "grant_type=password&scope=" + Scope, 400, "unsupported_grant_type"},
		{"no scope", DefaultClientID, DefaultClientSecret, formKind, "grant_type=client_credentials", 400, "invalid_scope"},
		{"JSON", DefaultClientID, DefaultClientSecret, "application/json", "{}", 400, "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, Options{})
			a := askToken(t, s, c.id, c.secret, c.kind, c.form)
			if a.status != c.status || !strings.Contains(a.body, c.says) {
				t.Errorf("%+v", a)
			}
			if j := s.Journal(); len(j) != 1 || j[0].Op != OpToken || j[0].Status != c.status {
				t.Errorf("%+v", j)
			}
		})
	}
}

func TestATokenOpensTheAPI(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := start(t, Options{Now: func() time.Time { return now }, TokenLifetime: time.Hour})
	grant := func(form string) (token string, left float64) {
		a := askToken(t, s, DefaultClientID, DefaultClientSecret, formKind, form)
		token, _ = a.path(t, "access_token").(string)
		left, _ = a.path(t, "expires_in").(float64)
		return token, left
	}
	status := func(token string) int {
		a, err := try(t, within(t), http.MethodGet, s.URL()+"inboxes/", token, "")
		must(t, err)
		return a.status
	}
	token, _ := grant(goodForm)
	if got := status(token); got != 200 {
		t.Errorf("a good token: %d", got)
	}
	other, _ := grant(otherForm)
	if got := status(other); got != 403 {
		t.Errorf("a token of another scope: %d", got)
	}
	now = now.Add(10 * time.Minute)
	if again, left := grant(goodForm); again != token || left != 3000 {
		t.Errorf("the token that there was is not handed out with the life it has left: %v", left)
	}
	now = now.Add(50 * time.Minute)
	if got := status(token); got != 401 {
		t.Errorf("an expired token: %d", got)
	}
	fresh, _ := grant(goodForm)
	if got := status(fresh); got != 200 || fresh == token {
		t.Errorf("a fresh token: %d", got)
	}
	s.RevokeTokens()
	if got := status(fresh); got != 401 {
		t.Errorf("a revoked token: %d", got)
	}
	s.SetToken("rotated")
	if status(DefaultToken) != 401 || status("rotated") != 200 || status("") != 401 {
		t.Error("the static token was not replaced")
	}
}

func TestFaultsOfTheTokenServer(t *testing.T) {
	s := start(t, Options{})
	s.Fault(Fault{Effect: EffectStatus}) // not of the token server
	s.Fault(Fault{Op: OpToken, Effect: EffectStatus, Status: 503, Times: 1})
	if a := askToken(t, s, DefaultClientID, DefaultClientSecret, formKind, goodForm); a.status != 503 {
		t.Errorf("%+v", a)
	}
	if a := askToken(t, s, DefaultClientID, DefaultClientSecret, formKind, goodForm); a.status != 200 {
		t.Errorf("%+v", a)
	}
}

func TestASecretInTheFormIsNotKept(t *testing.T) {
	s := start(t, Options{})
	askToken(t, s, "", "", formKind, goodForm+"&client_id=x&client_secret=hidden")
	if j := s.Journal(); strings.Contains(j[0].Body, "hidden") || !strings.Contains(j[0].Body, "redacted") {
		t.Errorf("%+v", j)
	}
}
