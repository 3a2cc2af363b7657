package cxapi

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestStaticTokenIsNotReplayed(t *testing.T) {
	calls := 0
	c := testClient(t, testServer(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		answering(http.StatusUnauthorized, `{"error":"Invalid Access Token"}`)(w, r)
	}))
	if e := failure(t, send(c)); e.Kind != KindUnauthorized || e.Outcome != OutcomeNever || calls != 1 {
		t.Errorf("got %+v after %d calls", e, calls)
	}
}

func TestTokensThatCannotBeSent(t *testing.T) {
	for _, token := range []string{"", "a b", "a\r\nX: y", "tökén"} {
		c := testClient(t, "http://cx.example.test/", dialer(nil), WithToken(token)) // a call that is sent panics
		if e := failure(t, send(c)); e.Kind != KindUnauthorized || e.Outcome != OutcomeLater || (token != "" && strings.Contains(e.Error(), token)) {
			t.Errorf("%q: got %+v", token, e)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFileTokenIsReadAgainWhenItChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	f := NewFileToken(path)
	want := func(token string) {
		t.Helper()
		if got, err := f.Token(t.Context()); err != nil || got != token {
			t.Errorf("got %q, %v, want %q", got, err, token)
		}
	}
	if _, err := f.Token(t.Context()); err == nil {
		t.Error("no error without a file")
	}
	write(t, path, " one\n")
	want("one")
	write(t, path, "another\n")
	want("another")
	write(t, path, "") // the moment of a rotation
	want("another")
	write(t, path, "third")
	want("third")
	other := filepath.Join(filepath.Dir(path), "new")
	write(t, other, "forth") // same length
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	want("forth")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want("forth")
}

func TestFileTokenIsReadAgainAfter401(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, "aaaa")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	c := testClient(t, testServer(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
		if r.Header.Get("Authorization") == "Bearer bbbb" {
			answering(http.StatusOK, "")(w, r)
			return
		}
		write(t, path, "bbbb") // looks unchanged: same size, same time
		if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
			t.Error(err)
		}
		answering(http.StatusUnauthorized, "")(w, r)
	}), WithTokenSource(NewFileToken(path)))
	if err := send(c); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(seen, ", "); got != "Bearer aaaa, Bearer bbbb" {
		t.Errorf("got %s", got)
	}
}

// turns gives a new token after each refusal.
type turns struct {
	mu   sync.Mutex
	left []string
	bad  []string
}

func (s *turns) Token(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left[0], nil
}

func (s *turns) Invalidate(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad = append(s.bad, token)
	s.left = s.left[1:]
}

func TestOneReplayAfter401(t *testing.T) {
	source := &turns{left: []string{"one", "two", "three"}}
	calls := 0
	c := testClient(t, testServer(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		answering(http.StatusUnauthorized, "")(w, r)
	}), WithTokenSource(source))
	if e := failure(t, send(c)); e.Kind != KindUnauthorized || e.Outcome != OutcomeNever || calls != 2 || strings.Join(source.bad, ",") != "one" {
		t.Errorf("got %+v after %d calls, refused %v", e, calls, source.bad)
	}
}
