package command

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestWhatTheServerSaysOfAPull(t *testing.T) {
	t.Parallel()
	other := errors.New("any")
	for name, c := range map[string]struct {
		status, text string
		over         bool
		err          error // other: any
	}{
		"heartbeat":      {"100", "Idle Heartbeat", false, nil},
		"no commands":    {"404", "No Messages", true, nil},
		"time is over":   {"408", "Request Timeout", true, nil},
		"deleted":        {"409", "Consumer Deleted", true, jetstream.ErrConsumerDeleted},
		"another leader": {"409", "Leadership Change", true, other},
		"no consumer":    {"503", "", true, nats.ErrNoResponders},
		"wrong request":  {"400", "Bad Request", true, other},
		"nothing":        {"", "", true, other},
	} {
		over, err := says(nats.Header{headerStatus: {c.status}, headerText: {c.text}})
		if over != c.over || (err != nil) != (c.err != nil) || !errors.Is(c.err, other) && !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v", name, over, err)
		}
	}
}
