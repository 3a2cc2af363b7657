package cxsim

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// decoded are the bodies that came.
func (r *reception) decoded(t *testing.T) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, g := range r.all() {
		var e map[string]any
		if err := json.Unmarshal([]byte(g.body), &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func first(t *testing.T, of any) any {
	t.Helper()
	list, ok := of.([]any)
	if !ok || len(list) == 0 {
		t.Fatalf("%v is not a list with something in it", of)
	}
	return list[0]
}

func TestTheLayoutOfAMessageEvent(t *testing.T) {
	now := time.Date(2024, 9, 17, 12, 0, 0, 0, time.UTC)
	s := prepared(t, Options{Now: func() time.Time { return now }})
	hook := receive(t, nil)
	s.Subscribe(hook.URL)
	call(t, s, "messages/", `{`+tenantMember+`,"conversation_id":1,"content":"hi","message_type":"incoming"}`)
	call(t, s, "messages/", `{`+tenantMember+`,"conversation_id":1,"content":"hello"}`)
	idle(t, s)
	all := hook.decoded(t)
	customer, bot := all[0], all[1]
	for _, c := range []struct {
		of   any
		path string
		want any
	}{
		{customer, "event", "message_created"},
		{customer, "id", 9001.0},
		{customer, "message_type", "incoming"}, // a word at the top …
		{customer, "created_at", "2024-09-17T12:00:00.000Z"},
		{customer, "private", false},
		{customer, "source_id", nil},
		{customer, "account.name", "acme"},
		{customer, "inbox.id", 1.0},
		{customer, "sender.id", 77.0},
		{customer, "sender.email", "ann@example.test"},
		{customer, "sender.type", nil}, // a contact has none
		{customer, "conversation.id", 1.0},
		{customer, "conversation.status", "pending"},
		{customer, "conversation.channel", "Channel::Api"},
		{customer, "conversation.contact_inbox.contact_id", 77.0},
		{customer, "conversation.meta.sender.type", "contact"},
		{customer, "conversation.meta.assignee", nil},
		{customer, "conversation.waiting_since", 1726574400.0},
		{bot, "message_type", "outgoing"},
		{bot, "sender.type", "agent_bot"},
	} {
		if got := dig(t, c.of, strings.Split(c.path, ".")...); got != c.want {
			t.Errorf("%s is %v, want %v", c.path, got, c.want)
		}
	}
	raw := first(t, dig(t, customer, "conversation", "messages"))
	if dig(t, raw, "message_type") != 0.0 || dig(t, raw, "created_at") != 1726574400.0 { // … and numbers inside
		t.Errorf("%v", raw)
	}
	if raw = first(t, dig(t, bot, "conversation", "messages")); dig(t, raw, "message_type") != 1.0 || dig(t, raw, "sender_type") != "AgentBot" {
		t.Errorf("%v", raw)
	}
}

func TestPeople(t *testing.T) {
	s := prepared(t, Options{})
	hook := receive(t, nil)
	s.Subscribe(hook.URL)
	say(t, s, "help")
	must(t, s.AgentPicksUp(1))
	mustSay(t, s.AgentSays)
	mustSay(t, s.AgentNotes)
	mustSay(t, s.SystemSays)
	idle(t, s)
	all := hook.decoded(t)
	for i, want := range []struct {
		kind, sender string
		private      bool
	}{{incoming, "", false}, {outgoing, "user", false}, {outgoing, "user", true}, {template, "nobody", false}} {
		sender := "nobody"
		if all[i]["sender"] != nil {
			sender, _ = dig(t, all[i], "sender", "type").(string)
		}
		if all[i]["message_type"] != want.kind || all[i]["private"] != want.private || sender != want.sender {
			t.Errorf("message %d: %v %v %s, want %+v", i, all[i]["message_type"], all[i]["private"], sender, want)
		}
	}
	if name := dig(t, all[1], "conversation", "meta", "assignee", "name"); name != "Bo" {
		t.Errorf("assignee %v", name)
	}
	// messages[] keeps the last public one.
	if last := first(t, dig(t, all[2], "conversation", "messages")); dig(t, last, "id") != all[1]["id"] {
		t.Errorf("a private note is shown as the last message: %v", last)
	}
	if got := len(s.Messages(1)); got != 5 { // the activity is one, but never leaves
		t.Errorf("%d messages", got)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustSay(t *testing.T, say func(int64, string) (Message, error)) {
	t.Helper()
	if _, err := say(1, "text"); err != nil {
		t.Fatal(err)
	}
}

func TestEachChannelHasItsEvents(t *testing.T) {
	for profile, botExtra := range map[Profile]bool{V313: false, V47: false, V412: false, V415: true} {
		t.Run(string(profile), func(t *testing.T) {
			s := start(t, Options{Profile: profile})
			hook, bot := receive(t, nil), receive(t, nil)
			s.Subscribe(hook.URL, "conversation_created", "conversation_status_changed", "message_created", "message_updated",
				"webwidget_triggered", "contact_created")
			s.AttachBot(s.InboxID(ChannelWebWidget), "b", bot.URL)
			c, err := s.NewConversation(Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
			must(t, err)
			must(t, s.EditMessage(c.ID, c.Messages[0].ID, "hi!"))
			call(t, s, "conversations/deliver-to-agent/", `{`+tenantMember+`,"conversation_id":1}`)
			must(t, s.AgentResolves(c.ID))
			must(t, s.AgentResolves(c.ID)) // no change, no event
			idle(t, s)
			count := func(r *reception) map[string]int {
				n := map[string]int{}
				for _, name := range r.events(t) {
					n[name]++
				}
				return n
			}
			atHook, atBot := count(hook), count(bot)
			for name, want := range map[string]int{
				"contact_created": 1, "webwidget_triggered": 1, "conversation_created": 1, "message_created": 1,
				"message_updated": 1, "conversation_status_changed": 2, "conversation_opened": 0, "conversation_updated": 0,
			} {
				if atHook[name] != want {
					t.Errorf("the webhook got %d of %s, want %d", atHook[name], name, want)
				}
			}
			changes := 0
			if botExtra {
				changes = 2
			}
			for name, want := range map[string]int{
				"contact_created": 0, "webwidget_triggered": 1, "conversation_created": 0, "message_created": 1,
				"message_updated": 1, "conversation_status_changed": changes, "conversation_opened": 1, "conversation_resolved": 1,
			} {
				if atBot[name] != want {
					t.Errorf("the bot got %d of %s, want %d", atBot[name], name, want)
				}
			}
		})
	}
}

func TestProfilesShowInTheLayout(t *testing.T) {
	for _, c := range []struct {
		profile                             Profile
		updatedAt, blocked, account, typing bool
		content                             string
	}{
		{V313, false, false, false, false, "a\\\nb\n"},
		{V47, true, true, false, true, "a\\\nb"},
		{V412, true, true, false, true, "a\\\nb"},
		{V415, true, true, true, true, "a\nb"},
	} {
		t.Run(string(c.profile), func(t *testing.T) {
			s := prepared(t, Options{Profile: c.profile})
			hook := receive(t, nil)
			s.Subscribe(hook.URL, "message_created")
			if c.typing {
				s.Subscribe(hook.URL+"/typing", "conversation_typing_on")
			}
			must(t, s.CustomerTypes(1, true))
			idle(t, s)
			say(t, s, "a\\\nb\n")
			idle(t, s)
			all := hook.decoded(t)
			if (len(all) == 2) != c.typing {
				t.Fatalf("%v", all)
			}
			e := all[len(all)-1]
			conversation, ok := e["conversation"].(map[string]any)
			if !ok {
				t.Fatal(e)
			}
			sender, ok := e["sender"].(map[string]any)
			if !ok {
				t.Fatal(e)
			}
			_, updatedAt := conversation["updated_at"]
			_, account := conversation["account"]
			_, blocked := sender["blocked"]
			if updatedAt != c.updatedAt || account != c.account || blocked != c.blocked || e["content"] != c.content {
				t.Errorf("%v %v %v %q", updatedAt, account, blocked, e["content"])
			}
		})
	}
}

func TestStatusOverALife(t *testing.T) {
	status := func(s *Sim) string {
		c, err := s.Conversation(1)
		must(t, err)
		return c.Status
	}
	for _, opt := range []Options{{}, {StartOpen: true}} {
		s := prepared(t, opt)
		initial := statusPending
		if opt.StartOpen {
			initial = statusOpen
		}
		for i, step := range []struct {
			do   func() error
			want string
		}{
			{func() error { return nil }, initial},
			{func() error { return s.AgentPicksUp(1) }, statusOpen},
			{func() error { return s.AgentReturns(1) }, statusPending},
			{func() error { return s.AgentResolves(1) }, statusResolved},
			{func() error { _, err := s.AgentSays(1, "bye"); return err }, statusOpen},
			{func() error { return s.AgentResolves(1) }, statusResolved},
			{func() error { _, err := s.CustomerSays(1, "wait"); return err }, initial},
		} {
			must(t, step.do())
			if got := status(s); got != step.want {
				t.Errorf("step %d: %s, want %s", i, got, step.want)
			}
		}
		c, err := s.Conversation(1)
		if err != nil || c.WithHuman {
			t.Errorf("%+v, %v", c, err)
		}
	}
}

func TestAChangeOfStatusIsAnEventWithWhatChanged(t *testing.T) {
	s := prepared(t, Options{})
	hook := receive(t, nil)
	s.Subscribe(hook.URL, "conversation_status_changed", "conversation_updated")
	call(t, s, "conversations/deliver-to-agent/", `{`+tenantMember+`,"conversation_id":1}`)
	call(t, s, "conversations/deliver-to-agent/", `{`+tenantMember+`,"conversation_id":1}`)
	idle(t, s)
	if got := strings.Join(hook.events(t), " "); got != "conversation_status_changed conversation_updated" {
		t.Fatalf("%s", got)
	}
	changed := first(t, hook.decoded(t)[0]["changed_attributes"])
	if dig(t, changed, "status", "previous_value") != "pending" || dig(t, changed, "status", "current_value") != "open" {
		t.Errorf("%v", changed)
	}
}

func TestTheFlowWithTheVendorsWidgetAndABot(t *testing.T) {
	for _, paths := range [][2]string{{"agents-bot/", "agents-bot/assign/"}, {"agent-bot/", "assign-agent-bot/"}} {
		s := start(t, Options{Inboxes: []InboxOptions{{Channel: ChannelWebWidget, Greeting: "Welcome"}}})
		hook := receive(t, nil)
		a := call(t, s, paths[0], `{`+tenantMember+`,"outgoing_url":"`+hook.URL+`","description":"d","name":"My first bot"}`)
		if a.status != 200 || a.path(t, "id") != 2.0 {
			t.Fatalf("%+v", a)
		}
		if a = call(t, s, paths[1], `{`+tenantMember+`,"inbox_id":"1","agent_bot_id":"2"}`); a.status != 200 || a.body != "" {
			t.Fatalf("%+v", a)
		}
		_, err := s.NewConversation(Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
		must(t, err)
		call(t, s, "messages/", `{`+tenantMember+`,"conversation_id":1,"content":"I am a bot"}`)
		if a = call(t, s, "conversations/deliver-to-agent/", `{`+tenantMember+`,"conversation_id":1}`); a.path(t, "payload", "success") != nil {
			t.Errorf("%+v", a)
		}
		idle(t, s)
		want := "webwidget_triggered message_created message_created message_created conversation_opened"
		if got := strings.Join(hook.events(t), " "); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		all := hook.decoded(t)
		if all[2]["message_type"] != template || all[2]["sender"] != nil || dig(t, all[3], "sender", "name") != "My first bot" {
			t.Errorf("%v", all)
		}
	}
}

func TestAUserMayBeTheOwnerOfTheToken(t *testing.T) {
	s := prepared(t, Options{OutgoingByUser: true})
	hook := receive(t, nil)
	s.Subscribe(hook.URL)
	call(t, s, "messages/", `{`+tenantMember+`,"conversation_id":1,"content":"x"}`)
	idle(t, s)
	if got := dig(t, hook.decoded(t)[0], "sender", "type"); got != "user" {
		t.Errorf("%v", got)
	}
}

func TestAVisitorWhoComesBackIsTheSameContact(t *testing.T) {
	s := start(t, Options{})
	one, err := s.NewConversation(Visitor{Name: "Ann", Email: "ann@example.test"})
	must(t, err)
	two, err := s.NewConversation(Visitor{Name: "Ann", Email: "Ann@example.test"})
	must(t, err)
	if one.Contact.ID != two.Contact.ID || one.SourceID != two.SourceID || one.ID == two.ID {
		t.Errorf("%+v\n%+v", one, two)
	}
}

func TestWhatCannotBe(t *testing.T) {
	s := start(t, Options{})
	_, noInbox := s.NewConversation(Visitor{InboxID: 9})
	_, badEmail := s.NewConversation(Visitor{Email: "nobody"})
	_, nobody := s.CustomerSays(1, "x")
	conversationByAPI(t, s)
	_, nothing := s.CustomerSays(1, "")
	for i, err := range []error{noInbox, badEmail, nobody, nothing, s.EditMessage(1, 1, "x"), s.AgentPicksUp(9)} {
		if err == nil {
			t.Errorf("case %d is taken", i)
		}
	}
}

func TestTheSameSeedGivesTheSameBytes(t *testing.T) {
	run := func(seed uint64) string {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		s := prepared(t, Options{Seed: seed, Profile: V415, Now: func() time.Time { return now }})
		hook := receive(t, func(*http.Request) int { return 200 })
		s.Subscribe(hook.URL)
		say(t, s, "a", "b")
		idle(t, s)
		all := ""
		for _, g := range hook.all() {
			all += g.header.Get("X-Chatwoot-Signature") + g.header.Get("X-Chatwoot-Delivery") + g.body
		}
		return all
	}
	if one, again, other := run(1), run(1), run(2); one != again || one == other {
		t.Errorf("%s\n%s\n%s", one, again, other)
	}
}
