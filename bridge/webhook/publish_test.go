package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/subjects"
)

func TestAnAttemptThatTimesOutIsRepeatedWithTheSameID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := setup(t, nil)
		tries := 0
		h.bus.lose = func(*nats.Msg) error {
			if tries++; tries < 3 {
				return context.DeadlineExceeded
			}
			return nil
		}
		if w := h.post(incoming); w.Code != http.StatusOK {
			t.Fatalf("answer %d", w.Code)
		}
		h.only(t)
		if len(h.bus.expected) != 3 {
			t.Errorf("%d attempts", len(h.bus.expected))
		}
	})
}

func TestWithoutASpoolAFailureIsAnswered500InTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := setup(t, nil)
		h.bus.set(away)
		start := time.Now()
		checkProblem(t, h.post(incoming), http.StatusInternalServerError)
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("the answer took %s, and the vendor waits 5 s", took)
		}
		if n := h.log.lines(); n != 1 {
			t.Errorf("the log has %d lines: %s", n, h.log)
		}
		h.post(incoming)
		if n := h.log.lines(); n != 1 {
			t.Errorf("the log has a line for each event: %s", h.log)
		}
	})
}

func TestASlowBusIsAnsweredFromTheSpoolInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newMemorySpool(10)
		h := setup(t, withSpool(disk))
		h.bus.set(func(*nats.Msg) error {
			time.Sleep(time.Second)
			return context.DeadlineExceeded
		})
		start := time.Now()
		if w := h.post(incoming); w.Code != http.StatusOK || time.Since(start) > 3*time.Second {
			t.Errorf("answer %d after %s", w.Code, time.Since(start))
		}
		if disk.Stats().Messages != 1 {
			t.Error("it is not in the spool")
		}
		before := len(h.bus.expected)
		h.post(botSays(1, 1))
		if len(h.bus.expected) != before {
			t.Error("the next event went to the bus, past the one in the spool")
		}
	})
}

func withSpool(s Spool) func(*Config, *Deps) { return func(_ *Config, d *Deps) { d.Spool = s } }

func TestNoEventIsLostWhileTheBusIsAway(t *testing.T) {
	disk := newMemorySpool(1000)
	h := setup(t, withSpool(disk))
	const conversations, each = 5, 20
	send := func(from, to int) { h.customers(t, conversations, from, to) }
	send(0, each)
	h.bus.set(away)
	send(each, 2*each)
	if n := disk.Stats().Messages; n != conversations*each {
		t.Errorf("%d messages are in the spool", n)
	}
	run(t, h.Drain)
	h.bus.set(nil)
	send(2*each, 3*each)
	eventually(t, "the spool is empty", func() bool { return !h.store.spooling.Load() })
	send(3*each, 4*each)
	inOrder(t, h.bus.messages(), conversations, 4*each)
	eventually(t, "the change back is logged", func() bool { return h.log.lines() >= 2 })
	if n := h.log.lines(); n != 2 {
		t.Errorf("the log has %d lines, want one for each change: %s", n, h.log)
	}
}

// customers sends the messages from a number to another in some conversations at once, within each one after the other.
func (h *harness) customers(t *testing.T, conversations, from, to int) {
	t.Helper()
	var all sync.WaitGroup
	for c := range conversations {
		all.Go(func() {
			for m := from; m < to; m++ {
				if w := h.post(customerSays(c, many*c+m)); w.Code != http.StatusOK {
					t.Errorf("answer %d", w.Code)
				}
			}
		})
	}
	all.Wait()
}

// inOrder checks that each conversation has its messages, each once and in the order in which they were answered.
func inOrder(t *testing.T, all []*nats.Msg, conversations, each int) {
	t.Helper()
	next := make(map[string]int)
	for _, msg := range all {
		c := msg.Header.Get(subjects.HeaderConversationID)
		var number int
		if _, err := fmt.Sscan(c, &number); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint(many*number + next[c]); msg.Header.Get(subjects.HeaderMessageID) != want {
			t.Fatalf("conversation %s: message %s, want %s", c, msg.Header.Get(subjects.HeaderMessageID), want)
		}
		next[c]++
	}
	if len(next) != conversations || len(all) != conversations*each {
		t.Errorf("%d messages in %d conversations", len(all), len(next))
	}
}

func TestAFullSpoolIsAnswered429(t *testing.T) {
	h := setup(t, withSpool(newMemorySpool(1)))
	h.bus.set(away)
	if w := h.post(botSays(1, 1)); w.Code != http.StatusOK {
		t.Fatalf("answer %d", w.Code)
	}
	checkProblem(t, h.post(botSays(1, 2)), http.StatusTooManyRequests)
	run(t, h.Drain)
	h.bus.set(nil)
	eventually(t, "the spool is empty", func() bool { return !h.store.spooling.Load() })
	if w := h.post(botSays(1, 2)); w.Code != http.StatusOK {
		t.Errorf("answer %d", w.Code)
	}
}

// brokenSpool takes nothing.
type brokenSpool struct{ *memorySpool }

func (brokenSpool) Put(context.Context, *nats.Msg) error { return errors.New("read-only file system") }

func TestABrokenSpoolIsAnswered500AndDoesNotStayInTheWay(t *testing.T) {
	h := setup(t, withSpool(brokenSpool{newMemorySpool(1)}))
	h.bus.set(away)
	checkProblem(t, h.post(incoming), http.StatusInternalServerError)
	h.bus.set(nil)
	if w := h.post(incoming); w.Code != http.StatusOK {
		t.Errorf("answer %d", w.Code)
	}
	h.only(t)
}

func TestWhatIsInTheSpoolAtStartGoesFirst(t *testing.T) {
	disk := newMemorySpool(10)
	h := setup(t, withSpool(disk))
	h.bus.set(away)
	h.post(customerSays(0, 0))

	again := setup(t, withSpool(disk))
	again.post(customerSays(0, 1))
	if len(again.bus.messages()) != 0 {
		t.Fatal("the new event passed the old one by")
	}
	run(t, again.Drain)
	eventually(t, "the spool is empty", func() bool { return disk.Stats().Messages == 0 })
	inOrder(t, again.bus.messages(), 1, 2)
}

func TestAnEventOfWhichTheAcknowledgementWasLostIsStoredOnce(t *testing.T) {
	disk := newMemorySpool(10)
	h := setup(t, withSpool(disk))
	h.bus.lose = func(*nats.Msg) error { return nats.ErrDisconnected }
	if w := h.post(incoming); w.Code != http.StatusOK || disk.Stats().Messages != 1 {
		t.Fatalf("answer %d", w.Code)
	}
	h.bus.mu.Lock()
	h.bus.lose = nil
	h.bus.mu.Unlock()
	run(t, h.Drain)
	eventually(t, "the spool is empty", func() bool { return disk.Stats().Messages == 0 })
	h.only(t)
}

func TestMalformedBodiesGoThroughTheSpool(t *testing.T) {
	disk := newMemorySpool(10)
	h := setup(t, withSpool(disk))
	h.bus.set(away)
	checkProblem(t, h.post("not json"), http.StatusBadRequest)
	run(t, h.Drain)
	h.bus.set(nil)
	eventually(t, "the spool is empty", func() bool { return disk.Stats().Messages == 0 })
	if msg := h.only(t); msg.Subject != "cx.dead.webhook.malformed" || string(msg.Data) != "not json" {
		t.Errorf("%+v", msg)
	}
	if last := h.bus.expected[len(h.bus.expected)-1]; last != "CX_DEAD" {
		t.Errorf("expected stream %q", last)
	}
}

func TestTheDrainFindsEchoesThatWereNotKnownBefore(t *testing.T) {
	disk, known := newMemorySpool(10), echoes{}
	h := setup(t, func(c *Config, d *Deps) {
		withEchoes(known)(c, d)
		d.Spool = disk
	})
	h.bus.set(away)
	h.post(says(12, 5, "outgoing", `{"type":"user"}`))
	h.post(conversation)
	known["5"] = "c1"
	run(t, h.Drain)
	h.bus.set(nil)
	eventually(t, "the spool is empty", func() bool { return disk.Stats().Messages == 0 })
	all := h.bus.messages()
	if got := all[0].Header; got.Get(subjects.HeaderEchoOf) != "c1" || got.Get(subjects.HeaderOrigin) != "bot" {
		t.Errorf("headers %v", got)
	}
	if _, ok := all[1].Header[subjects.HeaderOrigin]; ok {
		t.Errorf("headers %v", all[1].Header)
	}
}

// forgetfulSpool delivers a message again, because the acknowledgement did not delete it the first time.
type forgetfulSpool struct {
	*memorySpool
	once sync.Once
}

func (s *forgetfulSpool) Next(ctx context.Context) (*nats.Msg, func() error, error) {
	msg, ack, err := s.memorySpool.Next(ctx)
	return msg, func() error {
		failed := errors.New("input/output error")
		s.once.Do(func() { ack = func() error { return failed } })
		return ack()
	}, err
}

func TestAMessageThatTheSpoolDoesNotForgetIsStoredOnce(t *testing.T) {
	disk := &forgetfulSpool{memorySpool: newMemorySpool(10)}
	h := setup(t, withSpool(disk))
	h.bus.set(away)
	h.post(incoming)
	h.bus.set(nil)
	run(t, h.Drain)
	eventually(t, "the spool is empty", func() bool { return disk.Stats().Messages == 0 })
	h.only(t)
}

func TestTheSpoolIsLeftInPeaceWhileItIsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := setup(t, withSpool(newMemorySpool(1)))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Drain(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestNothingThatNATSReadsComesOutOfTheSpool(t *testing.T) {
	disk := newMemorySpool(10)
	h := setup(t, withSpool(disk))
	msg := &nats.Msg{Subject: "cx.a.b", Data: []byte("{}"), Header: nats.Header{
		"Nats-Msg-Id": {"x"}, "Nats-Expected-Last-Sequence": {"7"}, "Nats-TTL": {"1s"}, "Cx-Event": {"a_b"},
	}}
	if err := disk.Put(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	run(t, h.Drain)
	eventually(t, "the spool is empty", func() bool { return disk.Stats().Messages == 0 })
	got := h.only(t).Header
	delete(got, headerExpectedStream)
	if len(got) != 2 || got.Get("Nats-Msg-Id") != "x" || got.Get("Cx-Event") != "a_b" {
		t.Errorf("headers %v", got)
	}
}

func BenchmarkReceive(b *testing.B) {
	h := setup(b, func(c *Config, d *Deps) { d.Publisher = nowhere{} })
	body := []byte(incoming)
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, Path+token, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.ContentLength = int64(len(body))
	w := &discard{header: make(http.Header)}
	reader := bytes.NewReader(body)
	handler := h.Handler()
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		reader.Reset(body)
		req.Body = closer{reader}
		handler.ServeHTTP(w, req)
	}
}

func BenchmarkIdentify(b *testing.B) {
	p := defaultPaths(b)
	body := []byte(incoming)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.identify(body); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAnEventThatTheBusWillNeverTakeDoesNotBlockTheOthers(t *testing.T) {
	disk := newMemorySpool(10)
	h := setup(t, withSpool(disk))
	h.bus.set(away)
	h.post(incoming)
	h.post(conversation)
	h.bus.set(func(m *nats.Msg) error {
		if len(m.Data) > 500 {
			return nats.ErrMaxPayload
		}
		return nil
	})
	run(t, h.Drain)
	eventually(t, "the spool is empty", func() bool { return disk.Stats().Messages == 0 })
	if string(h.only(t).Data) != conversation || len(disk.aside) != 1 || string(disk.aside[0].Data) != incoming {
		t.Errorf("%d messages are aside", len(disk.aside))
	}
}
