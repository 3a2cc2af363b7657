package cxsim

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestTheWebhookOfAnInboxGetsEverythingAboutItsConversations(t *testing.T) {
	for _, profile := range Profiles() {
		t.Run(string(profile), func(t *testing.T) {
			hook := receive(t, nil)
			s := start(t, Options{Profile: profile, Inboxes: []InboxOptions{{WebhookURL: hook.URL}, {Channel: ChannelWebWidget, WebhookURL: hook.URL}}})
			elsewhere, err := s.NewConversation(Visitor{Name: "Di", Email: "di@example.test", Text: "in the widget"})
			must(t, err)
			c, err := s.NewConversation(Visitor{Name: "Ann", Email: "ann@example.test", InboxID: 1, Text: "hi"})
			must(t, err)
			must(t, s.EditMessage(c.ID, c.Messages[0].ID, "hi!"))
			call(t, s, "conversations/deliver-to-agent/", `{`+tenantMember+`,"conversation_id":2}`)
			must(t, s.CustomerTypes(c.ID, true))
			must(t, s.AgentResolves(c.ID))
			idle(t, s)
			got := hook.events(t)
			slices.Sort(got)
			want := []string{"conversation_created", "conversation_status_changed", "conversation_status_changed", "conversation_updated",
				"conversation_updated", "conversation_updated", "message_created", "message_updated", "webwidget_triggered"}
			if profile != V313 {
				want = append(want, "conversation_typing_on")
			}
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%v; want %v", got, want)
			}
			for _, d := range s.Deliveries() {
				if d.Channel != ToInbox || d.ConversationID == elsewhere.ID {
					t.Errorf("%+v", d)
				}
			}
			for _, r := range hook.all() {
				if signed := r.header.Get("X-Chatwoot-Signature") != ""; signed != (profile == V415) {
					t.Errorf("signed: %t", signed)
				}
			}
		})
	}
}

func TestAMessageThatTheWebhookOfItsInboxDoesNotTakeHasFailed(t *testing.T) {
	broken := receive(t, func(*http.Request) int { return http.StatusInternalServerError })
	hook := receive(t, nil)
	s := prepared(t, Options{})
	s.AttachInboxWebhook(1, broken.URL)
	s.Subscribe(hook.URL, "message_updated")
	say(t, s, "a")
	idle(t, s)
	if m := s.Messages(1); !m[len(m)-1].Failed {
		t.Errorf("%+v", m)
	}
	got := hook.all()
	if len(got) != 1 || !strings.Contains(got[0].body, `"status":"failed"`) {
		t.Errorf("%v", got)
	}
	tried := broken.events(t)
	slices.Sort(tried)
	if want := []string{"conversation_updated", "message_created", "message_updated"}; !slices.Equal(tried, want) {
		t.Errorf("%v were tried; want %v", tried, want)
	}
}

func TestOneMessageOnThreeChannels(t *testing.T) {
	s := prepared(t, Options{Profile: V412})
	hook := receive(t, nil)
	s.Subscribe(hook.URL, "message_created")
	s.AttachInboxWebhook(1, hook.URL)
	s.AttachBot(1, "b", hook.URL)
	say(t, s, "a")
	idle(t, s)
	ids := map[string]bool{}
	for _, r := range hook.all() {
		if strings.HasPrefix(r.body, `{"event":"message_created"`) {
			ids[r.header.Get("X-Chatwoot-Delivery")] = true
		}
	}
	if len(ids) != 3 {
		t.Errorf("%d deliveries of their own; want 3", len(ids))
	}
}

func TestWhoHasNoWebhookOfItsOwn(t *testing.T) {
	s := start(t, Options{})
	for _, inbox := range []int64{2, 9} {
		if _, ok := s.AttachInboxWebhook(inbox, "http://127.0.0.1:1"); ok {
			t.Errorf("inbox %d took a webhook", inbox)
		}
	}
}

func TestAContactThatChangesIsReported(t *testing.T) {
	s := prepared(t, Options{})
	hook := receive(t, nil)
	s.Subscribe(hook.URL, "contact_updated")
	c, err := s.Conversation(1)
	must(t, err)
	must(t, s.ChangeContact(c.Contact.ID, "", "other@example.test", "+4930123"))
	idle(t, s)
	if got := hook.all(); len(got) != 1 || !strings.Contains(got[0].body, `"changed_attributes":[{"email":{"previous_value":"`+c.Contact.Email+`","current_value":"other@example.test"}}`) {
		t.Errorf("%v", got)
	}
	if a := call(t, s, "contacts/", `{`+tenantMember+`,"name":"New","email":"`+c.Contact.Email+`"}`); a.status != 200 {
		t.Errorf("the old address is still taken: %+v", a)
	}
	if a := call(t, s, "contacts/", `{`+tenantMember+`,"name":"New","email":"OTHER@example.test"}`); a.status != 422 {
		t.Errorf("the new address is free: %+v", a)
	}
	if s.ChangeContact(c.Contact.ID, "", "no address", "") == nil || s.ChangeContact(999, "x", "", "") == nil {
		t.Error("a change that cannot be was made")
	}
}
