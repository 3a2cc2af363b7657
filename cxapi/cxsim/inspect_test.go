package cxsim

import (
	"net/http"
	"strings"
	"testing"
)

// at calls what is of the simulator itself.
func at(t *testing.T, s *Sim, method, path, body string) answered {
	t.Helper()
	a, err := try(t, within(t), method, "http://"+s.Addr()+"/_sim/"+path, "", body)
	must(t, err)
	return a
}

func TestTheSimulatorOverHTTP(t *testing.T) {
	s := start(t, Options{})
	hook := receive(t, nil)
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "webhooks", `{"url":"` + hook.URL + `"}`, 200, `"secret":`},
		{"POST", "webhooks", `{"url":"x"}`, 400, "url"},
		{"POST", "webhooks", `{"url":"http://x","inbox_id":2}`, 400, "inbox_id"},
		{"POST", "webhooks", `{"url":"http://x","subscriptions":["y"]}`, 400, "y"},
		{"POST", "customer", `{"name":"Ann","email":"ann@example.test","text":"hi","inbox_id":1}`, 200, `"status":"pending"`},
		{"POST", "customer", `{"conversation_id":1,"text":"there?"}`, 200, `"content":"there?"`},
		{"POST", "customer", `{"conversation_id":9,"text":"there?"}`, 400, "not found"},
		{"POST", "customer", `{"tenant":"x","text":"there?"}`, 400, "x"},
		{"POST", "customer", `{"nonsense":1}`, 400, "nonsense"},
		{"POST", "agent", `{"conversation_id":1,"action":"pick-up"}`, 200, `"assignee":"Bo"`},
		{"POST", "agent", `{"conversation_id":1,"action":"say","text":"yes"}`, 200, `"content":"yes"`},
		{"POST", "agent", `{"conversation_id":1,"action":"note","text":"hm"}`, 200, `"private":true`},
		{"POST", "agent", `{"conversation_id":1,"action":"return"}`, 200, `"status":"pending"`},
		{"POST", "agent", `{"conversation_id":1,"action":"resolve"}`, 200, `"status":"resolved"`},
		{"POST", "agent", `{"conversation_id":1,"action":"sing"}`, 400, "sing"},
		{"POST", "faults", `{"op":"message.send","effect":"status","status":429,"retry_after":"1","delay":"2ms","times":1}`, 204, ""},
		{"POST", "faults", `{"effect":"nonsense"}`, 400, "nonsense"},
		{"POST", "faults", `{"effect":"delay","delay":"long"}`, 400, "long"},
		{"GET", "faults", ``, 200, `"delay":"2ms"`},
		{"DELETE", "faults", ``, 204, ""},
		{"GET", "faults", ``, 200, "[]"},
		{"POST", "deliveries/pause", ``, 204, ""},
		{"POST", "deliveries/resume", ``, 204, ""},
		{"POST", "deliveries/flush", ``, 204, ""},
		{"POST", "tokens/revoke", ``, 204, ""},
		{"GET", "state", ``, 200, `"tenant":"acme.cx.sangoma.com"`},
		{"GET", "journal", ``, 200, `[]`},
		{"GET", "journal?after=x", ``, 400, "after"},
		{"GET", "nothing", ``, 404, ""},
	} {
		if a := at(t, s, c.method, c.path, c.body); a.status != c.status || !strings.Contains(a.body, c.says) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, a.status, a.body)
		}
	}
	idle(t, s)
	if a := at(t, s, "GET", "deliveries?event=conversation_created&conversation=1", ""); strings.Count(a.body, `"seq"`) != 1 {
		t.Errorf("%+v", a)
	}
	call(t, s, "messages/", `{`+tenantMember+`,"conversation_id":1,"content":"x"}`)
	for query, want := range map[string]int{
		"": 1, "?op=message.send": 1, "?op=token": 0, "?conversation=1": 1, "?conversation=2": 0, "?after=1": 0,
		"?carried_out=true": 1, "?carried_out=false": 0,
	} {
		if a := at(t, s, "GET", "journal"+query, ""); strings.Count(a.body, `"seq"`) != want {
			t.Errorf("%s: %+v", query, a)
		}
	}
}

func TestOtherPagesCannotActInTheSimulator(t *testing.T) {
	s := start(t, Options{})
	r, err := http.NewRequestWithContext(within(t), http.MethodPost, "http://"+s.Addr()+"/_sim/customer", strings.NewReader(`{"text":"hi"}`))
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", "https://evil.example")
	response, err := client(t).Do(r)
	must(t, err)
	must(t, response.Body.Close())
	if response.StatusCode != http.StatusForbidden || len(s.Conversations()) != 0 {
		t.Errorf("%d", response.StatusCode)
	}
}

func TestTheAgentsPage(t *testing.T) {
	s := start(t, Options{})
	for path, says := range map[string]string{"": "<title>Agent", "agent.js": "use strict", "agent.css": "color-scheme"} {
		a := at(t, s, "GET", path, "")
		if a.status != 200 || !strings.Contains(a.body, says) || !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
	}
	if strings.Contains(at(t, s, "GET", "agent.js", "").body, "innerHTML") {
		t.Error("the page builds HTML out of text")
	}
}

func TestSmallThings(t *testing.T) {
	s := start(t, Options{})
	if s.Domain() != DefaultTenant || s.In("x") != nil {
		t.Error(s.Domain())
	}
	for _, p := range Profiles() {
		if got, err := ParseProfile(string(p)); err != nil || got != p {
			t.Error(got, err)
		}
	}
	if _, err := ParseProfile("v1"); err == nil {
		t.Error("an unknown profile is taken")
	}
	hook := receive(t, nil)
	s.Subscribe(hook.URL)
	s.Unsubscribe(hook.URL)
	conversationByAPI(t, s)
	idle(t, s)
	if len(hook.all()) != 0 {
		t.Error("somebody who unsubscribed was told")
	}
	call(t, s, "messages/", `{`+tenantMember+`,"conversation_id":1,"content":"x"}`)
	j := s.Journal()
	if len(j.Calls(OpSendMessage)) != 1 || len(j.Calls(OpFinish)) != 0 || len(j.Conversation(1)) != 1 || len(j.Conversation(2)) != 0 {
		t.Errorf("%+v", j)
	}
}
