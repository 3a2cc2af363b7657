package cxsim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// prepared has a contact 77 (ann@example.test) with conversation 1 in the API inbox and conversation 2 in the web
// widget.
func prepared(t *testing.T, opt Options) *Sim {
	t.Helper()
	s := start(t, opt)
	conversationByAPI(t, s)
	if _, err := s.NewConversation(Visitor{Name: "Ann", Email: "ann@example.test"}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRules(t *testing.T) {
	long := strings.Repeat("ä", maxContent+1)
	for _, c := range []struct {
		name, path, members string
		status              int
		says                string
		opt                 Options
	}{
		{"message", "messages/", `"conversation_id":1,"content":"x"`, 200, `"message_type":1`, Options{}},
		{"id as a string", "messages/", `"conversation_id":"1","content":"x"`, 200, `"conversation_id":1`, Options{}},
		{"ids as strings", "messages/", `"conversation_id":1,"content":"x"`, 200, `"conversation_id":"1"`, Options{IDsAsStrings: true}},
		{"created", "messages/", `"conversation_id":1,"content":"x"`, 201, ``, Options{CreatedStatus: 201}},
		{"in payload", "messages/", `"conversation_id":1,"content":"x"`, 200, `{"payload":{"id":9001`, Options{Envelope: EnvelopePayload}},
		{"in data", "messages/", `"conversation_id":1,"content":"x"`, 200, `{"data":{"id":9001`, Options{Envelope: EnvelopeData}},
		{"unknown member", "messages/", `"conversation_id":1,"content":"x","echo":true`, 200, ``, Options{}},
		{"incoming", "messages/", `"conversation_id":1,"content":"x","message_type":"incoming"`, 200, `"type":"contact"`, Options{}},
		{"incoming in a widget", "messages/", `"conversation_id":2,"content":"x","message_type":"incoming"`, 422, "Incoming messages are only allowed in Api inboxes", Options{}},
		{"template", "messages/", `"conversation_id":1,"content":"x","message_type":"template"`, 422, "'template' is not a valid message_type", Options{}},
		{"no content", "messages/", `"conversation_id":1`, 422, "content", Options{}},
		{"content too long", "messages/", `"conversation_id":1,"content":"` + long + `"`, 422, "too long", Options{}},
		{"wrong type", "messages/", `"conversation_id":1,"content":7`, 422, "content", Options{}},
		{"no conversation", "messages/", `"content":"x"`, 422, "conversation_id", Options{}},
		{"unknown conversation", "messages/", `"conversation_id":99,"content":"x"`, 404, "Resource could not be found", Options{}},
		{"no number", "messages/", `"conversation_id":"abc","content":"x"`, 404, "", Options{}},
		{"an object as id", "messages/", `"conversation_id":{},"content":"x"`, 400, "", Options{}},
		{"contact", "contacts/", `"inbox_id":1,"name":"Bob","email":"bob@example.test"`, 200, `{"payload":{"contact":{`, Options{}},
		{"contact bare", "contacts/", `"inbox_id":1,"name":"Bob","email":"bob@example.test"`, 200, `"id":78`, Options{Envelope: EnvelopeBare}},
		{"contact again", "contacts/", `"inbox_id":1,"name":"Ann","email":"ANN@example.test"`, 422, `{"message":"Email has already been taken","attributes":["email"]}`, Options{}},
		{"bad phone", "contacts/", `"inbox_id":1,"name":"Ann","phone_number":"123"`, 422, "e164", Options{}},
		{"bad email", "contacts/", `"inbox_id":1,"name":"Ann","email":"nobody"`, 422, "Invalid email", Options{}},
		{"contact without an inbox", "contacts/", `"name":"Bob"`, 200, `"contact_inbox":{"inbox":null,"source_id":null}`, Options{}},
		{"contact in an unknown inbox", "contacts/", `"inbox_id":9,"name":"Bob"`, 404, "", Options{}},
		{"conversation", "conversations/", `"inbox_id":1,"contact_id":77,"source_id":"ann@example.test"`, 200, `"id":3`, Options{}},
		{"conversation that is open from the start", "conversations/", `"inbox_id":1,"contact_id":77,"source_id":"ann"`, 200, `"status":"open"`, Options{StartOpen: true}},
		{"conversation of nobody", "conversations/", `"inbox_id":1,"contact_id":7,"source_id":"x"`, 404, "", Options{}},
		{"conversation without a contact", "conversations/", `"inbox_id":1,"source_id":"x"`, 422, "contact_id", Options{}},
		{"conversation without an inbox", "conversations/", `"contact_id":77`, 422, "inbox_id", Options{}},
		{"bad priority", "conversations/", `"inbox_id":1,"contact_id":77,"priority":"x"`, 422, "priority", Options{}},
		{"initial message in a widget", "conversations/", `"inbox_id":2,"contact_id":77,"initial_message":"x"`, 422, "Incoming", Options{}},
		{"hand over", "conversations/deliver-to-agent/", `"conversation_id":1`, 200, `{"meta":{},"payload":{"success":true,"conversation_id":1,"current_status":"open"`, Options{}},
		{"hand over nothing", "conversations/deliver-to-agent/", ``, 422, "", Options{}},
		{"finish", "conversations/finish/", `"conversation_id":1`, 200, `"current_status":"resolved"`, Options{}},
		{"finish unknown", "conversations/finish/", `"conversation_id":5`, 404, "", Options{}},
		{"webhook", "webhooks/", `"url":"https://example.test/x","subscriptions":["message_created"]`, 200, `{"payload":{"webhook":{"id":1,`, Options{}},
		{"webhook without events", "webhooks/", `"url":"https://example.test/x"`, 422, "subscriptions", Options{}},
		{"webhook of an unknown event", "webhooks/", `"url":"https://example.test/x","subscriptions":["x"]`, 422, "subscriptions", Options{}},
		{"typing is too new", "webhooks/", `"url":"https://example.test/x","subscriptions":["conversation_typing_on"]`, 422, "", Options{}},
		{"typing", "webhooks/", `"url":"https://example.test/x","subscriptions":["conversation_typing_on"]`, 200, "", Options{Profile: V47}},
		{"webhook by ftp", "webhooks/", `"url":"ftp://example.test/x","subscriptions":["message_created"]`, 422, "Url", Options{}},
		{"secret of a webhook", "webhooks/", `"url":"https://example.test/x","subscriptions":["message_created"]`, 200, `"secret":"`, Options{Profile: V412}},
		{"bot", "agents-bot/", `"name":"b","outgoing_url":"https://example.test/","description":"d"`, 200, `"outgoing_url":"https://example.test/"`, Options{}},
		{"bot at the older path", "agent-bot/", `"name":"b","outgoing_url":"https://example.test/"`, 200, ``, Options{}},
		{"older path is gone", "agent-bot/", `"name":"b","outgoing_url":"https://example.test/"`, 404, ``, Options{BotPaths: BotPathsCurrent}},
		{"current path is not there yet", "agents-bot/", `"name":"b","outgoing_url":"https://example.test/"`, 404, ``, Options{BotPaths: BotPathsOlder}},
		{"bot without a name", "agents-bot/", `"outgoing_url":"https://example.test/"`, 422, "name", Options{}},
		{"assign an unknown bot", "agents-bot/assign/", `"inbox_id":"1","agent_bot_id":"99"`, 404, "", Options{}},
		{"no slash", "messages", `"conversation_id":1,"content":"x"`, 404, "", Options{}},
		{"no slash, redirected", "messages", `"conversation_id":1,"content":"x"`, 301, "", Options{Slash: SlashRedirect}},
		{"no slash, accepted", "messages", `"conversation_id":1,"content":"x"`, 200, "", Options{Slash: SlashAccept}},
		{"undocumented", "contacts/search/", `"q":"x"`, 404, "", Options{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := prepared(t, c.opt)
			members := tenantMember
			if c.members != "" {
				members += "," + c.members
			}
			a := call(t, s, c.path, "{"+members+"}")
			if a.status != c.status || !strings.Contains(a.body, c.says) {
				t.Errorf("%d %s\nwant %d %s", a.status, a.body, c.status, c.says)
			}
			j := s.Journal()
			if len(j) != 1 || j[0].Status != c.status || j[0].CarriedOut != (c.status < 300) || j[0].Body != "{"+members+"}" {
				t.Errorf("journal: %+v", j)
			}
		})
	}
}

func TestWhoMayAsk(t *testing.T) {
	for _, c := range []struct {
		name, token, body string
		status            int
	}{
		{"no token", "", `{` + tenantMember + `,"conversation_id":1,"content":"x"}`, 401},
		{"wrong token", "x", `{` + tenantMember + `,"conversation_id":1,"content":"x"}`, 401},
		{"no tenant", DefaultToken, `{"conversation_id":1,"content":"x"}`, 422},
		{"another tenant", DefaultToken, `{"tenant_domain":"other.cx.sangoma.com","conversation_id":1,"content":"x"}`, 403},
		{"not JSON", DefaultToken, `{`, 400},
		{"two objects", DefaultToken, `{` + tenantMember + `}{}`, 400},
		{"an array", DefaultToken, `[]`, 422},
		{"too large", DefaultToken, `{` + tenantMember + `,"content":"` + strings.Repeat("x", 2000) + `"}`, 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := prepared(t, Options{MaxBody: 1000})
			a, err := try(t, within(t), http.MethodPost, s.URL()+"messages/", c.token, c.body)
			if err != nil || a.status != c.status {
				t.Errorf("%+v, %v", a, err)
			}
			if j := s.Journal(); len(j) != 1 || j[0].CarriedOut || j[0].Status != c.status || len(s.Messages(1)) != 0 {
				t.Errorf("journal: %+v", j)
			}
		})
	}
}

func TestTheJournalHoldsNoCredential(t *testing.T) {
	s := prepared(t, Options{})
	call(t, s, "messages/", `{`+tenantMember+`,"conversation_id":1,"content":"x"}`)
	j := s.Journal()
	if strings.Contains(fmt.Sprint(j), DefaultToken) || j[0].Header["Content-Type"] != "application/json" {
		t.Errorf("%+v", j)
	}
	if j[0].MessageID != 9001 || j[0].Content != "x" || j[0].MessageType != outgoing || j[0].Seq != 1 {
		t.Errorf("%+v", j[0])
	}
}

func TestInboxesAreListedWithoutATenant(t *testing.T) {
	s := start(t, Options{MoreTenants: []string{"other.cx.sangoma.com"}})
	if a := call(t, s, "inboxes/", ""); !strings.Contains(a.body, `"id":1,"name":"Chat"`) {
		t.Errorf("%+v", a)
	}
	if a := call(t, s, "inboxes/?tenant_domain=other.cx.sangoma.com", ""); !strings.Contains(a.body, `"id":3,"name":"Chat"`) {
		t.Errorf("%+v", a)
	}
	a, err := try(t, within(t), http.MethodPost, s.URL()+"inboxes/", DefaultToken, "{}")
	if err != nil || a.status != 405 || a.header.Get("Allow") != "GET" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestTenantsAreApart(t *testing.T) {
	s := start(t, Options{MoreTenants: []string{"other.cx.sangoma.com"}})
	other := s.In("other.cx.sangoma.com")
	conversationByAPI(t, s)
	c, err := other.NewConversation(Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
	if err != nil || c.ID != 1 || c.Contact.ID != 78 {
		t.Fatalf("%+v, %v", c, err)
	}
	if len(s.Messages(1)) != 0 || len(other.Messages(1)) != 1 {
		t.Error("a message went to the other tenant")
	}
}

func TestSourceIDsBelongToOneContact(t *testing.T) {
	s := start(t, Options{})
	for _, name := range []string{"ann", "bob"} {
		call(t, s, "contacts/", `{`+tenantMember+`,"inbox_id":1,"name":"`+name+`","email":"`+name+`@example.test"}`)
	}
	create := func(contact int) answered {
		return call(t, s, "conversations/", fmt.Sprintf(`{%s,"inbox_id":1,"contact_id":%d,"source_id":"shared"}`, tenantMember, contact))
	}
	if a := create(77); a.status != 200 {
		t.Errorf("%+v", a)
	}
	if a := create(78); a.status != 422 || !strings.Contains(a.body, `{"error":"source_id should be unique"}`) {
		t.Errorf("%+v", a)
	}
	if a := create(77); a.status != 200 || a.path(t, "id") != 2.0 {
		t.Errorf("%+v", a)
	}
}

func TestALockedInboxHasOneConversationForAContact(t *testing.T) {
	s := start(t, Options{Inboxes: []InboxOptions{{LockToSingle: true}}})
	call(t, s, "contacts/", `{`+tenantMember+`,"inbox_id":1,"name":"Ann","email":"ann@example.test"}`)
	for range 2 {
		a := call(t, s, "conversations/", `{`+tenantMember+`,"inbox_id":1,"contact_id":77,"source_id":"ann"}`)
		if a.path(t, "id") != 1.0 {
			t.Errorf("%+v", a)
		}
	}
}

func TestTwoHundredMessagesAMinute(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := prepared(t, Options{MessagesPerMinute: 3, Now: func() time.Time { return now }})
	send := func() answered {
		return call(t, s, "messages/", `{`+tenantMember+`,"conversation_id":1,"content":"x"}`)
	}
	for range 3 {
		if a := send(); a.status != 200 {
			t.Errorf("%+v", a)
		}
	}
	if a := send(); a.status != 422 || a.body != `{"error":"Validation failed: Too many messages"}` {
		t.Errorf("%+v", a)
	}
	now = now.Add(time.Minute)
	if a := send(); a.status != 200 {
		t.Errorf("%+v", a)
	}
}

func TestRequestsAMinute(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := start(t, Options{RequestsPerMinute: 1, Now: func() time.Time { return now }})
	call(t, s, "inboxes/", "")
	if a := call(t, s, "inboxes/", ""); a.status != 429 || a.body != "Retry later\n" || a.header.Get("Retry-After") != "" {
		t.Errorf("%+v", a)
	}
}

func TestASecondHandOverMaySayAlready(t *testing.T) {
	for _, path := range []string{"conversations/deliver-to-agent/", "conversations/finish/"} {
		lenient, strict := prepared(t, Options{}), prepared(t, Options{StrictStatus: true})
		body := `{` + tenantMember + `,"conversation_id":1}`
		call(t, lenient, path, body)
		call(t, strict, path, body)
		if a := call(t, lenient, path, body); a.status != 200 {
			t.Errorf("%+v", a)
		}
		if a := call(t, strict, path, body); a.status != 422 || !strings.Contains(a.body, "already") {
			t.Errorf("%+v", a)
		}
	}
}

func TestAWebhookIsRegisteredOnce(t *testing.T) {
	s := start(t, Options{})
	body := `{` + tenantMember + `,"url":"https://example.test/x","subscriptions":["message_created"]}`
	call(t, s, "webhooks/", body)
	if a := call(t, s, "webhooks/", body); a.body != `{"message":"Url has already been taken","attributes":["url"]}` {
		t.Errorf("%+v", a)
	}
}

func TestPassThroughDependsOnTheProfile(t *testing.T) {
	for profile, kept := range map[Profile]bool{V313: false, V412: true} {
		s := prepared(t, Options{PassThrough: true, Profile: profile})
		a := call(t, s, "messages/", `{`+tenantMember+`,"conversation_id":1,"content":"x","source_id":"mine","private":true,"content_attributes":{"k":1}}`)
		if a.path(t, "source_id") != "mine" || a.path(t, "private") != true || strings.Contains(a.body, `{"k":1}`) != kept {
			t.Errorf("%s: %+v", profile, a)
		}
	}
}

func TestOnlyLoopback(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	for _, addr := range []string{":0", "0.0.0.0:0", "192.0.2.1:80", "nonsense"} {
		if _, err := s.Start(addr); err == nil {
			t.Errorf("listens at %s", addr)
		}
	}
}

func TestStopAndStartAgain(t *testing.T) {
	s := prepared(t, Options{})
	addr := s.Addr()
	s.Stop()
	if _, err := try(t, within(t), http.MethodGet, s.URL()+"inboxes/", DefaultToken, ""); err == nil {
		t.Error("answers though it was stopped")
	}
	if _, err := s.Start(addr); err != nil {
		t.Fatal(err)
	}
	if a := call(t, s, "messages/", `{`+tenantMember+`,"conversation_id":1,"content":"x"}`); a.status != 200 {
		t.Errorf("%+v", a)
	}
}
