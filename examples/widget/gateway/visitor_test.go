package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/examples/widget/gateway"
	"github.com/cxbridge/cxbridge/subjects"
)

const first, second = "00000000000000a1", "00000000000000a2"

func TestAConversationFromTheFirstWordToTheLast(t *testing.T) {
	h := open(t, nil)
	ann := h.enter("Ann\x00\n <b>")
	id, start := h.command(subjects.ConversationStart, 1)
	contact, _ := start["contact"].(map[string]any)
	if start["inbox_id"] != 1.0 || contact["name"] != "Ann <b>" || !strings.HasSuffix(fmt.Sprint(contact["email"]), "@visitor.invalid") {
		t.Errorf("start = %v", start)
	}
	if status, _ := ann.post("/api/messages", `{"id":"`+first+`","text":"hi"}`); status != http.StatusConflict {
		t.Errorf("a message before the conversation is known = %d, want 409", status)
	}
	h.result(subjects.ConversationStart, id, subjects.StatusDone, "42", "")
	ann.send(first, "hi")
	ann.send(first, "hi")
	command, body := h.command(subjects.MessageSend, 1)
	if body["conversation_id"] != "42" || body["content"] != "hi" || body["message_type"] != "incoming" {
		t.Errorf("message = %v", body)
	}
	h.tell(event{conversation: "42", id: "9001", text: "hi", origin: subjects.OriginCustomer, echoOf: command})
	h.tell(event{conversation: "42", id: "9002", text: "hello <i>", origin: subjects.OriginBot})
	seen := ann.watch(`"id":"9002"`)
	if !strings.Contains(seen, `"client":"`+first+`"`) {
		t.Errorf("the visitor's message is not told as theirs:\n%s", seen)
	}
	h.publish("cx.conversation.status_changed", map[string]string{subjects.HeaderEvent: "conversation_status_changed", subjects.HeaderConversationID: "42", subjects.HeaderInboxID: "1"},
		map[string]any{"status": "resolved"})
	ann.watch(`"state":"finished"`)
	stream, err := h.js.Stream(t.Context(), h.names.CommandsStream())
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 2 {
		t.Errorf("%d commands, want 2: a message that is posted twice is one", n)
	}
}

func TestWhatIsWrittenTwiceIsMarkedByItsResultToo(t *testing.T) {
	h := open(t, nil)
	ann := h.enter("Ann")
	h.begin(1, "42")
	ann.send(first, "hi")
	id, _ := h.command(subjects.MessageSend, 1)
	h.tell(event{conversation: "42", id: "9001", text: "hi", origin: subjects.OriginCustomer}) // without an echo
	h.result(subjects.MessageSend, id, subjects.StatusDone, "42", "9001")
	ann.watch(`"client":"` + first + `"`)
	ann.send(second, "again")
	id, _ = h.command(subjects.MessageSend, 2)
	h.result(subjects.MessageSend, id, subjects.StatusUnknown, "42", "")
	if seen := ann.watch("event: alive"); !strings.Contains(seen, "event: failure") {
		ann.watch(`{"client":"` + second + `","maybe":true}`)
	}
}

func TestNobodySeesWhatIsNotTheirs(t *testing.T) {
	h := open(t, nil)
	ann, bob := h.enter("Ann"), h.enter("Bob")
	h.begin(1, "42")
	h.begin(2, "43")
	h.tell(event{conversation: "42", id: "1", text: "for Ann", origin: subjects.OriginAgent})
	h.tell(event{conversation: "42", id: "2", text: "a note", origin: subjects.OriginAgent, private: true})
	h.tell(event{conversation: "43", id: "3", text: "of another inbox", origin: subjects.OriginAgent, inbox: "2"})
	h.tell(event{conversation: "42", id: "4", text: "last for Ann", origin: subjects.OriginAgent})
	h.tell(event{conversation: "43", id: "5", text: "last for Bob", origin: subjects.OriginAgent})
	if seen := ann.watch("last for Ann"); strings.Contains(seen, "Bob") || strings.Contains(seen, "a note") {
		t.Errorf("Ann sees:\n%s", seen)
	}
	if seen := bob.watch("last for Bob"); strings.Contains(seen, "Ann") || strings.Contains(seen, "inbox") {
		t.Errorf("Bob sees:\n%s", seen)
	}
	stranger := h.browser()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range []string{"", "widget=", "widget=AAAAAAAAAAAAAAAAAAAAAAAAAA", "widget=42"} {
		request.Header.Set("Cookie", cookie)
		response, err := stranger.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusUnauthorized {
			t.Errorf("GET /api/events with %q = %d, want 401", cookie, response.StatusCode)
		}
	}
}

func TestAConversationThatCXGivesTwiceStaysWithItsFirstVisitor(t *testing.T) {
	h := open(t, nil)
	ann, bob := h.enter("Ann"), h.enter("Bob")
	h.begin(1, "42")
	ann.watch(`"state":"bot"`)
	h.begin(2, "42")
	bob.watch(`"state":"failed"`)
	h.tell(event{conversation: "42", id: "1", text: "for Ann", origin: subjects.OriginAgent})
	ann.watch("for Ann")
}

func TestTheGatewayRemembersNothingAndForgetsNothing(t *testing.T) {
	h := open(t, nil)
	ann := h.enter("Ann")
	h.begin(1, "42")
	h.tell(event{conversation: "42", id: "1", text: "before", origin: subjects.OriginBot})
	ann.watch("before")
	old := h.url
	h.serve(nil)
	cookies := ann.client.Jar.Cookies(mustURL(t, old))
	ann.client.Jar.SetCookies(mustURL(t, h.url), cookies)
	if told := ann.mustPost("/api/session", "{}", http.StatusOK); told["started"] != true {
		t.Errorf("session = %v, want it started", told)
	}
	h.tell(event{conversation: "42", id: "2", text: "after", origin: subjects.OriginBot})
	ann.watch("after")
	if seen := ann.watch(`"name":"Ann"`); !strings.Contains(seen, "before") || !strings.Contains(seen, "after") {
		t.Errorf("seen after the restart:\n%s", seen)
	}
}

func TestKeyedSubjects(t *testing.T) {
	h := open(t, func(c *gateway.Config) { c.Keyed = true })
	ann := h.enter("Ann")
	h.begin(1, "42")
	h.tell(event{conversation: "42", id: "1", text: "for Ann", origin: subjects.OriginAgent, keyed: true})
	ann.watch("for Ann")
}

func TestLimits(t *testing.T) {
	h := open(t, func(c *gateway.Config) {
		c.MaxText, c.Messages, c.MessagesAtOnce, c.Starts, c.StartsAtOnce = 10, 1e-9, 2, 1e-9, 2
	})
	ann := h.enter("Ann")
	h.begin(1, "42")
	ann.watch(`"state":"bot"`)
	for body, want := range map[string]int{
		`{"id":"` + first + `","text":"` + strings.Repeat("x", 11) + `"}`:    http.StatusUnprocessableEntity,
		`{"id":"` + first + `","text":" \n"}`:                                http.StatusUnprocessableEntity,
		`{"id":"../../x","text":"hi"}`:                                       http.StatusUnprocessableEntity,
		`{"id":"` + first + `","text":"` + strings.Repeat("x", 1<<17) + `"}`: http.StatusRequestEntityTooLarge,
		`{"id":`: http.StatusBadRequest,
	} {
		if status, _ := ann.post("/api/messages", body); status != want {
			t.Errorf("POST %.40s = %d, want %d", body, status, want)
		}
	}
	if status, _ := ann.post("/api/messages", `{}`, "Content-Type", "text/plain"); status != http.StatusUnsupportedMediaType {
		t.Errorf("another content type = %d, want 415", status)
	}
	ann.mustPost("/api/messages", `{"id":"`+first+`","text":"1"}`, http.StatusAccepted)
	ann.mustPost("/api/messages", `{"id":"`+second+`","text":"2"}`, http.StatusAccepted)
	ann.mustPost("/api/messages", `{"id":"00000000000000a3","text":"3"}`, http.StatusTooManyRequests)
	h.enter("Bob")
	carl := h.browser()
	carl.mustPost("/api/session", "{}", http.StatusOK)
	carl.mustPost("/api/start", `{"name":"Carl"}`, http.StatusTooManyRequests)
	carl.mustPost("/api/start", `{"name":" "}`, http.StatusUnprocessableEntity)
}

func TestOtherOriginsAreRefused(t *testing.T) {
	h := open(t, nil)
	ann := h.enter("Ann")
	for _, header := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
		for _, path := range []string{"/api/session", "/api/start", "/api/messages", "/api/leave"} {
			if status, _ := ann.post(path, "{}", header...); status != http.StatusForbidden {
				t.Errorf("POST %s with %v = %d, want 403", path, header, status)
			}
		}
	}
}

func TestThePageAndItsProtection(t *testing.T) {
	h := open(t, func(c *gateway.Config) { c.Secure = true })
	for path, kind := range map[string]string{"/": "text/html", "/widget.js": "text/javascript", "/widget.css": "text/css", "/icon.svg": "image/svg+xml"} {
		response, err := http.Get(h.url + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), kind) {
			t.Errorf("GET %s = %d %s", path, response.StatusCode, response.Header.Get("Content-Type"))
		}
		policy := response.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("GET %s: policy %q", path, policy)
		}
	}
	response, err := http.Post(h.url+"/api/session", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	cookies := response.Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || !cookies[0].Secure || cookies[0].SameSite != http.SameSiteStrictMode ||
		cookies[0].Name != "__Host-widget" || len(cookies[0].Value) != 26 {
		t.Errorf("cookies = %v", cookies)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestManyChatsAreForgottenOldestFirst(t *testing.T) {
	h := open(t, func(c *gateway.Config) { c.MaxChats, c.StartsAtOnce = 4, 100 })
	ann := h.enter("Ann")
	for i := range 10 {
		h.tell(event{conversation: fmt.Sprint(100 + i), id: fmt.Sprint(i), text: "x", origin: subjects.OriginBot})
	}
	last := h.enter("Zoe")
	h.begin(2, "42")
	h.tell(event{conversation: "42", id: "99", text: "for Zoe", origin: subjects.OriginBot})
	last.watch("for Zoe")
	natstest.Eventually(t, "Ann is forgotten", func() bool {
		told := ann.mustPost("/api/session", "{}", http.StatusOK)
		return told["started"] == false
	})
}
