package drift_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/cxbridge/cxbridge/bridge/drift"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watching is a watch that runs inside a bubble.
type watching struct {
	*drift.Watch
	t        *testing.T
	log      bytes.Buffer
	registry *prometheus.Registry
}

// watch runs a test with a watch.
func watch(t *testing.T, test func(w *watching)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &watching{t: t, registry: prometheus.NewRegistry()}
		var err error
		if w.Watch, err = drift.New(slog.New(slog.NewTextHandler(&w.log, nil)), w.registry); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := w.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		defer running.Wait()
		defer stop()
		test(w)
	})
}

// offer offers an event after the time between two that are looked at, and waits until it was looked at.
func (w *watching) offer(name, body string) {
	time.Sleep(drift.Every) // the clock of the bubble
	w.at(name, body)
}

// at offers an event now.
func (w *watching) at(name, body string) {
	raw := []byte(body)
	w.Offer(name, raw, time.Now())
	clear(raw) // its memory belongs to the receiver
	synctest.Wait()
}

// told lists the findings as text.
func (w *watching) told() []string {
	var all []string
	for _, f := range w.Report().Findings {
		all = append(all, fmt.Sprintf("%s %s %s %s %d %s", f.Kind, f.Event, f.Path, f.Value, f.Count, f.Sample))
	}
	return all
}

func (w *watching) wants(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.told()); diff != "" {
		w.t.Error(diff)
	}
}

// counted returns the counters of findings by kind.
func (w *watching) counted() map[string]float64 {
	w.t.Helper()
	all, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, family := range all {
		for _, m := range family.GetMetric() {
			if family.GetName() == "cxbridge_drift_total" {
				counts[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return counts
}

func TestWhatIsKnownIsNoFinding(t *testing.T) {
	watch(t, func(w *watching) {
		w.offer("message_created", `{"event":"message_created","id":1,"content":null,"message_type":1,"sender":{"id":7,"type":"user"},"conversation":{"id":"x","status":"open",
			"custom_attributes":{"Ann":{"born":1970}},"messages":[{"id":1,"status":"sent","message_type":0}],"updated_at":1.5},"attachments":[{"id":1,"file_size":12}]}`)
		w.offer("message_created", `{"event":"message_created","data":{"id":1,"message_type":"incoming"}}`)
		w.offer("inbox_updated", `{"event":"inbox_updated","anything":{"there":true}}`)
		w.wants()
		if r := w.Report(); r.Examined != 3 || r.LeftOut != 0 {
			w.t.Errorf("%+v", r)
		}
	})
}

func TestUnknownMembersValuesAndEventsAreCountedByName(t *testing.T) {
	watch(t, func(w *watching) {
		began := time.Now()
		for range 2 {
			w.offer("message_created", `{"event":"message_created","id":{"uuid":"a-b"},"mood":"angry","message_type":"whisper","conversation":{"status":"archived",
				"messages":[{"reactions":[{"emoji":"x","by":7},1]}]},"attachments":[1]}`)
			w.offer("ticket_opened", `{"event":"ticket_opened","id":7,"who":{"name":"Ann","phone":null}}`)
		}
		w.wants(
			`value message_created attachments[] (integer) 2 "integer"`,
			`member message_created conversation.messages[].reactions  2 [{"by":"integer","emoji":"string"}]`,
			`value message_created conversation.status archived 2 "string"`,
			`value message_created id (object) 2 {"uuid":"string"}`,
			`value message_created message_type whisper 2 "string"`,
			`member message_created mood  2 "string"`,
			`event ticket_opened   2 {"event":"string","id":"integer","who":{"name":"string","phone":"null"}}`,
		)
		f := w.Report().Findings[0]
		if !f.FirstSeen.Equal(began.Add(drift.Every)) || !f.LastSeen.Equal(began.Add(3*drift.Every)) {
			w.t.Errorf("seen from %v to %v, which began at %v", f.FirstSeen, f.LastSeen, began)
		}
		if lines := strings.Count(w.log.String(), "\n"); lines != 7 {
			w.t.Errorf("%d lines for 7 findings:\n%s", lines, w.log.String())
		}
		if diff := cmp.Diff(map[string]float64{"event": 2, "member": 4, "value": 8}, w.counted()); diff != "" {
			w.t.Error(diff)
		}
	})
}

// TestNothingThatPeopleWroteIsShown puts personal data where a name or a word was expected.
func TestNothingThatPeopleWroteIsShown(t *testing.T) {
	watch(t, func(w *watching) {
		w.offer("message_created", `{"ann@example.test":{"555-0100-1234":"Ann","secret text":1,"x12345":1},"content_type":"Dear Bo, call +1555","message_type":"555-0100"}`)
		w.offer("Ann wrote", `{"event":"Ann wrote","content":"my card is 4111"}`)
		w.wants(
			`member message_created (other)  1 {"(other)":"integer"}`,
			`value message_created content_type (other) 1 "string"`,
			`value message_created message_type (other) 1 "string"`,
			`event (other)   1 {"content":"string","event":"string"}`,
		)
		for _, secret := range []string{"ann@", "555", "Dear", "4111", "secret"} {
			if strings.Contains(w.log.String()+strings.Join(w.told(), ""), secret) {
				w.t.Errorf("%q is shown", secret)
			}
		}
	})
}

func TestOnlyASampleIsLookedAtButEachNewName(t *testing.T) {
	watch(t, func(w *watching) {
		for range 100 {
			w.at("message_created", `{"mood":1}`)
			w.at("contact_updated", `{"mood":1}`)
			w.at("ticket_opened", `{}`)
			w.at("ticket_closed", `{}`)
		}
		if r := w.Report(); r.Examined != 5 || len(r.Findings) != 4 { // one each, and one of the names that are not known
			w.t.Errorf("%+v", r)
		}
		time.Sleep(drift.Every)
		w.at("message_created", `{"mood":1}`)
		if r := w.Report(); r.Examined != 6 || r.Findings[0].Count != 2 {
			w.t.Errorf("%+v", r)
		}
		w.offer("message_created", `{"x":"`+strings.Repeat("x", drift.MostBytes)+`"}`)
		if r := w.Report(); r.Examined != 6 {
			w.t.Error("a very large body was looked at")
		}
	})
}

func TestHostileInputTakesNoMoreThanItsShare(t *testing.T) {
	watch(t, func(w *watching) {
		var many strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&many, `,"%s":{"%s":%d}`, word(i), strings.Repeat("y", 100), i)
		}
		w.offer("message_created", `{"event":"message_created"`+many.String()+`}`)
		if r := w.Report(); len(r.Findings) != 20 || r.LeftOut != 980 {
			w.t.Errorf("%d findings out of one body, %d left out", len(r.Findings), r.LeftOut)
		}
		for i := range 1000 {
			w.offer("x_"+word(i), `{}`)
		}
		w.offer("x_"+strings.Repeat("z", 1<<16), strings.Repeat(`{"a":`, 5000)+"1"+strings.Repeat("}", 5000))
		if r := w.Report(); len(r.Findings) != drift.MostFindings {
			w.t.Errorf("%d findings", len(r.Findings))
		}
		if lines := strings.Count(w.log.String(), "\n"); lines != drift.MostFindings {
			w.t.Errorf("%d lines", lines)
		}
		if labels := w.counted(); len(labels) != 3 {
			w.t.Errorf("labels %v", labels)
		}
		for _, f := range w.Report().Findings {
			if len(f.Event) > 100 || len(f.Path) > 100 || len(f.Sample) > 4<<10 {
				w.t.Errorf("a finding as long as %d, %d, %d", len(f.Event), len(f.Path), len(f.Sample))
			}
		}
	})
}

// word returns a word of letters for a number.
func word(n int) string {
	return string([]byte{'a' + byte(n/676%26), 'a' + byte(n/26%26), 'a' + byte(n%26)})
}

// TestAnOfferNeverWaits offers to a watch that does not run.
func TestAnOfferNeverWaits(t *testing.T) {
	w, err := drift.New(slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i := range 10_000 {
		w.Offer("x_"+word(i), []byte(`{}`), now)
	}
	if r := w.Report(); r.Examined != 0 || len(r.Findings) != 0 {
		t.Errorf("%+v", r)
	}
}

func BenchmarkOffer(b *testing.B) {
	w, err := drift.New(slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	body, now := []byte(`{}`), time.Now()
	for _, name := range []string{"message_created", "ticket_opened"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.Offer(name, body, now)
			}
		})
	}
}
