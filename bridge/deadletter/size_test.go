package deadletter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

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
