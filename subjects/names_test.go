package subjects_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cxbridge/cxbridge/subjects"
)

func names(t testing.TB) subjects.Names {
	t.Helper()
	n, err := subjects.New("cx")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEverySubjectIsTheContracts(t *testing.T) {
	n := names(t)
	for got, want := range map[string]string{
		n.Event("message_created"):                                 "cx.message.created",
		n.Event("conversation_created"):                            "cx.conversation.created",
		n.Event("conversation_status_changed"):                     "cx.conversation.status_changed",
		n.Event("webwidget_triggered"):                             "cx.webwidget.triggered",
		n.Event("ping"):                                            "cx.event.unknown",
		n.Event("Message_created"):                                 "cx.event.unknown",
		n.Event("message_"):                                        "cx.event.unknown",
		n.Event("_created"):                                        "cx.event.unknown",
		n.Event("message.created"):                                 "cx.event.unknown",
		n.Event("cmd_send"):                                        "cx.event.unknown",
		n.Event("event_happened"):                                  "cx.event.unknown",
		n.Event("a_" + strings.Repeat("b", 98)):                    "cx.a." + strings.Repeat("b", 98),
		n.Event("a_" + strings.Repeat("b", 99)):                    "cx.event.unknown",
		n.KeyedEvent("message_created", "5", "12"):                 "cx.event.message.created.5.12",
		n.KeyedEvent("contact_created", "", "a"):                   "cx.event.contact.created.-.a",
		n.Command(subjects.MessageSend):                            "cx.cmd.message.send",
		n.Result(subjects.MessageSend, "b1c7"):                     "cx.result.message.send.b1c7",
		n.Result(subjects.Kind("evil.*"), "x"):                     "cx.result.unknown.unknown.x",
		n.DeadCommand(subjects.ContactCreate):                      "cx.dead.cmd.contact.create",
		n.DeadWebhook():                                            "cx.dead.webhook.malformed",
		n.RPC(subjects.ConversationStart):                          "cx.rpc.conversation.start",
		n.RPCSubject("inbox.list"):                                 "cx.rpc.inbox.list",
		n.Schedule("later"):                                        "cx.schedule.cmd.later",
		n.Ledger("claim", "x"):                                     "_cx.ledger.claim.x",
		strings.Join(n.EventFilter("message_created", true), " "):  "cx.message.created cx.event.message.created.*.*",
		strings.Join(n.EventFilter("message_created", false), " "): "cx.message.created",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAPrefixIsTokensOfSubjects(t *testing.T) {
	for prefix, stream := range map[string]string{"cx": "CX_EVENTS", "acme.cx-2": "ACME_CX-2_EVENTS", "my-cx": "MY-CX_EVENTS", "my_cx": "MY_CX_EVENTS", "": "", "CX": "", "a..b": "", "a b": "", "cx.>": "", ".a": ""} {
		n, err := subjects.New(prefix)
		if (err != nil) != (stream == "") {
			t.Errorf("prefix %q: %v", prefix, err)
		}
		if err == nil && n.EventsStream() != stream {
			t.Errorf("prefix %q: stream %q, want %q", prefix, n.EventsStream(), stream)
		}
	}
}

func TestACommandsSubjectIsTakenApart(t *testing.T) {
	n := names(t)
	for subject, want := range map[string][2]string{
		"cx.cmd.message.send":      {"message.send", ""},
		"cx.cmd.message.send.42":   {"message.send", "42"},
		"cx.cmd.message.send.42.x": {"message.send", "42.x"},
		"cx.cmd.no.such":           {"no.such", ""},
		"cx.cmd.message":           {},
		"cy.cmd.message.send":      {},
		"cx.schedule.cmd.x":        {},
		"cx.cmdx.message.send":     {},
		"cx.cmd..send":             {},
	} {
		kind, key, ok := n.ParseCommand(subject)
		if ok != (want[0] != "") || string(kind) != want[0] || key != want[1] {
			t.Errorf("%s: %q %q %v, want %q", subject, kind, key, ok, want)
		}
	}
}

func TestEveryIDCanBeAToken(t *testing.T) {
	form := regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$|^~[A-Za-z0-9_-]{43}$`)
	if got := subjects.Token("a.b"); got != "~LnM23I66h-9HLfVow1SCq_JXXcPl6sDFxiuP-urCyTQ" {
		t.Errorf("token %q", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		if !form.MatchString(subjects.Token(a)) {
			t.Fatalf("token of %q is %q", a, subjects.Token(a))
		}
		if a != b && subjects.Token(a) == subjects.Token(b) {
			t.Fatalf("%q and %q have one token", a, b)
		}
	})
}

func TestStreamsDoNotOverlapAndTakeWhatTheyShould(t *testing.T) {
	n := names(t)
	streams := n.Streams(subjects.StreamSettings{Replicas: 3, EventsMaxAge: time.Hour, LedgerTTL: 2 * time.Hour, DuplicateWindow: 90 * time.Minute, Keyed: true})
	for subject, want := range map[string]string{
		"cx.message.created":            "CX_EVENTS",
		"cx.event.message.created.5.12": "CX_EVENTS",
		"cx.cmd.message.send":           "CX_COMMANDS",
		"cx.cmd.message.send.42":        "CX_COMMANDS",
		"cx.schedule.cmd.x":             "CX_COMMANDS",
		"cx.result.message.send.x":      "CX_RESULTS",
		"cx.dead.cmd.message.send":      "CX_DEAD",
		"cx.dead.webhook.malformed":     "CX_DEAD",
		"_cx.ledger.claim.x":            "CX_LEDGER",
		"cx.rpc.message.send":           "",
	} {
		var took []string
		for _, s := range streams {
			for _, filter := range s.Subjects {
				if matches(filter, subject) {
					took = append(took, s.Name)
				}
			}
		}
		if strings.Join(took, " ") != want {
			t.Errorf("%s is taken by %v, want %q", subject, took, want)
		}
	}
	for _, s := range streams {
		if s.Replicas != 3 || s.MaxAge > 0 && s.DuplicateWindow > s.MaxAge {
			t.Errorf("%s: %d replicas, window %v of %v", s.Name, s.Replicas, s.DuplicateWindow, s.MaxAge)
		}
	}
}

// matches tells whether a subject matches a filter with wildcards, as NATS does it.
func matches(filter, subject string) bool {
	want, have := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range want {
		if token == ">" {
			return len(have) > i
		}
		if i >= len(have) || token != "*" && token != have[i] {
			return false
		}
	}
	return len(want) == len(have)
}

func TestOnlyHeadersOfNATSBelongToNATS(t *testing.T) {
	for header, want := range map[string]bool{"Nats-Msg-Id": true, "nats-ttl": true, "KV-Operation": true, "Cx-Tenant": false, "Natsx": false, "ce-id": false, "": false} {
		if subjects.OwnedByNATS(header) != want {
			t.Errorf("%q: %v", header, !want)
		}
	}
}

func TestAnEventHasOneID(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		parts []string
		want  string
	}{
		{[]string{"acme.cx.sangoma.com", "message_created", "9001"}, "acme.cx.sangoma.com:message_created:9001"},
		{[]string{"t", "contact_updated", "7", "abc"}, "t:contact_updated:7:abc"},
		{[]string{"t", "ping", "", "abc"}, "t:ping:abc"},
	} {
		if got := subjects.EventID(c.parts[0], c.parts[1], c.parts[2:]...); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	for _, odd := range []string{long, "a b", "a\r\nb", "é"} {
		if got := subjects.EventID("t", "e", odd); len(got) != 65 || got[0] != '~' {
			t.Errorf("id of %q is %q", odd, got)
		}
	}
}
