package subjects_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/subjects"
	"github.com/cxbridge/cxbridge/subjects/asyncapi"
	"github.com/cxbridge/cxbridge/subjects/schema"
)

// goldenContract writes down every name of the contract with the default prefix.
func goldenContract(t *testing.T) []byte {
	t.Helper()
	w := &writer{blocks: map[string]string{}}
	n := names(t)
	w.line("Every name on the bus. Bots in the field rely on them: a line that changes breaks some of them, a line that is added does not.")
	w.line("* always there, or needed; ? may be null or missing")
	w.subjects(n)
	w.streams(n)
	w.words()
	w.headers()
	w.commands()
	w.outcomes(t)
	w.services(n)
	w.channels(t, n)
	w.events()
	return w.Bytes()
}

func (w *writer) subjects(n subjects.Names) {
	w.section("subjects")
	w.line("prefix: %s", subjects.DefaultPrefix)
	for _, event := range append(schema.EventNames(), "a_b_c", "Odd") {
		w.line("event %s: %s, keyed %s", event, n.Event(event), n.KeyedEvent(event, "5", "42"))
	}
	w.line("event without ids: keyed %s", n.KeyedEvent("contact_created", "", ""))
	for _, k := range subjects.Kinds() {
		w.line("command %s: %s, result %s, dead letter %s, request %s", k, n.Command(k), n.Result(k, "id"), n.DeadCommand(k), n.RPC(k))
	}
	w.line("command unknown: result %s, dead letter %s", n.Result("odd", "an id"), n.DeadCommand("odd"))
	w.line("delayed command: %s", n.Schedule("name"))
	w.line("malformed webhook: %s", n.DeadWebhook())
	var reserved []string
	for _, noun := range []string{"cmd", "conversation", "dead", "event", "message", "result", "rpc", "schedule"} {
		if n.Event(noun+"_x") == n.Event("") {
			reserved = append(reserved, noun)
		}
	}
	w.line("reserved nouns: %s", strings.Join(reserved, " "))
	w.line("event id: %s", subjects.EventID("tenant", subjects.EventMessageCreated, "9001"))
	w.line("token of \"a.b\": %s", subjects.Token("a.b"))
}

func (w *writer) streams(n subjects.Names) {
	w.section("streams")
	for _, s := range n.Streams(subjects.StreamSettings{Replicas: 1, Keyed: true, LedgerTTL: 72 * time.Hour, DuplicateWindow: time.Hour}) {
		note := ""
		if s.Internal {
			note = " internal"
		}
		w.line("%s: %s schedules=%t ttl=%t direct=%t%s", s.Name, strings.Join(s.Subjects, " "), s.AllowMsgSchedules, s.AllowMsgTTL, s.AllowDirect, note)
	}
	w.line("buckets, internal: %s %s", n.BridgeBucket(), n.ContactsBucket())
}

func (w *writer) words() {
	w.section("words")
	for _, s := range subjects.Statuses() {
		w.line("status %s: dead letter=%t", s, s.DeadLetter())
	}
	for _, r := range subjects.Reasons() {
		w.line("reason %s", r)
	}
	for _, o := range subjects.Origins() {
		w.line("origin %s", o)
	}
	w.line("directions: %s %s", subjects.Outgoing, subjects.Incoming)
	w.line("preconditions: %s %s", subjects.OnlyIfStillWithBot, subjects.OnlyIfNoNewerCustomer)
	w.line("CloudEvents: version %s, source %s, type of the data %s", subjects.CESpecVersion, subjects.CESource("tenant"), subjects.ContentTypeJSON)
	w.line("ids: %d bytes, %s to %s, without %q", subjects.MaxIDBytes, subjects.MinIDNumber, subjects.MaxIDNumber, subjects.BadIDRunes)
}

func (w *writer) headers() {
	for _, c := range subjects.Carriers() {
		w.section("headers on: " + string(c))
		lines := map[string]string{}
		for _, h := range subjects.HeadersOn(c) {
			star := "?"
			if h.Always {
				star = "*"
			}
			lines[h.Name] = h.Name + star + ": " + string(h.Form) + " " + strings.Join(h.Values, " ")
		}
		for _, name := range slices.Sorted(maps.Keys(lines)) {
			w.line("%s", lines[name])
		}
	}
}

func (w *writer) commands() {
	for _, k := range subjects.Kinds() {
		w.section("command: " + string(k))
		w.shape("", k.Shape())
	}
}

func (w *writer) shape(indent string, s subjects.Shape) {
	for _, m := range s.Members {
		star := "?"
		if m.Required {
			star = "*"
		}
		text := m.Name + star + ": " + string(m.Form) + " " + strings.Join(m.Values, " ")
		if m.Default != "" {
			text += " default=" + m.Default
		}
		w.line("%s%s", indent, text)
		w.shape(indent+"  ", m.Shape)
	}
	if len(s.Some) > 0 {
		w.line("%sone of: %s", indent, strings.Join(s.Some, ", "))
	}
	for _, group := range s.Either {
		w.line("%seither: %s", indent, strings.Join(group, " with "))
	}
}

func (w *writer) outcomes(t *testing.T) {
	t.Helper()
	at := subjects.Time{Time: time.Date(2026, 11, 22, 11, 0, 0, 5e6, time.FixedZone("", 3600))}
	full := subjects.Result{
		CommandID: "a", Command: subjects.MessageSend, Status: subjects.StatusDone, Tenant: "t", ConversationID: subjects.NumberID(42),
		MessageID: subjects.StringID("m"), Attempts: 1, HTTPStatus: 200, ReceivedAt: at, FinishedAt: at, Response: json.RawMessage(`{"id":1}`),
	}
	for name, value := range map[string]any{"result": full, "result, of which nothing is known": subjects.Result{}, "history": []subjects.Attempt{{At: at, Reason: subjects.ReasonTimeout}}} {
		raw, err := json.MarshalIndent(value, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		w.blocks[name] = string(raw)
	}
	for _, name := range slices.Sorted(maps.Keys(w.blocks)) {
		w.section(name)
		w.line("%s", w.blocks[name])
	}
	clear(w.blocks)
}

func (w *writer) services(n subjects.Names) {
	w.section("queries")
	for _, q := range asyncapi.Queries() {
		w.line("%s: %s", q, n.RPCSubject(q))
	}
}

// channels writes the names by which code that is made from the document knows it.
func (w *writer) channels(t *testing.T, n subjects.Names) {
	t.Helper()
	raw, err := asyncapi.Document(n, subjects.StreamSettings{}, asyncapi.Version)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Channels map[string]struct {
			Address  string
			Messages map[string]any
		}
		Operations map[string]any
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	w.section("channels of AsyncAPI: address; messages")
	for _, name := range slices.Sorted(maps.Keys(d.Channels)) {
		c := d.Channels[name]
		w.line("%s: %s; %s", name, c.Address, strings.Join(slices.Sorted(maps.Keys(c.Messages)), " "))
	}
	w.section("operations of AsyncAPI")
	for _, name := range slices.Sorted(maps.Keys(d.Operations)) {
		w.line("%s", name)
	}
}

func (w *writer) events() {
	for _, l := range schema.Layouts() {
		w.section("event: " + l.Name)
		w.line("names: %s", strings.Join(l.Events, " "))
		w.members(l.Name, "", l.Members)
	}
}

// members writes the members of an object, or where the same ones stand.
func (w *writer) members(path, indent string, members []schema.EventMember) {
	block := told(members)
	if before, ok := w.blocks[block]; ok && len(members) > 0 {
		w.line("%sas in %s", indent, before)
		return
	}
	w.blocks[block] = path
	for _, m := range members {
		values := ""
		if len(m.Values) > 0 {
			values = ", such as " + strings.Join(m.Values, " ")
		}
		w.line("%s%s?: %s%s", indent, m.Name, strings.Join(m.Types, " "), values)
		w.members(path+"."+m.Name, indent+"  ", m.Members)
	}
}

// told returns members as a text, without what they mean.
func told(members []schema.EventMember) string {
	var b strings.Builder
	for _, m := range members {
		fmt.Fprint(&b, m.Name, m.Types, m.Values, "{", told(m.Members), "}")
	}
	return b.String()
}
