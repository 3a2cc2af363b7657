package webhook

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/subjects"
)

func TestAnEventIsStoredByteForByteWithAllHeaders(t *testing.T) {
	h := setup(t, nil)
	parent := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	w := h.post(incoming, "traceparent", parent, "tracestate", "a=b")
	if w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != "{}" {
		t.Fatalf("answer %d %q", w.Code, w.Body)
	}
	msg := h.only(t)
	if msg.Subject != "cx.message.created" || string(msg.Data) != incoming {
		t.Errorf("subject %q, body %q", msg.Subject, msg.Data)
	}
	want := map[string]string{
		"Nats-Msg-Id": "acme.cx.sangoma.com:message_created:9001", "ce-id": "acme.cx.sangoma.com:message_created:9001",
		"ce-specversion": "1.0", "ce-source": "//acme.cx.sangoma.com", "ce-type": "com.sangoma.cx.message_created",
		"ce-subject": "conversation/12", "content-type": "application/json",
		"Cx-Event": "message_created", "Cx-Tenant": tenant, "Cx-Conversation-Id": "12", "Cx-Inbox-Id": "5", "Cx-Message-Id": "9001",
		"Cx-Message-Type": "incoming", "Cx-Private": "false", "Cx-Origin": "customer",
		"traceparent": parent, "tracestate": "a=b",
	}
	for name, value := range want {
		if got := msg.Header[name]; !slices.Equal(got, []string{value}) {
			t.Errorf("header %s is %q, want %q", name, got, value)
		}
	}
	for name := range msg.Header {
		if _, ok := want[name]; !ok && name != "ce-time" && name != "Cx-Received-At" && name != headerExpectedStream {
			t.Errorf("header %s was not expected", name)
		}
	}
	if h.bus.expected[0] != "CX_EVENTS" {
		t.Errorf("expected stream %q", h.bus.expected[0])
	}
}

func TestTheSameEventAgainIsStoredOnce(t *testing.T) {
	h := setup(t, nil)
	for range 3 {
		if w := h.post(incoming); w.Code != http.StatusOK {
			t.Fatalf("answer %d", w.Code)
		}
	}
	h.only(t)
}

func TestAnswers(t *testing.T) {
	tests := []struct {
		name, method, path, body string
		status                   int
	}{
		{"wrong token", "POST", Path + "wrong", incoming, 401},
		{"no token", "POST", Path, incoming, 401},
		{"token with more", "POST", Path + token + "x", incoming, 401},
		{"another path", "POST", "/webhook/" + token, incoming, 404},
		{"root", "POST", "/", incoming, 404},
		{"below the token", "POST", Path + token + "/x", incoming, 404},
		{"another method", "GET", Path + token, "", 405},
		{"body too large", "POST", Path + token, strings.Repeat(" ", 4<<20+1), 413},
		{"wrong token, body too large", "POST", Path + "wrong", strings.Repeat(" ", 4<<20+1), 401},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := setup(t, nil)
			w := h.send(test.method, test.path, test.body)
			checkProblem(t, w, test.status)
			if n := len(h.bus.messages()); n != 0 {
				t.Errorf("%d messages were stored", n)
			}
		})
	}
}

func checkProblem(t *testing.T, w *httptest.ResponseRecorder, status int) {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("answer %d %q: %v", w.Code, w.Body, err)
	}
	if w.Code != status || p.Status != status || p.Title == "" || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("answer %d, %+v, %v; want %d", w.Code, p, w.Header(), status)
	}
	if status == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
		t.Error("there is no Retry-After")
	}
}

func TestMalformedBodiesAreKeptAsDeadLetters(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "no JSON": "not json", "an array": `[{"event":"message_created"}]`, "a string": `"x"`, "no event": `{"id":1}`,
		"event is a number": `{"event":1}`, "event is empty": `{"event":""}`, "event is null": `{"event":null}`, "cut": `{"event":"a_b"`,
		"two values": `{"event":"a_b"}{}`, "only space": "  \n", "too deep": `{"event":"a_b","x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			h := setup(t, nil)
			checkProblem(t, h.post(body, "Content-Type", "application/json; charset=utf-8"), http.StatusBadRequest)
			msg := h.only(t)
			if msg.Subject != "cx.dead.webhook.malformed" || string(msg.Data) != body {
				t.Errorf("subject %q, body %.100q", msg.Subject, msg.Data)
			}
			if msg.Header.Get(subjects.HeaderReason) != "malformed" || msg.Header.Get(subjects.HeaderDetail) == "" ||
				msg.Header.Get(subjects.HeaderFailedAt) == "" || msg.Header.Get(subjects.HeaderContentType) != "application/json; charset=utf-8" {
				t.Errorf("headers %v", msg.Header)
			}
			if h.bus.expected[0] != "CX_DEAD" {
				t.Errorf("expected stream %q", h.bus.expected[0])
			}
		})
	}
}

func TestTheTypeOfADeadLettersBodyGoesOutAsItCameIfItIsPlain(t *testing.T) {
	long := strings.Repeat("a", maxHeaderValue)
	for value, want := range map[string]string{
		`multipart/form-data; boundary="a b"`: `multipart/form-data; boundary="a b"`, "text/plain; charset=ü": "text/plain;%20charset=%C3%BC", "a\tb": "a%09b",
		"a\x00b": "a%00b", long: long, long + " b": long, "": "",
	} {
		h := setup(t, nil)
		checkProblem(t, h.post("not json", "Content-Type", value), http.StatusBadRequest)
		if got := h.only(t).Header.Get(subjects.HeaderContentType); got != want {
			t.Errorf("%q became %q, want %q", value, got, want)
		}
	}
}

func TestAMalformedBodyThatCannotBeKeptIsAnswered500(t *testing.T) {
	h := setup(t, quick)
	h.bus.set(away)
	checkProblem(t, h.post("not json"), http.StatusInternalServerError)
}

func TestABodyLargerThanTheBusTakesIsRefusedBeforeItIsStored(t *testing.T) {
	for name, spool := range map[string]Spool{"without a spool": nil, "with a spool": newMemorySpool(1)} {
		t.Run(name, func(t *testing.T) {
			h := setup(t, func(_ *Config, d *Deps) { d.Spool, d.MaxPayload = spool, func() int64 { return 1000 } })
			checkProblem(t, h.post(incoming), http.StatusRequestEntityTooLarge)
			if len(h.bus.expected) != 0 {
				t.Error("it was published")
			}
		})
	}
}

func TestABodyThatTheBusCallsTooLargeIsAnswered413(t *testing.T) {
	var log bytes.Buffer
	h := setup(t, func(_ *Config, d *Deps) { d.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	h.bus.set(func(*nats.Msg) error { return nats.ErrMaxPayload })
	checkProblem(t, h.post(incoming), http.StatusRequestEntityTooLarge)
	if !strings.Contains(log.String(), "raise max_payload") {
		t.Errorf("nobody is told that an event is lost: %q", &log)
	}
}

func TestUnknownEventsAreTaken(t *testing.T) {
	for name, subject := range map[string]string{
		"conversation_status_changed": "cx.conversation.status_changed", "some_thing": "cx.some.thing", "Odd Name": "cx.event.unknown",
		"cmd_x": "cx.event.unknown", "nothing": "cx.event.unknown", "späte_post": "cx.event.unknown", "a_b\\r\\nCx-Origin: x": "cx.event.unknown",
	} {
		h := setup(t, nil)
		if w := h.post(`{"event":"` + name + `","id":7}`); w.Code != http.StatusOK {
			t.Fatalf("%s: answer %d", name, w.Code)
		}
		msg := h.only(t)
		if msg.Subject != subject {
			t.Errorf("%s went to %s, want %s", name, msg.Subject, subject)
		}
		if got := msg.Header.Get(subjects.HeaderEvent); strings.ContainsAny(got, "\r\n ") || !printable(got) {
			t.Errorf("%s: header %q", name, got)
		}
	}
}

func TestKeyedSubjects(t *testing.T) {
	h := setup(t, func(_ *Config, d *Deps) { d.Keyed = true })
	h.post(incoming)
	if got := h.only(t).Subject; got != "cx.event.message.created.5.12" {
		t.Errorf("subject %q", got)
	}
}

// panicking panics on every message.
func panicking(*nats.Msg) error { panic("broken") }

func TestAPanicIsAnswered500AndCounted(t *testing.T) {
	h := setup(t, nil)
	h.bus.set(panicking)
	w := h.post(incoming)
	checkProblem(t, w, http.StatusInternalServerError)
	if strings.Contains(w.Body.String(), "broken") {
		t.Error("the answer tells of the inside")
	}
	if h.requests.Load() != 0 || h.bytes.Load() != 0 {
		t.Error("the request still counts as in flight")
	}
}

func TestTooManyRequestsAtOnceAreAnswered429(t *testing.T) {
	h := setup(t, func(c *Config, _ *Deps) { c.MaxInFlight = 1 })
	inside, goOn := make(chan struct{}), make(chan struct{})
	h.bus.set(func(*nats.Msg) error {
		close(inside)
		<-goOn
		return nil
	})
	first := make(chan int)
	go func() { first <- h.post(incoming).Code }()
	<-inside
	checkProblem(t, h.post(incoming), http.StatusTooManyRequests)
	close(goOn)
	if code := <-first; code != http.StatusOK {
		t.Errorf("the first was answered %d", code)
	}
}

func TestTheBodiesInFlightAreLimitedTogether(t *testing.T) {
	h := setup(t, func(c *Config, _ *Deps) { c.MaxBodyBytes, c.MaxInFlightBytes = 2000, 2000 })
	h.bytes.Store(1500)
	checkProblem(t, h.post(incoming), http.StatusTooManyRequests)
	if got := h.bytes.Load(); got != 1500 {
		t.Errorf("%d bytes are counted afterwards", got)
	}
}

func TestOddBytesArePassedOnUnchanged(t *testing.T) {
	for _, body := range []string{
		`{"event":"message_created","id":1,"content":"` + "\xff\xfe" + `"}`, `{"event":"message_created","id":1,"content":"\ud800"}`,
		`{"event":"message_created","id":1,"id":2}`, " \n\t{\"event\" : \"message_created\" , \"id\" : 9007199254740993 }\n",
	} {
		h := setup(t, nil)
		if w := h.post(body); w.Code != http.StatusOK {
			t.Fatalf("%q: answer %d", body, w.Code)
		}
		if got := string(h.only(t).Data); got != body {
			t.Errorf("%q became %q", body, got)
		}
	}
}

func TestNewNeedsAFingerprintForEchoes(t *testing.T) {
	if _, err := New(DefaultConfig(), Deps{Echo: echoes{}}); err == nil {
		t.Error("there was no error")
	}
}

// quick makes attempts and their sum short, for tests in which all of them fail.
func quick(c *Config, _ *Deps) {
	c.AttemptTimeout, c.StoreTimeout = 10*time.Millisecond, 20*time.Millisecond
}
