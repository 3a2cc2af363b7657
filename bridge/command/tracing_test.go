package command

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/subjects"
)

func TestWhatIsNotTracedCostsNothing(t *testing.T) {
	s, j, m, r := &shift{Runner: &Runner{}}, &job{}, &nats.Msg{}, &subjects.Result{}
	if n := testing.AllocsPerRun(100, func() {
		story := s.story(j)
		story.tell("one")
		story.waiting(true)
		story.again(subjects.ReasonTimeout, 1, time.Second)
		published(story.publish(m), nil)
		story.reply(m)
		story.end(r)
		story.leave()
		_ = story.call(t.Context())
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
