package cxsim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFaultsOnRequests(t *testing.T) {
	message := `{` + tenantMember + `,"conversation_id":1,"content":"x"}`
	for _, c := range []struct {
		name       string
		fault      Fault
		carriedOut bool
		journal    int // the status in the journal
		seen       func(answered, error) bool
	}{
		{"status", Fault{Effect: EffectStatus, Status: 429, RetryAfter: "7"}, false, 429, func(a answered, err error) bool {
			return err == nil && a.status == 429 && a.header.Get("Retry-After") == "7"
		}},
		{"default status", Fault{Effect: EffectStatus}, false, 503, func(a answered, err error) bool {
			return err == nil && a.status == 503 && a.header.Get("Retry-After") == ""
		}},
		{"own body", Fault{Effect: EffectStatus, Status: 502, Body: "<html>"}, false, 502, func(a answered, err error) bool {
			return err == nil && a.body == "<html>" && strings.HasPrefix(a.header.Get("Content-Type"), "text/html")
		}},
		{"unauthorized", Fault{Effect: EffectUnauthorized}, false, 401, func(a answered, err error) bool { return a.status == 401 }},
		{"close before", Fault{Effect: EffectCloseBefore}, false, 0, func(_ answered, err error) bool { return errors.Is(err, io.EOF) }},
		{"reset before", Fault{Effect: EffectResetBefore}, false, 0, func(_ answered, err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		{"lost", Fault{Effect: EffectLost}, true, 500, func(a answered, err error) bool { return a.status == 500 }},
		{"lost by a gateway", Fault{Effect: EffectLost, Status: 504}, true, 504, func(a answered, err error) bool { return a.status == 504 }},
		{"close", Fault{Effect: EffectClose}, true, 0, func(_ answered, err error) bool { return errors.Is(err, io.EOF) }},
		{"reset", Fault{Effect: EffectReset}, true, 0, func(_ answered, err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		{"cut", Fault{Effect: EffectCut}, true, 200, func(a answered, err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"malformed", Fault{Effect: EffectMalformed}, true, 200, func(a answered, err error) bool {
			return err == nil && a.status == 200 && strings.HasPrefix(a.body, `{"id":9001`) && !strings.HasSuffix(a.body, "}")
		}},
		{"empty", Fault{Effect: EffectEmpty}, true, 200, func(a answered, err error) bool { return err == nil && a.body == "" }},
		{"oversized", Fault{Effect: EffectOversized, Size: 5000}, true, 200, func(a answered, err error) bool {
			return err == nil && len(a.body) > 5000 && strings.HasSuffix(a.body, "x\"}")
		}},
		{"delay", Fault{Effect: EffectDelay, Delay: time.Millisecond}, true, 200, func(a answered, err error) bool { return a.status == 200 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := prepared(t, Options{})
			c.fault.Op, c.fault.Times, c.fault.Name = OpSendMessage, 1, "the fault"
			s.Fault(c.fault)
			a, err := try(t, within(t), http.MethodPost, s.URL()+"messages/", DefaultToken, message)
			if !c.seen(a, err) {
				t.Errorf("the client saw %+v, %v", a, err)
			}
			j := s.Journal()
			if len(j) != 1 || j[0].CarriedOut != c.carriedOut || j[0].Status != c.journal || j[0].Fault != "the fault" {
				t.Fatalf("journal: %+v", j)
			}
			if got := len(s.Messages(1)); (got == 1) != c.carriedOut {
				t.Errorf("%d messages", got)
			}
			if a := call(t, s, "messages/", message); a.status != 200 || s.Journal()[1].Fault != "" {
				t.Errorf("the second one: %+v", a)
			}
		})
	}
}

func TestHangingUntilTheClientGivesUp(t *testing.T) {
	for effect, carriedOut := range map[Effect]bool{EffectHang: true, EffectHangBefore: false} {
		s := prepared(t, Options{})
		s.Fault(Fault{Effect: effect})
		ctx, cancel := context.WithCancel(within(t))
		gone := make(chan error, 1)
		go func() {
			_, err := try(t, ctx, http.MethodPost, s.URL()+"messages/", DefaultToken, `{`+tenantMember+`,"conversation_id":1,"content":"x"}`)
			gone <- err
		}()
		if err := s.WaitFor(within(t), func(j Journal) bool { return len(j) == 1 && j[0].CarriedOut == carriedOut }); err != nil {
			t.Fatal(effect, err)
		}
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", effect, err)
		}
	}
}

func TestCloseEndsWhatHangs(t *testing.T) {
	s := New(Options{})
	if _, err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	s.Fault(Fault{Effect: EffectHangBefore})
	gone := make(chan error, 1)
	go func() {
		_, err := try(t, within(t), http.MethodGet, s.URL()+"inboxes/", DefaultToken, "")
		gone <- err
	}()
	if err := s.WaitFor(within(t), func(j Journal) bool { return len(j) == 1 }); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := <-gone; err == nil {
		t.Error("answered")
	}
}

func TestTheWebhookBeforeTheAnswer(t *testing.T) {
	s := prepared(t, Options{})
	hook := receive(t, nil)
	s.Subscribe(hook.URL)
	s.PauseDeliveries()
	s.Fault(Fault{Op: OpSendMessage, Effect: EffectWebhookFirst})
	done := make(chan error, 1)
	go func() {
		_, err := try(t, within(t), http.MethodPost, s.URL()+"messages/", DefaultToken, `{`+tenantMember+`,"conversation_id":1,"content":"x"}`)
		if err == nil && len(hook.all()) != 1 {
			err = errors.New("the answer came before the webhook")
		}
		done <- err
	}()
	if err := s.WaitFor(within(t), func(j Journal) bool { return len(j.Messages(1)) == 1 }); err != nil {
		t.Fatal(err)
	}
	s.ResumeDeliveries()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWhatARuleMeets(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault Fault
		meets bool
	}{
		{"everything", Fault{}, true},
		{"the operation", Fault{Op: OpSendMessage}, true},
		{"another operation", Fault{Op: OpFinish}, false},
		{"the conversation", Fault{Conversation: 1}, true},
		{"another conversation", Fault{Conversation: 2}, false},
		{"the tenant", Fault{Tenant: DefaultTenant}, true},
		{"another tenant", Fault{Tenant: "x"}, false},
		{"the body", Fault{Contains: `"content":"x"`}, true},
		{"another body", Fault{Contains: "nothing"}, false},
		{"never", Fault{Probability: 1e-300}, false},
		{"certainly", Fault{Probability: 1}, true},
		{"the second", Fault{Skip: 1}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := prepared(t, Options{})
			c.fault.Effect, c.fault.Status = EffectStatus, 418
			s.Fault(c.fault)
			a := call(t, s, "messages/", `{`+tenantMember+`,"conversation_id":1,"content":"x"}`)
			if (a.status == 418) != c.meets {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestRulesApplyInOrderAndSoOften(t *testing.T) {
	s := start(t, Options{})
	s.Fault(Fault{Op: OpListInboxes, Effect: EffectStatus, Status: 500, Times: 1, Skip: 1})
	s.Fault(Fault{Op: OpListInboxes, Effect: EffectDelay, Delay: time.Millisecond, Times: 1})
	s.Fault(Fault{Op: OpListInboxes, Effect: EffectStatus, Status: 503, Times: 2})
	for i, want := range []int{503, 500, 503, 200} {
		if a := call(t, s, "inboxes/", ""); a.status != want {
			t.Errorf("call %d: %d, want %d", i, a.status, want)
		}
	}
	if got := s.Journal()[0].Fault; got != "delay+status" {
		t.Errorf("fault %q", got)
	}
	s.Fault(Fault{Effect: EffectStatus})
	s.ClearFaults()
	if a := call(t, s, "inboxes/", ""); a.status != 200 || len(s.Faults()) != 0 {
		t.Errorf("%+v", a)
	}
}

func TestChanceIsOfTheSeed(t *testing.T) {
	run := func(seed uint64) (statuses []int) {
		s := start(t, Options{Seed: seed})
		s.Fault(Fault{Effect: EffectStatus, Probability: 0.5})
		for range 20 {
			statuses = append(statuses, call(t, s, "inboxes/", "").status)
		}
		return statuses
	}
	first, again, other := run(1), run(1), run(2)
	same := func(a, b []int) bool {
		for i := range a {
			if a[i] != b[i] {
				return false
			}
		}
		return true
	}
	if !same(first, again) || same(first, other) {
		t.Errorf("%v\n%v\n%v", first, again, other)
	}
}

func TestAnImpossibleRulePanics(t *testing.T) {
	for _, f := range []Fault{
		{Effect: "nonsense"}, {}, {Op: OpDelivery, Effect: EffectLost}, {Effect: EffectDrop},
		{Effect: EffectStatus, Status: 1}, {Effect: EffectStatus, Probability: 2},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v is taken", f)
				}
			}()
			s := New(Options{})
			defer s.Close()
			s.Fault(f)
		}()
	}
}
