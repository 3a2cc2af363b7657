package bridge

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func get(h http.Handler, path, token string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8081"+path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	h.ServeHTTP(w, r)
	return w
}

func admin(token string, checks ...check) http.Handler {
	metrics := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	a := &adminServer{ready: &readiness{checks: checks}, metrics: metrics, contract: []byte("{}"), local: true, console: http.NotFoundHandler(), session: nobody}
	a.token.Store(&token)
	return a.handler()
}

func nobody(*http.Request) bool { return false }

func works(context.Context) error { return nil }

func fails(context.Context) error { return errors.New("spool: no space left") }

func TestReadyTellsWhatIsWrong(t *testing.T) {
	if w := get(admin("", check{"bus", works}), "/readyz", ""); w.Code != 200 || w.Body.String() != `{"ready":true}`+"\n" {
		t.Errorf("ready = %d %s", w.Code, w.Body)
	}
	w := get(admin("", check{"bus", works}, check{"spool", fails}), "/readyz", "")
	if w.Code != 503 || w.Body.String() != `[{"check":"spool","problem":"spool: no space left"}]`+"\n" {
		t.Errorf("not ready = %d %s", w.Code, w.Body)
	}
	paused := &readiness{checks: []check{{"bus", works}}, remarks: func() []string { return []string{"commands are paused"} }}
	for want, detail := range map[string]bool{`{"ready":true}`: false, `{"ready":true,"remarks":["commands are paused"]}`: true} {
		w := httptest.NewRecorder()
		paused.serve(func(*http.Request) bool { return detail })(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if w.Code != 200 || w.Body.String() != want+"\n" {
			t.Errorf("ready, with details %v = %d %s", detail, w.Code, w.Body)
		}
	}
}

func TestReadyIsProvenAtMostOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var proofs atomic.Int32
		r := &readiness{checks: []check{{"bus", func(context.Context) error { proofs.Add(1); return nil }}}}
		for range 100 {
			r.prove(t.Context(), readyFresh)
		}
		if n := proofs.Load(); n != 1 {
			t.Errorf("%d proofs within no time", n)
		}
		r.at = r.at.Add(-readyFresh)
		r.prove(t.Context(), readyFresh)
		if n := proofs.Load(); n != 2 {
			t.Errorf("%d proofs after a second; want 2", n)
		}
	})
}

func TestReadyDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &readiness{checks: []check{{"bus", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}}}
		if faults := r.prove(t.Context(), readyFresh); len(faults) != 1 {
			t.Errorf("faults = %v", faults)
		}
	})
}

func TestAdminAsksForTheToken(t *testing.T) {
	h := admin("s3cret", check{"spool", fails})
	for path, want := range map[string]int{"/livez": 200, "/readyz": 503, "/metrics": 401, "/asyncapi.json": 401, "/": 404} {
		if w := get(h, path, "wrong"); w.Code != want {
			t.Errorf("%s with a wrong token = %d; want %d", path, w.Code, want)
		}
	}
	for _, path := range []string{"/metrics", "/asyncapi.json"} {
		if w := get(h, path, "s3cret"); w.Code != 200 {
			t.Errorf("%s with the token = %d", path, w.Code)
		}
	}
	if w := get(h, "/readyz", ""); w.Body.String() != "[]\n" {
		t.Errorf("strangers are told %s", w.Body)
	}
	if w := get(h, "/readyz", "s3cret"); w.Body.Len() < 30 {
		t.Errorf("the operator is told no more than %s", w.Body)
	}
}

// TestAdminOnLoopbackAnswersToItsOwnNamesOnly keeps pages of a browser out, whose names were made to resolve to loopback.
func TestAdminOnLoopbackAnswersToItsOwnNamesOnly(t *testing.T) {
	local := admin("", check{"bus", works})
	for host, want := range map[string]int{
		"127.0.0.1:8081": 200, "127.0.0.1": 200, "[::1]:8081": 200, "::1": 200, "localhost:8081": 200, "LocalHost": 200, "localhost.": 200,
		"cx.localhost:8081": 200, "10.1.2.3:8081": 200, "": 200,
		"evil.example:8081": 421, "evil.example": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example:8081": 421, "notlocalhost": 421,
	} {
		for _, path := range []string{"/livez", "/readyz", "/metrics", "/asyncapi.json"} {
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = host
			if local.ServeHTTP(w, r); w.Code != want {
				t.Errorf("%s for host %q = %d, want %d", path, host, w.Code, want)
			}
		}
	}
	beyond := &adminServer{ready: &readiness{}, console: http.NotFoundHandler(), session: nobody}
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://bridge.example/livez", nil)
	if beyond.handler().ServeHTTP(w, r); w.Code != 200 {
		t.Errorf("beyond loopback, where there is a token: %d", w.Code)
	}
}
