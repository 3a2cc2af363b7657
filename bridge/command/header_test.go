package command

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
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

func TestAMessageThatIsHeldIsTheOneThatCame(t *testing.T) {
	t.Parallel()
	for _, m := range []fakeMsg{
		{},
		{subject: "cx.cmd.message.send", reply: "$JS.ACK.1", data: []byte(`{}`)},
		{subject: "cx.cmd.message.send.42", reply: "$JS.ACK.2", header: nats.Header{"A": {"1", "2"}, "B": {""}}, data: []byte("a\nb\n")},
		{subject: "s", header: nats.Header{"": {""}}},
	} {
		p, delivery := pack(m)
		if p.Subject() != m.subject || delivery != m.reply || !bytes.Equal(p.Body(), m.data) || p.size() != len(m.data) || !maps.EqualFunc(p.Header().all(), m.header, slices.Equal) {
			t.Errorf("%q became %q, to be acknowledged on %q", m.data, p.text, delivery)
		}
	}
}

type fakeMsg struct {
	jetstream.Msg
	subject, reply string
	header         nats.Header
	data           []byte
}

func (m fakeMsg) Subject() string      { return m.subject }
func (m fakeMsg) Reply() string        { return m.reply }
func (m fakeMsg) Headers() nats.Header { return m.header }
func (m fakeMsg) Data() []byte         { return m.data }
