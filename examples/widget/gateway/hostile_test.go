package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cxbridge/cxbridge/examples/widget/gateway"
	"github.com/cxbridge/cxbridge/subjects"
)

// ask sends a request that no page would send, without the cookies of a browser.
func (h *house) ask(method, path, body string, header ...string) (status int, text string) {
	h.t.Helper()
	request, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	request.Close = true
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return response.StatusCode, string(all)
}

func TestHostileRequestsGetNothing(t *testing.T) {
	h := open(t, func(c *gateway.Config) { c.StartsAtOnce = 100 })
	ann := h.enter("Ann")
	h.begin(1, "42")
	h.tell(event{conversation: "42", id: "9", text: "for Ann alone", origin: subjects.OriginBot})
	ann.watch("for Ann alone")
	const guess = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, cookie := range []string{
		"", "widget=", "widget=" + guess, "widget=" + strings.ToLower(guess), `widget="` + guess + `"`, "widget=" + guess + guess, "widget=../../etc/passwd",
		"widget=*", "widget=%00", "Widget=" + guess, "__Host-widget=" + guess, "widget=" + guess + "; widget=" + guess, "widget=" + strings.Repeat("A", 10_000),
	} {
		for _, call := range []struct{ method, path, body string }{
			{"GET", "/api/events", ""}, {"POST", "/api/messages", `{"id":"` + first + `","text":"hi"}`},
		} {
			status, text := h.ask(call.method, call.path, call.body, "Cookie", cookie)
			if status != http.StatusUnauthorized || strings.Contains(text, "Ann") {
				t.Errorf("%s %s with the cookie %.60s = %d %s", call.method, call.path, cookie, status, text)
			}
		}
	}
	for _, path := range []string{
		"/api/events/", "/api/", "/api/messages/42", "/..%2fgateway.go", "/%2e%2e/gateway.go", "/page/index.html", "/gateway.go", "//etc/passwd", "/widget.js%00",
		"/api/events?visitor=" + guess, "/.git/config",
	} {
		if status, text := h.ask("GET", path, ""); status == http.StatusOK || strings.Contains(text, "package gateway") {
			t.Errorf("GET %s = %d %.100s", path, status, text)
		}
	}
	for _, method := range []string{"GET", "PUT", "DELETE", "OPTIONS", "TRACE"} {
		if status, _ := h.ask(method, "/api/messages", ""); status < 400 {
			t.Errorf("%s /api/messages = %d", method, status)
		}
	}
	h.kept("hostile", 1)
}

// kept wants so many commands on the bus.
func (h *house) kept(what string, want int) {
	h.t.Helper()
	stream, err := h.js.Stream(h.t.Context(), h.names.CommandsStream())
	if err != nil {
		h.t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != uint64(want) {
		h.t.Errorf("%s: %d commands are on the bus; want %d", what, n, want)
	}
}

func TestHostileNamesAndTextsAreCleanOrRefused(t *testing.T) {
	h := open(t, func(c *gateway.Config) { c.StartsAtOnce = 100 })
	eve := h.enter("\u202eeve\x00\x1b[2J\r\n<script>alert(1)</script>\u200b")
	_, body := h.command(subjects.ConversationStart, 1)
	contact, ok := body["contact"].(map[string]any)
	if !ok || contact["name"] != "eve[2J<script>alert(1)</script>" {
		t.Errorf("the contact is %v", body)
	}
	h.begin(1, "42")
	eve.watch(`"state":"bot"`)
	for text, want := range map[string]int{
		`"\u0000"`: http.StatusUnprocessableEntity, `"\ud800 half a pair"`: http.StatusAccepted, `["a"]`: http.StatusBadRequest, `{"a":1}`: http.StatusBadRequest,
		`null`: http.StatusUnprocessableEntity, `1e9`: http.StatusBadRequest,
	} {
		if status, told := eve.post("/api/messages", `{"id":"`+first+`","text":`+text+`}`); status != want {
			t.Errorf("the text %s = %d %v; want %d", text, status, told, want)
		}
	}
	for _, id := range []string{"start", "0", "zzzzzzzzzzzzzzzz", "00000000000000A1", first + " ", first + "\\n", "*", ">"} {
		if status, _ := eve.post("/api/messages", `{"id":"`+id+`","text":"hi"}`); status != http.StatusUnprocessableEntity {
			t.Errorf("the id %q = %d", id, status)
		}
	}
	if status, _ := eve.post("/api/messages", strings.Repeat("[", 60_000)); status != http.StatusBadRequest {
		t.Errorf("a deep body = %d", status)
	}
	h.kept("texts", 2)
}
