package cxsim

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequest gives any body to any call: each gets an answer that is JSON, and an entry of the journal that agrees
// with it.
func FuzzRequest(f *testing.F) {
	for path := range New(Options{}).routes() {
		f.Add(path, `{"tenant_domain":"acme.cx.sangoma.com","conversation_id":1,"content":"x"}`)
	}
	f.Add("conversations/", `{"tenant_domain":"acme.cx.sangoma.com","inbox_id":"1","contact_id":77,"priority":3,"source_id":""}`)
	f.Add("contacts/", `{"tenant_domain":"acme.cx.sangoma.com","email":"a@b","phone_number":"+12"}`)
	f.Add("messages/", `{"tenant_domain":"acme.cx.sangoma.com","conversation_id":-1e9,"content":null}`)
	f.Fuzz(func(t *testing.T, path, body string) {
		s := New(Options{PassThrough: true, Profile: V412})
		defer s.Close()
		if _, err := s.NewConversation(Visitor{Name: "v", InboxID: 1, Text: "hi"}); err != nil {
			t.Fatal(err)
		}
		table := s.routes()
		if _, ok := table[path]; !ok {
			path = "messages/"
		}
		r := httptest.NewRequestWithContext(t.Context(), table[path].method, Root+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+DefaultToken)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("answered %q", w.Body)
		}
		j := s.Journal()
		if len(j) != 1 || j[0].Status != w.Code || j[0].Body != body || j[0].CarriedOut != (w.Code == http.StatusOK) {
			t.Errorf("answered %d, journal %+v", w.Code, j)
		}
	})
}

func BenchmarkSendMessage(b *testing.B) {
	s := New(Options{MessagesPerMinute: -1, JournalLimit: 1000})
	defer s.Close()
	if _, err := s.NewConversation(Visitor{Name: "v", InboxID: 1}); err != nil {
		b.Fatal(err)
	}
	handler := s.Handler()
	body := `{` + tenantMember + `,"conversation_id":1,"content":"hello"}`
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, Root+"messages/", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+DefaultToken)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}
