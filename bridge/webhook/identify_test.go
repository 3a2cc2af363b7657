package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func defaultPaths(t testing.TB) *paths {
	t.Helper()
	p, err := compileFields(defaultFields())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestIdentify(t *testing.T) {
	tests := []struct {
		name, body string
		want       event
	}{
		{"message", incoming, event{
			name: "message_created", messageID: "9001", objectID: "9001", conversationID: "12", inboxID: "5", messageType: "incoming",
			private: "false", content: "hi",
		}},
		{"conversation", conversation, event{name: "conversation_created", objectID: "12", conversationID: "12", inboxID: "5"}},
		{"ids as strings", `{"event":"message_created","id":"9001","conversation":{"id":"12"},"inbox":{"id":"5"}}`,
			event{name: "message_created", messageID: "9001", objectID: "9001", conversationID: "12", inboxID: "5"}},
		{"direction as a number", `{"event":"message_created","id":1,"message_type":1,"sender":{"type":"user"}}`,
			event{name: "message_created", messageID: "1", objectID: "1", messageType: "outgoing", senderType: "user"}},
		{"below data", `{"event":"message_created","data":{"id":1,"conversation":{"id":2},"private":true}}`,
			event{name: "message_created", messageID: "1", objectID: "1", conversationID: "2", private: "true"}},
		{"all below payload", `{"payload":{"event":"message_created","id":1,"conversation":{"id":2}}}`,
			event{name: "message_created", messageID: "1", objectID: "1", conversationID: "2"}},
		{"the top counts before a wrapper", `{"data":{"id":5,"event":"a_b"},"event":"c_d","id":6}`, event{name: "c_d", objectID: "6"}},
		{"the last of members that occur twice", `{"event":"x_y","event":"message_created","id":1,"conversation":{"id":2},"conversation":{"id":3}}`,
			event{name: "message_created", messageID: "1", objectID: "1", conversationID: "3"}},
		{"twice, the last without an id", `{"event":"message_created","id":1,"conversation":{"id":2},"conversation":null}`,
			event{name: "message_created", messageID: "1", objectID: "1"}},
		{"typing", `{"event":"conversation_typing_on","conversation":{"id":12,"inbox_id":5},"is_private":false}`,
			event{name: "conversation_typing_on", objectID: "12", conversationID: "12", inboxID: "5"}},
		{"widget", `{"event":"webwidget_triggered","id":41,"inbox":{"id":5},"current_conversation":{"id":12}}`,
			event{name: "webwidget_triggered", objectID: "41", conversationID: "12", inboxID: "5"}},
		{"escapes in a name", `{"\u0065vent":"message_created","id":"a\u0062"}`,
			event{name: "message_created", messageID: "ab", objectID: "ab"}},
		{"ids that are none", `{"event":"message_created","id":{},"conversation":{"id":true},"inbox":{"id":"a\u0000"}}`, event{name: "message_created"}},
		{"an id that is too long", `{"event":"contact_created","id":"` + strings.Repeat("x", 300) + `"}`, event{name: "contact_created"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := defaultPaths(t).identify([]byte(test.body))
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(event{})); diff != "" || err != nil {
				t.Errorf("error %v, difference %s", err, diff)
			}
		})
	}
}

func TestThePathsAreConfigurable(t *testing.T) {
	f := defaultFields()
	f.Event, f.MessageID, f.ConversationID, f.SenderType = "kind", "message.uid", "thread.0 thread.id", "people.#(role==\"author\").is"
	p, wrong := compileFields(f)
	if wrong != nil {
		t.Fatal(wrong)
	}
	for _, body := range []string{
		`{"kind":"message_created","message":{"uid":"m1"},"thread":[7],"people":[{"role":"reader"},{"role":"author","is":"user"}]}`,
		`{"data":{"kind":"message_created","message":{"uid":"m1"},"thread":{"id":7},"people":[{"role":"author","is":"user"}]}}`,
	} {
		got, err := p.identify([]byte(body))
		want := event{name: "message_created", messageID: "m1", objectID: "m1", conversationID: "7", senderType: "user"}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(event{})); diff != "" || err != nil {
			t.Errorf("%s: error %v, difference %s", body, err, diff)
		}
	}
}

func TestTooManyPathsAreRefused(t *testing.T) {
	f := defaultFields()
	f.Content = strings.Repeat("a ", maxPaths)
	if _, wrong := compileFields(f); wrong == nil {
		t.Error("there was no error")
	}
	f.Content = " "
	if _, wrong := compileFields(f); wrong == nil || wrong.key != "content" {
		t.Errorf("error %v", wrong)
	}
}

// TestWhatIsJSON holds the scanner against encoding/json, at every place of a body at which something can be wrong.
func TestWhatIsJSON(t *testing.T) {
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}" }
	tests := []string{
		``, ` `, `1`, `1 {"event":"a_b"}`, `{"event":"a_b"} {}`, ` {"event":"a_b"} `, `null`, `nul`, `tru`, `"x"`, `"x`, `[]`, `[1,]`, `[,1]`, `[1 2]`, `{,}`,
		`{"a"}`, `{"a":}`, `{"a":1,}`, `{"a" 1}`, `{a:1}`, `{"a":[}`, `{"a":[1}}`, `{"a":{]}`, `{"a":[1,{"b":[2,{}]},[]]}`, `{"a":-}`, `{"a":-0}`, `{"a":01}`,
		`{"a":1.}`, `{"a":.5}`, `{"a":1.5e+7}`, `{"a":1e}`, `{"a":1E-}`, `{"a":+1}`, `{"a":"\x"}`, `{"a":"\u12G4"}`, `{"a":"\u12f4"}`, `{"a":"\uABC"}`, `{"a":"\`,
		"{\"a\":\"\x1f\"}", "{\"a\":\"\x7f\xff\"}", "{\"a\":\"long enough for eight \n bytes\"}", "{\"a\"\x00:1}", "\xef\xbb\xbf{}", "{\v}",
		deep(10), deep(100), deep(mostDepth - 1), deep(mostDepth), strings.Repeat(`{"a":`, mostDepth+1), strings.Repeat("[", 1000000),
	}
	for _, whole := range []string{incoming, conversation} {
		for i := range whole {
			tests = append(tests, whole[:i], whole[:i]+"\x01"+whole[i:], whole[:i]+whole[i+1:], whole[:i]+`"`+whole[i:], whole[:i]+`\`+whole[i+1:])
		}
	}
	p := defaultPaths(t)
	for _, body := range tests {
		_, err := p.identify([]byte(body))
		if got, want := !errors.Is(err, errNotJSON), json.Valid([]byte(body)); got != want {
			t.Errorf("%.300q: valid is %v, and %v to encoding/json", body, got, want)
		}
	}
}

func FuzzWebhookBody(f *testing.F) {
	for _, body := range []string{
		incoming, conversation, botSays(1, 2), "", "{}", `{"event":"a_b"}`, `{"event":"\ud800","data":{"id":1e999}}`, `{"payload":{"event":"message_created","id":"7"}}`,
	} {
		f.Add([]byte(body))
	}
	h := setup(f, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := h.paths.identify(body)
		if got, want := !errors.Is(err, errNotJSON), json.Valid(body); got != want {
			t.Fatalf("valid is %v, and %v to encoding/json", got, want)
		}
		if err != nil {
			return
		}
		agree(t, &e, body)
		msg := &h.message(&e, body, testTime, nil).msg
		for name, values := range msg.Header {
			if len(values) != 1 || !printable(values[0]) || len(values[0]) > 4*maxHeaderValue || values[0] == "" {
				t.Errorf("header %s is %q", name, values)
			}
		}
		if strings.ContainsAny(msg.Subject, " \r\n\t*>") || strings.Count(msg.Subject, ".") != 2 {
			t.Errorf("subject %q", msg.Subject)
		}
	})
}

// agree compares what was found with what encoding/json finds. It replaces broken characters, and half of a wrapper that occurs twice is
// found here; so bodies with these are left out.
func agree(t *testing.T, e *event, body []byte) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var all map[string]any
	if err := decoder.Decode(&all); err != nil {
		t.Fatalf("encoding/json finds no object: %v", err)
	}
	if !utf8.Valid(body) || bytes.Contains(body, []byte(`\u`)) || bytes.Count(body, []byte(`data"`))+bytes.Count(body, []byte(`payload"`)) > 1 {
		return
	}
	for _, check := range []struct{ what, got, paths string }{
		{"event", e.name, defaultFields().Event}, {"conversation", e.conversationID, defaultFields().ConversationID},
		{"inbox", e.inboxID, defaultFields().InboxID}, {"id", e.objectID, defaultFields().ObjectID},
	} {
		want := expected(all, check.paths)
		if check.got != want && !(check.what == "conversation" && e.isConversation()) && !(check.what == "id" && !e.isMessage()) && plainID(want) {
			t.Errorf("%s is %q, and %q to encoding/json", check.what, check.got, want)
		}
	}
}

// expected is the first scalar under some paths, at the top or below a wrapper.
func expected(all map[string]any, paths string) string {
	data, _ := all["data"].(map[string]any)
	payload, _ := all["payload"].(map[string]any)
	for _, top := range []map[string]any{all, data, payload} {
		for path := range strings.FieldsSeq(paths) {
			var at any = top
			for name := range strings.SplitSeq(path, ".") {
				object, _ := at.(map[string]any)
				at = object[name]
			}
			switch v := at.(type) {
			case string:
				if v != "" {
					return v
				}
			case json.Number:
				return v.String()
			case bool:
				return strconv.FormatBool(v)
			}
		}
	}
	return ""
}

// plainID reports whether a text can be an id: others count as none.
func plainID(s string) bool {
	return len(s) <= maxIDLength && s != "true" && s != "false" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError })
}

func TestTheCorpusIsKept(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "fuzz", "FuzzWebhookBody", "*"))
	if err != nil || len(files) == 0 {
		t.Errorf("%d files, error %v", len(files), err)
	}
	for _, f := range files {
		if _, err := os.Stat(f); err != nil {
			t.Error(err)
		}
	}
}
