package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/telemetry"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// What nobody may read anywhere but in messages themselves.
const (
	markText   = "qzleaktext"
	markName   = "Qzleakname"
	markMail   = "qzleakmail@example.test"
	markPhone  = "+4915550987654"
	markToken  = "qzleakpathtoken0123456789"
	markSecret = "qzleaksignature0123456789"
	markAdmin  = "qzleakadmintoken0123456789"
	markAnswer = "qzleakanswer" // of the API, not of the command: the reason of a dead letter may quote it, and nothing else
)

// written is a buffer for a log.
type written struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// TestNothingOfAPersonAndNoSecretLeaks lets marked values pass in both directions, through successes and all kinds of failures, and looks for them
// in everything that tells of it: the log, metrics, traces, answers to webhooks, the admin listener, the micro service and the console.
func TestNothingOfAPersonAndNoSecretLeaks(t *testing.T) {
	w := newWorld(t, cxsim.Options{}, func(c *bridge.Config) {
		c.Webhook.PathTokens, c.Webhook.SignatureSecrets, c.Webhook.SignatureMode = []string{markToken}, []string{markSecret}, "log"
		c.Admin.Token, c.Webhook.MaxBodyBytes = markAdmin, 64<<10
	})
	c := w.trace()
	var lines written
	log, level, err := telemetry.NewAdjustable(&lines, telemetry.Config{Level: "debug", Format: telemetry.FormatJSON})
	if err != nil {
		t.Fatal(err)
	}
	w.log = log
	id := w.conversation("ann")
	r := w.begin()
	b := r.bot()

	told := map[string]string{}
	maps.Copy(told, markWebhooks(t, r))
	markCommands(w, b, id)
	maps.Copy(told, askEverything(t, r, b))
	quoting := slices.Collect(maps.Keys(told)) // dead letters and what is known of them may quote the API
	r.stop()
	c.flush()
	level.Flush()
	told["log"], told["traces"] = lines.String(), fmt.Sprint(c.all(""))
	for _, want := range []string{`"command_id":"leak-done"`, `"msg":"webhook"`, `"status":"refused"`, `"msg":"webhook refused"`} {
		if !strings.Contains(told["log"], want) {
			t.Errorf("the log has no %s, so this test proves nothing", want)
		}
	}

	for where, text := range told {
		if text == "" {
			t.Errorf("%s tells nothing", where)
		}
		for _, mark := range []string{markText, markName, markMail, "qzleakmail", markPhone, strings.TrimPrefix(markPhone, "+"), markToken, markSecret, markAdmin, cxsim.DefaultToken} {
			if at := strings.Index(strings.ToLower(text), strings.ToLower(mark)); at >= 0 {
				t.Errorf("%s tells %s: …%s…", where, mark, text[max(0, at-200):min(len(text), at+100)])
			}
		}
		if strings.Contains(text, markAnswer) && (!slices.Contains(quoting, where) || !strings.Contains(where, "dead") && !strings.Contains(where, "explain")) {
			t.Errorf("%s quotes the API", where)
		}
	}
}

// markWebhooks sends marked webhooks, good and bad, and returns the answers.
func markWebhooks(t *testing.T, r *running) map[string]string {
	t.Helper()
	body := fmt.Sprintf(`{"event":"message_created","id":1,"content":%q,"message_type":"incoming","conversation":{"id":1},"inbox":{"id":1},`+
		`"sender":{"type":"contact","name":%q,"email":%q,"phone_number":%q},"new_member_%s":1}`, markText, markName, markMail, markPhone, "x")
	told := map[string]string{}
	for name, send := range map[string][2]string{
		"taken": {r.url(markToken), body}, "malformed": {r.url(markToken), body[:len(body)-5]}, "no event": {r.url(markToken), `{"content":"` + markText + `"}`},
		"too large": {r.url(markToken), body + strings.Repeat(" ", 64<<10)}, "stranger": {r.url(markToken + "x"), body},
	} {
		a := request(t, http.MethodPost, send[0], strings.NewReader(send[1]), "X-Chatwoot-Signature", "sha256="+strings.Repeat("0", 64), "X-Chatwoot-Timestamp", markText)
		told["answer to a webhook: "+name] = fmt.Sprint(a)
	}
	return told
}

// markCommands publishes marked commands that end in every way.
func markCommands(w *world, b *bot, id int64) {
	w.t.Helper()
	contact := fmt.Sprintf(`{"inbox_id":%d,"contact":{"name":%q,"email":%q,"phone_number":%q},"initial_message":%q}`,
		w.sim.InboxID(cxsim.ChannelAPI), markName, markMail, markPhone, markText)
	b.say("leak-done", id, markText)
	b.said("leak-done", "done", "")
	refusal := fmt.Sprintf(`{"message":"%s: %s"}`, markAnswer, markText)
	contactRefusal := fmt.Sprintf(`{"message":"%s: %s, %s, %s"}`, markAnswer, markName, markMail, markPhone)
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: cxsim.EffectStatus, Status: http.StatusServiceUnavailable, Body: refusal, Times: 2})
	b.say("leak-retried", id, markText)
	b.said("leak-retried", "done", "")
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: cxsim.EffectStatus, Status: http.StatusUnprocessableEntity, Body: refusal, Times: 1})
	b.say("leak-refused", id, markText)
	b.said("leak-refused", "refused", "rejected")
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpCreateContact, Effect: cxsim.EffectStatus, Status: http.StatusForbidden, Body: contactRefusal, Times: 1})
	b.command("conversation.start", "leak-contact", contact)
	if got := b.wait("conversation.start", "leak-contact"); got.Status != "refused" {
		w.t.Errorf("leak-contact: %s", got.Status)
	}
	b.command("conversation.start", "leak-started", contact)
	b.wait("conversation.start", "leak-started")
	b.command("message.send", "leak-malformed", fmt.Sprintf(`{"conversation_id":%d,"content":[%q]}`, id, markText))
	b.said("leak-malformed", "invalid", "malformed")
}

// askEverything asks the admin listener, the micro service and the console for all that they tell, but for what is meant to show messages.
func askEverything(t *testing.T, r *running, b *bot) map[string]string {
	t.Helper()
	told := map[string]string{}
	base := "http://" + r.AdminAddr().String()
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/drift", "/asyncapi.json", "/"} {
		told[path] = fmt.Sprint(request(t, http.MethodGet, base+path, nil, "Authorization", "Bearer "+markAdmin))
		told[path+" to a stranger"] = fmt.Sprint(request(t, http.MethodGet, base+path, nil))
	}
	queries := map[string]string{"status": "{}", "lanes": "{}", "streams": "{}", "config": "{}", "dead.list": "{}"}
	for _, id := range []string{"leak-done", "leak-retried", "leak-refused", "leak-contact", "leak-started", "leak-malformed"} {
		queries["explain "+id] = `{"id":"` + id + `"}`
	}
	for name, body := range queries {
		query, _, _ := strings.Cut(name, " ")
		m, err := b.conn.Request("cx.rpc.bridge."+query, []byte(body), patience)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if failure := m.Header.Get("Nats-Service-Error"); failure != "" {
			t.Errorf("%s: %s", name, failure)
		}
		told["rpc "+name] = fmt.Sprint(m.Header, string(m.Data))
		a := request(t, http.MethodPost, base+"/console/ask/"+query, strings.NewReader(body), "Authorization", "Bearer "+markAdmin)
		told["console "+name] = fmt.Sprint(a)
		if a.status != http.StatusOK {
			t.Errorf("console %s: %d %s", name, a.status, a.body)
		}
	}
	_, listing, _ := strings.Cut(told["rpc dead.list"], "{")
	if !json.Valid([]byte("{"+listing)) || !strings.Contains(listing, "leak-refused") {
		t.Errorf("dead.list: %s", told["rpc dead.list"])
	}
	natstest.Eventually(t, "the dead letters", func() bool { return b.count("CX_DEAD") >= 4 })
	return told
}

// TestEveryFieldOfALogLineIsListed reads the sources: a key that telemetry.LogFields does not list would be written without its value.
func TestEveryFieldOfALogLineIsListed(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{}
	for _, f := range telemetry.LogFields() {
		listed[f.Key] = true
	}
	found := 0
	for _, folder := range []string{"bridge", "cmd"} {
		err := filepath.WalkDir(filepath.Join("..", folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := gotoken.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				for _, key := range keysOf(call) {
					found++
					if !listed[key] {
						t.Errorf("%s: the key %q is not in telemetry.LogFields", set.Position(call.Pos()), key)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 80 {
		t.Errorf("only %d keys were found in the sources", found)
	}
}

// keysOf returns the keys that a call gives to a line of a log, if it does.
func keysOf(call *ast.CallExpr) (keys []string) {
	selected, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	from := -1
	switch name := selected.Sel.Name; name {
	case "Debug", "Info", "Warn", "Error":
		from = 1
	case "DebugContext", "InfoContext", "WarnContext", "ErrorContext":
		from = 2
	case "With":
		from = 0
	case "String", "Int", "Int64", "Bool", "Duration", "Time", "Any", "Float64", "Uint64":
		if p, ok := selected.X.(*ast.Ident); ok && p.Name == "slog" {
			return literals(call.Args[:1])
		}
	}
	if from < 0 || !strings.EqualFold(last(selected.X), "log") {
		return nil
	}
	for i := from; i < len(call.Args); i += 2 {
		keys = append(keys, literals(call.Args[i:i+1])...)
	}
	return keys
}

func literals(args []ast.Expr) []string {
	if literal, ok := args[0].(*ast.BasicLit); ok && literal.Kind == gotoken.STRING {
		if text, err := strconv.Unquote(literal.Value); err == nil {
			return []string{text}
		}
	}
	return nil
}

// last is the last name of an expression such as j.shift.log.
func last(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	}
	return ""
}

// TestTheFieldsOfTheLogAreDocumented compares the page with the code.
func TestTheFieldsOfTheLogAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/logs-and-traces.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, f := range telemetry.LogFields() {
		rows++
		if row := "| `" + f.Key + "` | " + f.Meaning + " |"; !strings.Contains(string(page), row) {
			t.Errorf("docs/logs-and-traces.md has no row %s", row)
		}
	}
	if n := strings.Count(string(page), "\n| `"); n != rows {
		t.Errorf("docs/logs-and-traces.md has %d rows; there are %d fields", n, rows)
	}
}
