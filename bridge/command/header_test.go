package command

import (
	"maps"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
)

func TestAHeaderThatIsHeldIsTheOneThatCame(t *testing.T) {
	t.Parallel()
	for _, h := range []nats.Header{
		nil,
		{"Nats-Msg-Id": {"1"}},
		{"Nats-Msg-Id": {"1", "2"}, "nats-msg-id": {"3"}, "Empty": {""}},
	} {
		held := compact(h)
		if !maps.EqualFunc(held.all(), h, slices.Equal) {
			t.Errorf("%v became %v", h, held.all())
		}
		for _, name := range []string{"Nats-Msg-Id", "nats-msg-id", "NATS-MSG-ID", "Empty"} {
			if got, want := held.Get(name), h.Get(name); got != want {
				t.Errorf("%s is %q instead of %q", name, got, want)
			}
		}
	}
}
