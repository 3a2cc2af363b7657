package cxsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// contents are those of the message events that came, in order.
func (r *reception) contents(t *testing.T) []string {
	t.Helper()
	all := []string{}
	for _, g := range r.all() {
		var e struct{ Content string }
		if err := json.Unmarshal([]byte(g.body), &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e.Content)
	}
	return all
}

func say(t *testing.T, s *Sim, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := s.CustomerSays(1, text); err != nil {
			t.Fatal(err)
		}
	}
}

func idle(t *testing.T, s *Sim) {
	t.Helper()
	if err := s.WaitIdle(within(t)); err != nil {
		t.Fatal(err)
	}
}

func TestFaultsOnDeliveries(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault Fault
		want  string
	}{
		{"none", Fault{Effect: EffectDelay, Times: 1}, "a b c"},
		{"drop", Fault{Effect: EffectDrop, Times: 1}, "b c"},
		{"duplicate", Fault{Effect: EffectDuplicate, Times: 1}, "a a b c"},
		{"many duplicates", Fault{Effect: EffectDuplicate, Copies: 3, Times: 1}, "a a a a b c"},
		{"new ids", Fault{Effect: EffectDuplicateNewID, Times: 1}, "a a b c"},
		{"reorder", Fault{Effect: EffectReorder, Times: 1}, "b a c"},
		{"reorder the second", Fault{Effect: EffectReorder, Skip: 1, Times: 1}, "a c b"},
		{"reorder two", Fault{Effect: EffectReorder, Times: 2}, "c a b"},
		{"delay keeps order", Fault{Effect: EffectDelay, Delay: time.Millisecond}, "a b c"},
		{"of another event", Fault{Effect: EffectDrop, Event: "message_updated"}, "a b c"},
		{"of another channel", Fault{Effect: EffectDrop, Channel: ToBot}, "a b c"},
		{"of another conversation", Fault{Effect: EffectDrop, Conversation: 9}, "a b c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := prepared(t, Options{Profile: V412})
			hook := receive(t, nil)
			s.Subscribe(hook.URL)
			c.fault.Op = OpDelivery
			s.Fault(c.fault)
			s.PauseDeliveries()
			say(t, s, "a", "b", "c")
			s.ResumeDeliveries()
			idle(t, s)
			if got := strings.Join(hook.contents(t), " "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			ids := map[string]bool{}
			for _, g := range hook.all() {
				ids[g.header.Get("X-Chatwoot-Delivery")] = true
			}
			want := len(strings.Fields(c.want))
			if c.fault.Effect == EffectDuplicate {
				want = 3
			}
			if len(ids) != want {
				t.Errorf("%d delivery ids, want %d", len(ids), want)
			}
		})
	}
}

func TestBodiesThatFaultsSpoil(t *testing.T) {
	for _, c := range []struct {
		effect Effect
		looks  func(string) bool
	}{
		{EffectMalformed, func(body string) bool { return body != "" && !json.Valid([]byte(body)) }},
		{EffectEmpty, func(body string) bool { return body == "" }},
		{EffectOversized, func(body string) bool { return len(body) > 9000 && json.Valid([]byte(body)) }},
		{EffectUnknownEvent, func(body string) bool { return strings.HasPrefix(body, `{"event":"something_new",`) }},
	} {
		t.Run(string(c.effect), func(t *testing.T) {
			s := prepared(t, Options{SigningSecret: "s"})
			hook := receive(t, nil)
			s.Subscribe(hook.URL)
			s.Fault(Fault{Op: OpDelivery, Effect: c.effect, Size: 9000})
			say(t, s, "a")
			idle(t, s)
			got := hook.all()
			if len(got) != 1 || !c.looks(got[0].body) {
				t.Fatalf("%d: %.200s", len(got), got)
			}
			// What is signed is what is sent, however spoilt.
			timestamp := got[0].header.Get("X-Chatwoot-Timestamp")
			if got[0].header.Get("X-Chatwoot-Signature") != Sign("s", timestamp, []byte(got[0].body)) {
				t.Error("the signature is not of the body")
			}
			if d := s.Deliveries(); d[0].Body != got[0].body || d[0].Fault != string(c.effect) {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestSignatures(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		name            string
		opt             Options
		effect          Effect
		timestamp, sign string // the secret that the signature is of
	}{
		{"old platforms do not sign", Options{}, "", "", ""},
		{"unless they are told to", Options{SigningSecret: "s"}, "", "1700000000", "s"},
		{"newer ones do", Options{Profile: V412}, "", "1700000000", "own"},
		{"wrong", Options{SigningSecret: "s"}, EffectWrongSignature, "1700000000", "s-wrong"},
		{"none", Options{SigningSecret: "s"}, EffectNoSignature, "", ""},
		{"stale", Options{SigningSecret: "s"}, EffectStaleSignature, "1699996400", "s"},
		{"other headers", Options{SigningSecret: "s", SignatureHeader: "X-Sig", TimestampHeader: "X-Time"}, "", "1700000000", "s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opt.Now = func() time.Time { return now }
			s := prepared(t, c.opt)
			hook := receive(t, nil)
			own := s.Subscribe(hook.URL)
			if c.effect != "" {
				s.Fault(Fault{Op: OpDelivery, Effect: c.effect})
			}
			say(t, s, "a")
			idle(t, s)
			got := hook.all()[0]
			timestamp := got.header.Get(s.opt.TimestampHeader)
			want := ""
			if c.sign != "" {
				want = Sign(strings.Replace(c.sign, "own", own, 1), timestamp, []byte(got.body))
			}
			if timestamp != c.timestamp || got.header.Get(s.opt.SignatureHeader) != want {
				t.Errorf("headers %v, want %s %s", got.header, c.timestamp, want)
			}
		})
	}
}

func TestTheSignatureOfAKnownExample(t *testing.T) {
	// Computed with openssl: printf '%s' '1700000000.{"event":"x"}' | openssl dgst -sha256 -hmac secret
	want := "sha256=ca458d767c4041a70394d25abfdb6d6bc3777d2044b7dcf28fcc31911996fde4"
	if got := Sign("secret", "1700000000", []byte(`{"event":"x"}`)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAWebhookIsTriedOnceByTheVendor(t *testing.T) {
	s := prepared(t, Options{})
	hook := receive(t, func(*http.Request) int { return 500 })
	s.Subscribe(hook.URL)
	say(t, s, "a", "b")
	idle(t, s)
	if got := strings.Join(hook.contents(t), " "); got != "a b" || s.Deliveries()[0].Status != 500 || s.Deliveries()[0].OK() {
		t.Errorf("%s, %+v", got, s.Deliveries())
	}
}

func TestAWebhookMayBeRepeatedInOrder(t *testing.T) {
	var calls atomic.Int64
	s := prepared(t, Options{WebhookAttempts: -1, RetryWait: time.Millisecond, Profile: V412})
	hook := receive(t, func(*http.Request) int {
		if calls.Add(1) < 4 {
			return 503
		}
		return 200
	})
	s.Subscribe(hook.URL)
	say(t, s, "a", "b")
	idle(t, s)
	if got := strings.Join(hook.contents(t), " "); got != "a a a a b" {
		t.Errorf("%s", got)
	}
	all := hook.all()
	if id := all[0].header.Get("X-Chatwoot-Delivery"); id == "" || id != all[3].header.Get("X-Chatwoot-Delivery") {
		t.Error("a repeat has another delivery id")
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	s := prepared(t, Options{})
	hook := receive(t, func(*http.Request) int { return 302 })
	s.Subscribe(hook.URL)
	say(t, s, "a")
	idle(t, s)
	if d := s.Deliveries(); len(d) != 1 || d[0].Status != 302 || d[0].OK() {
		t.Errorf("%+v", d)
	}
}

func TestADeliveryThatCannotBeMadeKeepsItsAddressSecret(t *testing.T) {
	s := prepared(t, Options{BlockPrivate: true})
	s.Subscribe("http://127.0.0.1:1/webhooks/secret-path")
	s.Subscribe("http://no host/secret-path")
	say(t, s, "a")
	idle(t, s)
	for _, d := range s.Deliveries() {
		if d.Error == "" || strings.Contains(d.Error, "secret-path") {
			t.Errorf("%+v", d)
		}
	}
}

func TestWhenABotFails(t *testing.T) {
	for _, c := range []struct {
		profile  Profile
		status   int
		attempts int
		after    string
	}{
		{V313, 500, 1, statusPending},
		{V47, 500, 1, statusOpen},
		{V412, 500, 3, statusOpen},
		{V412, 429, 3, statusOpen},
		{V412, 503, 1, statusOpen},
		{V415, 500, 3, statusOpen},
		{V415, 200, 1, statusPending},
	} {
		t.Run(fmt.Sprint(c.profile, c.status), func(t *testing.T) {
			s := prepared(t, Options{Profile: c.profile, RetryWait: time.Millisecond})
			hook := receive(t, func(*http.Request) int { return c.status })
			s.AttachBot(s.InboxID(ChannelAPI), "b", hook.URL)
			say(t, s, "a")
			idle(t, s)
			created := 0
			for _, d := range s.Deliveries() {
				if d.Event == "message_created" {
					created++
				}
			}
			v, err := s.Conversation(1)
			if err != nil || created != c.attempts || v.Status != c.after {
				t.Errorf("%d attempts, %s, %v", created, v.Status, err)
			}
		})
	}
}

func TestReorderedWithNothingAfterIt(t *testing.T) {
	s := prepared(t, Options{})
	hook := receive(t, nil)
	s.Subscribe(hook.URL)
	s.Fault(Fault{Op: OpDelivery, Effect: EffectReorder, Times: 1})
	say(t, s, "a")
	if err := s.Wait(within(t), func() bool {
		s.FlushDeliveries()
		return s.WaitingDeliveries() == 0
	}); err != nil {
		t.Fatal(err)
	}
	s.Fault(Fault{Op: OpDelivery, Effect: EffectReorder, Delay: time.Millisecond, Times: 1})
	say(t, s, "b")
	idle(t, s)
	if got := strings.Join(hook.contents(t), " "); got != "a b" {
		t.Errorf("%s", got)
	}
}

func TestLateBinding(t *testing.T) {
	for late, want := range map[bool]string{false: statusPending, true: statusResolved} {
		s := prepared(t, Options{LateBinding: late})
		hook := receive(t, nil)
		s.Subscribe(hook.URL)
		s.PauseDeliveries()
		say(t, s, "a")
		if err := s.AgentResolves(1); err != nil {
			t.Fatal(err)
		}
		s.ResumeDeliveries()
		idle(t, s)
		var e struct{ Conversation struct{ Status string } }
		if err := json.Unmarshal([]byte(hook.all()[0].body), &e); err != nil || e.Conversation.Status != want {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

func TestManyConversationsAtOnceStayInOrder(t *testing.T) {
	const conversations, messages = 20, 30
	s := start(t, Options{MessagesPerMinute: -1})
	hook := receive(t, nil)
	s.Subscribe(hook.URL, "message_created")
	var everybody sync.WaitGroup
	for n := range conversations {
		c, err := s.NewConversation(Visitor{Name: "v", InboxID: 1})
		if err != nil {
			t.Fatal(err)
		}
		everybody.Go(func() {
			for i := range messages {
				body := fmt.Sprintf(`{%s,"conversation_id":%d,"content":"%d %d"}`, tenantMember, c.ID, n, i)
				if a, err := try(t, within(t), http.MethodPost, s.URL()+"messages/", DefaultToken, body); err != nil || a.status != 200 {
					t.Errorf("%+v, %v", a, err)
				}
			}
		})
	}
	everybody.Wait()
	idle(t, s)
	next := map[int]int{}
	for _, content := range hook.contents(t) {
		var n, i int
		if _, err := fmt.Sscan(content, &n, &i); err != nil || next[n] != i {
			t.Fatalf("%q came when %d was due, %v", content, next[n], err)
		}
		next[n]++
	}
	j := s.Journal().Messages(0)
	ordered := slices.IsSortedFunc(j, func(a, b Entry) int { return int(a.MessageID - b.MessageID) })
	if len(j) != conversations*messages || !ordered {
		t.Errorf("%d messages in the journal, in order: %v", len(j), ordered)
	}
}

func TestUnorderedDeliveriesAllArrive(t *testing.T) {
	s := prepared(t, Options{Unordered: true})
	hook := receive(t, nil)
	s.Subscribe(hook.URL)
	say(t, s, "a", "b", "c", "d")
	idle(t, s)
	got := hook.contents(t)
	slices.Sort(got)
	if strings.Join(got, " ") != "a b c d" {
		t.Errorf("%v", got)
	}
}

func TestCloseWhileDeliveriesWait(t *testing.T) {
	s := New(Options{WebhookAttempts: -1, RetryWait: time.Hour})
	hook := receive(t, func(*http.Request) int { return 500 })
	s.Subscribe(hook.URL)
	if _, err := s.NewConversation(Visitor{Name: "v", Text: "hi"}); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitDeliveries(within(t), func(d []Delivery) bool { return len(d) == 1 }); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close() // a second time is nothing
}

func TestTheJournalCanBeLimited(t *testing.T) {
	s := start(t, Options{JournalLimit: 3})
	for range 10 {
		call(t, s, "inboxes/", "")
	}
	j := s.Journal()
	if len(j) != 3 || j[0].Seq != 8 || j[2].Seq != 10 {
		t.Errorf("%+v", j)
	}
}
