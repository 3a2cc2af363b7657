//go:build interop

package interop

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/test/judge"
)

// judged holds what is on the bus against the schemas and the header tables of the contract.
func judged(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	j, err := judge.New("cx")
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := j.Bus(t.Context(), js)
	if err = errors.Join(err, errors.Join(verdict.Faults...)); err != nil {
		t.Errorf("against the contract:\n%v", err)
	}
	t.Logf("judged by the contract: %v", verdict.Judged)
}

// wantTraces wants each command to go on with the trace of the event that it answers.
func wantTraces(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	traces := map[string]string{} // by message id
	each(t, js, "CX_EVENTS", func(m *jetstream.RawStreamMsg) { traces[m.Header.Get("Cx-Message-Id")] = m.Header.Get("traceparent") })
	each(t, js, "CX_COMMANDS", func(m *jetstream.RawStreamMsg) {
		id := m.Header.Get("Nats-Msg-Id")
		want := traces[id[strings.LastIndex(id, "-")+1:]]
		if got := m.Header.Get("traceparent"); got != want || got == "" {
			t.Errorf("command %s has the traceparent %q, its event %q", id, got, want)
		}
	})
}

// each hands every message of a stream to a function.
func each(t *testing.T, js jetstream.JetStream, stream string, do func(m *jetstream.RawStreamMsg)) {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	for seq := s.CachedInfo().State.FirstSeq; seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatalf("%s, message %d: %v", stream, seq, err)
		}
		do(m)
	}
}
