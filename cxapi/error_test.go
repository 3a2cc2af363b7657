package cxapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, test := range []struct {
		value, date string
		want        time.Duration
	}{
		{"", "", 0},
		{"5", "", 5 * time.Second},
		{" 007 ", "", 7 * time.Second},
		{"0", "", 0},
		{"-5", "", 0},
		{"1.5", "", 0},
		{"soon", "", 0},
		{"86400", "", MaxRetryAfter},
		{"9223372036854775807", "", MaxRetryAfter},
		{"99999999999999999999999", "", MaxRetryAfter},
		{"-99999999999999999999999", "", 0},
		{date(30 * time.Second), "", 30 * time.Second},
		{date(-30 * time.Second), "", 0},
		{date(48 * time.Hour), "", MaxRetryAfter},
		{date(30 * time.Second), date(20 * time.Second), 10 * time.Second}, // the server's clock is ahead
	} {
		header := http.Header{"Retry-After": {test.value}}
		if test.date != "" {
			header.Set("Date", test.date)
		}
		if got := retryAfter(header, now); got != test.want {
			t.Errorf("%q, %q: got %v, want %v", test.value, test.date, got, test.want)
		}
	}
}

func TestRetryAfterReachesTheError(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		c := testClient(t, testServer(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "5")
			answering(status, "Retry later")(w, r)
		}))
		if e := failure(t, send(c)); e.RetryAfter != 5*time.Second || e.Body != "Retry later" {
			t.Errorf("got %+v", e)
		}
	}
}

func TestLimitOfMessagesIsAWait(t *testing.T) {
	c := testClient(t, testServer(t, answering(422, `{"error":"Validation failed: Too many messages"}`)))
	if e := failure(t, send(c)); !e.TooManyMessages() || e.Outcome != OutcomeLater || e.Kind != KindRateLimited {
		t.Errorf("got %+v", e)
	}
	_, err := c.SendMessage(t.Context(), MessageParams{ConversationID: NumberID(42), Content: "messages"}) // cleaned from the error
	if e := failure(t, err); !e.TooManyMessages() || strings.Contains(e.Body, "messages") {
		t.Errorf("got %+v", e)
	}
	c = testClient(t, testServer(t, answering(422, `{"error":"no","content":"Too many messages!"}`)))
	_, err = c.SendMessage(t.Context(), MessageParams{ConversationID: NumberID(42), Content: "Too many messages!"})
	if e := failure(t, err); e.TooManyMessages() || e.Outcome != OutcomeNever {
		t.Errorf("an echo counted: %+v", e)
	}
	c = testClient(t, testServer(t, answering(422, `{"error":"Incoming messages are only allowed in Api inboxes"}`)))
	if e := failure(t, send(c)); e.TooManyMessages() || e.AlreadyDone() || e.Outcome != OutcomeNever || e.Body != "Incoming messages are only allowed in Api inboxes" {
		t.Errorf("got %+v", e)
	}
}

func TestAlreadyDone(t *testing.T) {
	c := testClient(t, testServer(t, answering(422, `{"message":"Url has already been taken","attributes":["url"]}`)))
	_, err := c.CreateWebhook(t.Context(), WebhookParams{URL: "https://bot.example.test/"})
	if e := failure(t, err); !e.AlreadyDone() || e.Outcome != OutcomeNever || e.Body != "Url has already been taken" {
		t.Errorf("got %+v", e)
	}
}

// Whatever the server echoes, no error shows the token, the header or what was written.
func TestErrorsShowNoSecrets(t *testing.T) {
	const content = "my card is 4111 1111 1111 1111, \"really\""
	for name, echo := range map[string]string{
		"token":         testToken,
		"header":        "Authorization: Bearer " + testToken,
		"other header":  "authorization: bearer abcdefghijk",
		"basic":         "sent Basic YWxhZGRpbjpvcGVuc2VzYW1l",
		"JSON":          `{"error":"bad token ` + testToken + `"}`,
		"members":       `{"message":"access_token=hunter22 client_secret: hunter22, \"password\":\"hunter22\" api_key=hunter22"}`,
		"request":       `{"error":"cannot take it","request":{"content":"my card is 4111 1111 1111 1111","access_token":"hunter22"}}`,
		"in a message":  `{"errors":{"content":["` + `my card is 4111 1111 1111 1111, \"really\"` + ` is too long"]}}`,
		"as text":       "cannot parse " + content,
		"JSON in text":  `cannot parse {"content":"my card is 4111 1111 1111 1111, \"really\"","pubsub_token":"hunter22"}`,
		"JSON in JSON":  `{"error":"cannot parse {\"access_token\":\"hunter22\"}"}`,
		"cut JSON":      `{"error":"no","access_token":"hunter22","conte`,
		"page":          "<html><title>500 Oops</title><body>" + testToken + content + "</body></html>",
		"control chars": "a\x00b\x1b[31mred\r\nBearer " + testToken,
	} {
		for _, status := range []int{400, 401, 500} {
			c := testClient(t, testServer(t, answering(status, echo)))
			_, err := c.SendMessage(t.Context(), MessageParams{ConversationID: NumberID(42), Content: content})
			text := fmt.Sprintf("%v %+v", err, *failure(t, err))
			for _, secret := range []string{testToken, "4111", "hunter22", "YWxhZGRpbjpvcGVuc2VzYW1l", "abcdefghijk", "\x00", "\x1b", "\n"} {
				if strings.Contains(text, secret) {
					t.Errorf("%s: %q shows %q", name, text, secret)
				}
			}
		}
	}
}

func TestAnErrorHoldsTheAnswerOutsideOfItsText(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		want   bool
	}{
		"refused":           {422, `{"error":"nope","request":{"content":"hello there"}}`, true},
		"server error":      {500, ` ["a"] `, true},
		"refused by a 200":  {200, `{"errors":["nope"]}`, true},
		"empty":             {422, "", false},
		"no JSON":           {422, "nope", false},
		"a page by a 200":   {200, "<html>", false},
		"cut JSON":          {422, `{"error":"no`, false},
		"as long as may be": {422, `"` + strings.Repeat("x", MaxErrorAnswer-2) + `"`, true},
		"too long":          {422, `"` + strings.Repeat("x", MaxErrorAnswer-1) + `"`, false},
		"with the token":    {422, `{"error":"` + testToken + ` is no good"}`, false},
	} {
		e := failure(t, send(testClient(t, testServer(t, answering(test.status, test.body)))))
		if got := string(e.Answer); test.want && got != test.body || !test.want && e.Answer != nil {
			t.Errorf("%s: got %.100q", name, got)
		}
		if strings.Contains(fmt.Sprintf("%v %+v", e, e), "hello there") {
			t.Errorf("%s: %v", name, e)
		}
	}
}

func TestErrorsOfTheTransportShowNoSecrets(t *testing.T) {
	c := testClient(t, "http://cx.example.test/", WithHTTPClient(&http.Client{Transport: failing{
		fmt.Errorf("malformed answer %q: %w", "Bearer "+testToken, errors.ErrUnsupported),
	}}))
	err := send(c)
	if strings.Contains(fmt.Sprintf("%+v", err), testToken) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %+v", err)
	}
}

func TestExcerptIsCut(t *testing.T) {
	_, message := excerpt([]byte(strings.Repeat("ü", 1000)), nil)
	if want := strings.Repeat("ü", maxExcerpt/2) + "…"; message != want {
		t.Errorf("got %d bytes: %q", len(message), message)
	}
	code, message := excerpt([]byte(`{"code":"E1","error":{"type":"x","message":["a","b"]},"title":"T"}`), nil)
	if code != "E1" || message != "T; message: a; message: b; type: x" {
		t.Errorf("got %q %q", code, message)
	}
}

func TestErrorText(t *testing.T) {
	e := &Error{Op: "POST messages/", Status: 422, Kind: KindRejected, Code: "E1", Body: "too long", Err: errors.New("cause")}
	if want := "POST messages/: 422 rejected: E1: too long: cause"; e.Error() != want {
		t.Errorf("got %q, want %q", e.Error(), want)
	}
	if e.Timeout() || !(&Error{Kind: KindTimeout}).Timeout() {
		t.Error("Timeout is wrong")
	}
	for o, want := range map[Outcome]string{OutcomeLater: "later", OutcomeNever: "never", OutcomeUnknown: "unknown"} {
		if o.String() != want {
			t.Errorf("got %v, want %v", o, want)
		}
	}
}

func TestIDs(t *testing.T) {
	for raw, want := range map[string]ID{
		"7": NumberID(7), "-1": NumberID(-1), "\t0\n": NumberID(0), `"7"`: StringID("7"), `"a\u00fc"`: StringID("aü"),
		"123456789012345678901234567890": {text: "123456789012345678901234567890", number: true},
	} {
		got, err := ParseID([]byte(raw))
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"", "null", "true", "1.5", "1e3", "007", "-", `""`, `"`, "{}", "[1]", "7 8", `"a" "b"`, `"` + strings.Repeat("x", 300) + `"`, strings.Repeat("1", 300)} {
		if got, err := ParseID([]byte(raw)); err == nil {
			t.Errorf("%s: got %v, want an error", raw, got)
		}
	}
	if NumberID(7).String() != StringID("7").String() || NumberID(7).IsZero() || !StringID("").IsZero() || !NumberID(7).IsNumber() {
		t.Error("String, IsZero or IsNumber is wrong")
	}
}
