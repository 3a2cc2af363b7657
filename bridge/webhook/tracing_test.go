package webhook

import (
	"net/http"
	"testing"
	"time"
)

func TestWhatIsNotTracedCostsNothing(t *testing.T) {
	r, req, l := &Receiver{}, &http.Request{}, &letter{}
	start := time.Now()
	if n := testing.AllocsPerRun(100, func() {
		v := r.visit(req, start)
		published(v.publish(l), outcomeStored, nil)
		published(r.drain(&l.msg), outcomeStored, nil)
		v.end(nil)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestASpanIsNotNamedAfterAnInboxOrAConversation(t *testing.T) {
	for subject, want := range map[string]string{
		"cx.message.created": "cx.message.created", "cx.dead.webhook.malformed": "cx.dead.webhook.malformed",
		"cx.event.message.created.3.42": "cx.event.message.created.{inbox}.{conversation}",
	} {
		if got := destination(subject); got != want {
			t.Errorf("%s: %s; want %s", subject, got, want)
		}
	}
}
