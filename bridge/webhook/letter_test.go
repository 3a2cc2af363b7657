package webhook

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/cxbridge/cxbridge/subjects"
)

func TestAMessageHasNoHeadersOfTheOneBefore(t *testing.T) {
	alone := setup(t, nil)
	alone.post(conversation)
	want := alone.only(t).Header

	h := setup(t, nil)
	h.post(incoming, "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate", "a=b")
	if w := h.post("no JSON"); w.Code != http.StatusBadRequest {
		t.Fatalf("answer %d", w.Code)
	}
	h.post(conversation)
	all := h.bus.messages()
	if len(all) != 3 {
		t.Fatalf("stored %d messages, want 3", len(all))
	}
	got := all[2].Header
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("header %s is %q", name, got[name])
		}
	}
	for name, values := range want {
		timed := name == subjects.HeaderReceivedAt || name == subjects.HeaderCETime
		if got.Get(name) == "" || !timed && got.Get(name) != values[0] {
			t.Errorf("header %s is %q, want %q", name, got[name], values)
		}
	}
}

// Messages that are written at the same time, of which some are refused, keep headers and body together.
func TestMessagesAtTheSameTimeKeepTheirHeaders(t *testing.T) {
	const senders, each = 8, 40
	h := setup(t, nil)
	var all sync.WaitGroup
	for c := range senders {
		all.Go(func() {
			for n := range each {
				h.post(customerSays(c, c*many+n))
				h.post("no JSON")
			}
		})
	}
	all.Wait()
	checked := 0
	for _, msg := range h.bus.messages() {
		if msg.Subject == h.names.DeadWebhook() {
			continue
		}
		e, err := h.paths.identify(msg.Data)
		if err != nil {
			t.Fatal(err)
		}
		got := msg.Header
		if got.Get(subjects.HeaderConversationID) != e.conversationID || got.Get(subjects.HeaderMessageID) != e.messageID ||
			!strings.HasSuffix(got.Get(subjects.HeaderMsgID), ":"+e.messageID) {
			t.Fatalf("headers %v of %s", got, msg.Data)
		}
		checked++
	}
	if checked != senders*each {
		t.Errorf("stored %d messages, want %d", checked, senders*each)
	}
}
