package spool_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/spool"
)

func TestMain(m *testing.M) {
	if os.Getenv(childDir) != "" {
		os.Exit(child(os.Getenv(childDir)))
	}
	natstest.VerifyNoLeaks(m)
}

func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	t.Cleanup(cancel)
	return ctx
}

func open(t *testing.T, config spool.Config) *spool.Spool {
	t.Helper()
	s, err := spool.Open(patient(t), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func config(t *testing.T) spool.Config {
	t.Helper()
	return spool.Config{Dir: filepath.Join(t.TempDir(), "spool"), MaxBytes: 64 << 20}
}

func message(id int) *nats.Msg {
	return &nats.Msg{
		Subject: "cx.message.created", Data: fmt.Appendf(nil, `{"id":%d}`, id),
		Header: nats.Header{"Nats-Msg-Id": {fmt.Sprint(id)}, "Cx-Tenant": {"acme"}, "ce-id": {fmt.Sprint(id)}},
	}
}

func put(t *testing.T, s *spool.Spool, id int) {
	t.Helper()
	if err := s.Put(patient(t), message(id)); err != nil {
		t.Fatal(err)
	}
}

func next(t *testing.T, s *spool.Spool) (*nats.Msg, func() error) {
	t.Helper()
	msg, ack, err := s.Next(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	return msg, ack
}

// take takes the oldest message out and expects it to be this one.
func take(t *testing.T, s *spool.Spool, id int) {
	t.Helper()
	msg, ack := next(t, s)
	if want := fmt.Sprintf(`{"id":%d}`, id); string(msg.Data) != want {
		t.Fatalf("got %s, want %s", msg.Data, want)
	}
	if err := ack(); err != nil {
		t.Fatal(err)
	}
}

func TestMessagesStayInOrderUntilAcknowledged(t *testing.T) {
	c := config(t)
	s := open(t, c)
	for id := range 3 {
		put(t, s, id)
	}
	first, _ := next(t, s)
	again, ack := next(t, s)
	if !reflect.DeepEqual(first.Data, again.Data) {
		t.Fatalf("%s was handed out before %s was acknowledged", again.Data, first.Data)
	}
	if err := ack(); err != nil {
		t.Fatal(err)
	}
	if err := ack(); err != nil {
		t.Fatalf("second acknowledgement: %v", err)
	}
	take(t, s, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, c)
	put(t, s, 3)
	if n := s.Stats().Messages; n != 2 {
		t.Errorf("%d messages after reopening", n)
	}
	take(t, s, 2)
	take(t, s, 3)
	if s.Stats() != (spool.Stats{}) {
		t.Errorf("figures of an empty spool: %+v", s.Stats())
	}
}

func TestMessagesComeOutAsTheyWentIn(t *testing.T) {
	s := open(t, config(t))
	in := message(7)
	in.Data = []byte("{\"text\":\"\xff\\ud800 \n\"}")
	in.Header["Nats-Expected-Stream"] = []string{"CX_EVENTS"}
	in.Header["Spool-Nats-X"] = []string{"a", "b"}
	in.Header["nats-ttl"] = []string{"1s"}
	want := &nats.Msg{Subject: in.Subject, Header: nats.Header{}, Data: in.Data}
	for name, values := range in.Header {
		want.Header[name] = append([]string{}, values...)
	}
	if err := s.Put(patient(t), in); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(in.Header, want.Header) {
		t.Errorf("Put changed the message of the caller: %v", in.Header)
	}
	out, _ := next(t, s)
	if out.Subject != want.Subject || !reflect.DeepEqual(out.Header, want.Header) || string(out.Data) != string(want.Data) {
		t.Errorf("got %s %v %q, want %s %v %q", out.Subject, out.Header, out.Data, want.Subject, want.Header, want.Data)
	}
}

func TestNextWaitsForAMessage(t *testing.T) {
	s := open(t, config(t))
	got := make(chan string)
	go func() {
		msg, _, err := s.Next(patient(t))
		if err != nil {
			got <- err.Error()
			return
		}
		got <- string(msg.Data)
	}()
	put(t, s, 1)
	if text := <-got; text != `{"id":1}` {
		t.Error(text)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	take(t, s, 1)
	if _, _, err := s.Next(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("next on an empty spool: %v", err)
	}
}

func TestARepeatIsKeptOnce(t *testing.T) {
	s := open(t, config(t))
	put(t, s, 1)
	put(t, s, 1)
	if n := s.Stats().Messages; n != 1 {
		t.Errorf("%d messages", n)
	}
	take(t, s, 1)
}

func TestAFullSpoolRefusesAndKeepsWhatItHas(t *testing.T) {
	c := config(t)
	c.MaxBytes = 1 << 20
	s := open(t, c)
	stored := 0
	var err error
	for err == nil {
		if err = s.Put(patient(t), large(stored)); err == nil {
			stored++
		}
	}
	if !errors.Is(err, spool.ErrFull) || stored < 8 || stored > 10 {
		t.Fatalf("after %d messages: %v", stored, err)
	}
	if st := s.Stats(); st.Messages != uint64(stored) || st.Bytes > uint64(c.MaxBytes) || st.Oldest.IsZero() {
		t.Errorf("%+v", st)
	}
	msg, ack := next(t, s)
	if id := msg.Header.Get("Nats-Msg-Id"); id != "0" {
		t.Errorf("oldest is %s", id)
	}
	if err := ack(); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(patient(t), large(100)); err != nil {
		t.Errorf("there is room again: %v", err)
	}
}

func large(id int) *nats.Msg {
	m := message(id)
	m.Data = make([]byte, 100<<10)
	return m
}

func TestALowerBoundLosesNothing(t *testing.T) {
	c := config(t)
	c.MaxBytes = 4 << 20
	s := open(t, c)
	for id := range 20 {
		if err := s.Put(patient(t), large(id)); err != nil {
			t.Fatal(err)
		}
	}
	count := s.Stats().Messages
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c.MaxBytes = 1 << 20
	s = open(t, c)
	if n := s.Stats().Messages; n != count {
		t.Errorf("%d messages of %d are left after the bound was lowered", n, count)
	}
	if err := s.Put(patient(t), large(300)); !errors.Is(err, spool.ErrFull) {
		t.Errorf("put: %v", err)
	}
	if err := s.Healthy(patient(t)); !errors.Is(err, spool.ErrFull) {
		t.Errorf("healthy: %v", err)
	}
}

func TestAMessageThatNoSpoolTakes(t *testing.T) {
	s := open(t, config(t))
	m := message(1)
	m.Data = make([]byte, 33<<20)
	if err := s.Put(patient(t), m); !errors.Is(err, spool.ErrTooLarge) {
		t.Errorf("error: %v", err)
	}
	if n := s.Stats().Messages; n != 0 {
		t.Errorf("%d messages", n)
	}
}

func TestPutAsideKeepsTheMessageInAFile(t *testing.T) {
	c := config(t)
	s := open(t, c)
	put(t, s, 1)
	msg, ack := next(t, s)
	name, err := s.PutAside(msg, "larger than the bus takes")
	if err != nil {
		t.Fatal(err)
	}
	if err := ack(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(name, filepath.Join(c.Dir, "aside")) || !strings.Contains(string(text), "larger than the bus takes") {
		t.Errorf("%s: %s", name, text)
	}
}

func TestADirectoryThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if _, err := spool.Open(patient(t), spool.Config{Dir: file, MaxBytes: 1 << 20}, log); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file as directory: %v", err)
	}
	c := config(t)
	open(t, c)
	if _, err := spool.Open(patient(t), c, log); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("a second spool in the directory: %v", err)
	}
}

func TestAClosedSpool(t *testing.T) {
	s := open(t, config(t))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(patient(t), message(1)); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("put: %v", err)
	}
	if _, _, err := s.Next(patient(t)); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("next: %v", err)
	}
	if err := s.Healthy(patient(t)); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("healthy: %v", err)
	}
}

func TestManyPutAtOnce(t *testing.T) {
	s := open(t, config(t))
	const writers, each = 8, 25
	done := make(chan error)
	for w := range writers {
		go func() {
			for i := range each {
				if err := s.Put(patient(t), message(w*1000+i)); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	last := map[string]int{}
	for n := range writers * each {
		msg, ack := next(t, s)
		var id int
		if _, err := fmt.Sscanf(string(msg.Data), `{"id":%d}`, &id); err != nil {
			t.Fatal(err)
		}
		writer := fmt.Sprint(id / 1000)
		if before, seen := last[writer]; seen && before >= id {
			t.Fatalf("message %d: %d after %d", n, id, before)
		}
		last[writer] = id
		if err := ack(); err != nil {
			t.Fatal(err)
		}
	}
	for range writers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := s.Stats().Messages; n != 0 {
		t.Errorf("%d messages are left", n)
	}
}
