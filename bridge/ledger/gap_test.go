package ledger

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// reader is a consumer that delivers outcomes with the given numbers of its own.
type reader struct {
	jetstream.Consumer
	numbers []uint64
}

func (r reader) Messages(...jetstream.PullMessagesOpt) (jetstream.MessagesContext, error) {
	return &deliveries{numbers: r.numbers}, nil
}

type deliveries struct {
	jetstream.MessagesContext
	numbers []uint64
}

func (d *deliveries) Next(...jetstream.NextOpt) (jetstream.Msg, error) {
	m := delivery{number: d.numbers[0]}
	d.numbers = d.numbers[1:]
	return m, nil
}

func (*deliveries) Stop() {}

// delivery is an outcome, whose sequence in the stream is ten times its number.
type delivery struct {
	jetstream.Msg
	number uint64
}

func (delivery) Subject() string { return "_cx.ledger.done.a" }
func (delivery) Data() []byte {
	return []byte(`{"v":1,"message_id":"100","result":{"command_id":"a"}}`)
}

func (d delivery) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{Sequence: jetstream.SequencePair{Consumer: d.number, Stream: 10 * d.number}, Timestamp: time.Now()}, nil
}

// TestAnOutcomeThatGetsLostOnItsWayIsNoMissingOne: a message that another command made must not be taken for the echo because its outcome was not
// read.
func TestAnOutcomeThatGetsLostOnItsWayIsNoMissingOne(t *testing.T) {
	l := &Ledger{}
	for name, c := range map[string]struct {
		numbers []uint64
		fails   bool
		next    uint64
	}{
		"all":                 {[]uint64{1, 2, 3}, false, 31},
		"the first is lost":   {[]uint64{2, 3}, true, 0},
		"one between is lost": {[]uint64{1, 3}, true, 11},
	} {
		w := &window{commands: map[string]string{}}
		if err := l.readTo(t.Context(), reader{numbers: c.numbers}, 30, w); (err != nil) != c.fails || w.next != c.next {
			t.Errorf("%s: %v, goes on at %d", name, err, w.next)
		}
	}
}

// TestProgressOfAnotherCommandIsNotTaken: the record before a claim may have expired, and the stream may have been made anew, so that something
// else has its sequence.
func TestProgressOfAnotherCommandIsNotTaken(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 1)
	mustClaim(t, e, claimOf("a", "one"))
	others, err := e.Release(testContext(t), mustClaim(t, e, claimOf("b", "one")), Progress{
		Attempts: 9, Unsure: true, Spent: time.Hour, History: []subjects.Attempt{{HTTPStatus: 500}},
	})
	if err != nil {
		t.Fatal(err)
	}
	mustClaim(t, e, afterClaim("a", "two", others))
	found := mustFind(t, l, "a")
	if found.Claim == nil || found.Claim.Nonce != "two" {
		t.Fatalf("found %+v", found)
	}
	if diff := cmp.Diff(Progress{}, found.Progress); diff != "" {
		t.Errorf("progress (-want +got)\n%s", diff)
	}
}
