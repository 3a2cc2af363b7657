package deadletter

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
)

func manyHeaders(n int, prefix string) nats.Header {
	h := nats.Header{subjects.HeaderOnlyIf: {subjects.OnlyIfStillWithBot}}
	for i := range n {
		h.Set(fmt.Sprintf("%s%d", prefix, i), strings.Repeat("v", 450))
	}
	return h
}

// TestALetterFitsWhateverItsHeaders: the server takes 64 KiB of headers, and a letter that it does not take would never be put.
func TestALetterFitsWhateverItsHeaders(t *testing.T) {
	s := testStore(t)
	letters := map[string]func(*Letter){
		"history": func(l *Letter) {
			for range 100 {
				l.History = append(l.History, subjects.Attempt{Detail: strings.Repeat("x", 700)})
			}
			l.History = append(l.History, subjects.Attempt{Detail: "the last"})
		},
		"detail":      func(l *Letter) { l.Detail = strings.Repeat("ä", 70000) },
		"id":          func(l *Letter) { l.CommandID = strings.Repeat("c", 40000) },
		"value":       func(l *Letter) { l.Original.Header.Set("X", strings.Repeat("c", 65000)) },
		"headers":     func(l *Letter) { l.Original.Header = manyHeaders(150, "X-") },
		"own headers": func(l *Letter) { l.Original.Header = manyHeaders(150, "Cx-") },
	}
	for name, change := range letters {
		letter := testLetter(s.names, name)
		change(&letter)
		if err := Put(testContext(t), s.js, s.names, letter); err != nil {
			t.Fatal(name, err)
		}
		page, err := s.List(testContext(t), Filter{CommandID: letter.CommandID})
		if err != nil || len(page.Letters) != 1 {
			t.Fatal(name, err, len(page.Letters))
		}
		got := page.Letters[0]
		if got.Damage != nil || string(got.Original.Data) != string(letter.Original.Data) || got.Reason != letter.Reason {
			t.Errorf("%s: %v", name, got.Damage)
		}
		switch name {
		case "history":
			if n := len(got.History); n < 5 || got.History[n-1].Detail != "the last" {
				t.Errorf("%d attempts are told", n)
			}
		case "headers", "own headers":
			if got.Original.Header.Get(subjects.HeaderOnlyIf) != subjects.OnlyIfStillWithBot || !strings.Contains(got.Detail, "headers are cut") {
				t.Errorf("%s: %s", got.Detail, got.Original.Header.Get(subjects.HeaderOnlyIf))
			}
		}
	}
}

// TestABodyIsCutToWhatFits: not a byte more than the bus demands is lost.
func TestABodyIsCutToWhatFits(t *testing.T) {
	const bound = 32 << 10
	limit := func(s *Store) {
		stream, err := s.js.Stream(testContext(t), s.names.DeadStream())
		if err != nil {
			t.Fatal(err)
		}
		config := stream.CachedInfo().Config
		config.MaxMsgSize = bound
		if _, err := s.js.UpdateStream(testContext(t), config); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		options []natstest.Option
		prepare func(*Store)
		through func(jetstream.Publisher) jetstream.Publisher
		least   int
	}{
		"payload":       {options: []natstest.Option{func(o *server.Options) { o.MaxPayload = bound }}, least: bound},
		"stream":        {prepare: limit, least: bound},
		"unknown limit": {prepare: limit, through: func(p jetstream.Publisher) jetstream.Publisher { return struct{ jetstream.Publisher }{p} }, least: bound * 3 / 4},
	} {
		s := testStore(t, test.options...)
		var publisher jetstream.Publisher = s.js
		if test.prepare != nil {
			test.prepare(s)
		}
		if test.through != nil {
			publisher = test.through(publisher)
		}
		letter := testLetter(s.names, "a")
		letter.Original.Data = bytes.Repeat([]byte("0123456789"), 10<<10)
		if err := Put(testContext(t), publisher, s.names, letter); err != nil {
			t.Fatal(name, err)
		}
		got := s.mustList(t, Filter{}).Letters[0]
		n := len(got.Original.Data)
		if !bytes.HasPrefix(letter.Original.Data, got.Original.Data) || !strings.Contains(got.Detail, fmt.Sprintf("the body is cut: %d of 102400 bytes", n)) {
			t.Errorf("%s: %d bytes, and the detail %q", name, n, got.Detail)
		}
		stream, err := s.js.Stream(testContext(t), s.names.DeadStream())
		if err != nil {
			t.Fatal(err)
		}
		raw, err := stream.GetMsg(testContext(t), 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, added := range []string{"Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp"} { // by the reading
			raw.Header.Del(added)
		}
		m := nats.Msg{Header: raw.Header, Data: raw.Data}
		if size := m.Size(); size > bound || size < test.least {
			t.Errorf("%s: the letter has %d bytes, and the bus takes %d", name, size, bound)
		}
	}
}

func TestHeadersOfALetterAreASCII(t *testing.T) {
	s := testStore(t)
	letter := testLetter(s.names, "a")
	letter.Detail = "ungültig\r\n🎈"
	letter.History[0].Detail = "zu früh, 🎈"
	s.mustPut(t, letter)
	stream, err := s.js.Stream(testContext(t), s.names.DeadStream())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := stream.GetMsg(testContext(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range raw.Header {
		for _, value := range values {
			if strings.ContainsFunc(value, func(r rune) bool { return r > '~' }) {
				t.Errorf("%s: %q", name, value)
			}
		}
	}
	got := s.mustList(t, Filter{}).Letters[0]
	if got.Detail != `ung\u00fcltig \ud83c\udf88` || got.History[0].Detail != "zu früh, 🎈" {
		t.Errorf("detail %q, history %+v", got.Detail, got.History)
	}
}
