package command

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/tidwall/gjson"

	"github.com/cxbridge/cxbridge/subjects"
)

// former reads results: of earlier commands about the same conversation or contact. As commands of one lane are carried out one after the
// other and each publishes its result before the next one begins, all that a command needs to know of its predecessors is there, whoever
// carried them out. Most results, those of messages that were sent, tell nobody anything, and are not kept.
type former struct {
	reading *reading
	results map[string][]subjects.Result // by conversation: those that leave a doubt, and of hand-offs
	started []subjects.Result            // of conversation.start
}

func newFormer(js jetstream.JetStream, names subjects.Names) *former {
	f := &former{reading: newReading(js, names.ResultsStream())}
	f.reading.take, f.reading.reset, f.reading.forget = f.take, f.reset, f.forget
	f.reset()
	return f
}

func (f *former) reset() { f.results, f.started = make(map[string][]subjects.Result), nil }

func (f *former) forget(before time.Time) {
	f.started = resultsSince(f.started, before)
	for key, all := range f.results {
		if left := resultsSince(all, before); len(left) > 0 {
			f.results[key] = left
		} else {
			delete(f.results, key)
		}
	}
}

// resultsSince returns a copy of those that were published since a time.
func resultsSince(all []subjects.Result, since time.Time) []subjects.Result {
	var found []subjects.Result
	for _, r := range all {
		if !r.FinishedAt.Before(since) {
			found = append(found, r)
		}
	}
	return found
}

func (f *former) take(m jetstream.Msg, meta *jetstream.MsgMetadata) {
	if sent(m.Data()) {
		return
	}
	var r subjects.Result
	if err := json.Unmarshal(m.Data(), &r); err != nil {
		return // somebody else's message on our subject is no result
	}
	r.Response = nil
	r.FinishedAt.Time = meta.Timestamp // by the clock that tells when commands were published, and not cut to milliseconds
	if r.Command == subjects.ConversationStart {
		f.started = append(f.started, r)
	}
	if key := r.ConversationID.String(); key != "" && (doubtful(r) || r.Command == subjects.ConversationHandoff) {
		f.results[key] = append(f.results[key], r)
	}
}

// sent reports whether a result is of a message that was sent at the first attempt, as nearly all are, without reading it whole.
func sent(result []byte) bool {
	about := gjson.GetManyBytes(result, "command", "status", "attempts", "message_id")
	return about[0].String() == string(subjects.MessageSend) && about[1].String() == string(subjects.StatusDone) && about[2].Int() == 1 && about[3].String() != ""
}

// doubtful reports whether calls of a command may have made something that the result does not tell of.
func doubtful(r subjects.Result) bool {
	if r.Command != subjects.MessageSend && r.Command != subjects.ConversationStart {
		return false
	}
	return r.Status == subjects.StatusUnknown || r.Attempts > 1 || r.Status == subjects.StatusDone && thing(r.Command, r) == ""
}

// thing is the id of what commands of a kind make.
func thing(kind subjects.Kind, r subjects.Result) string {
	if kind == subjects.ConversationStart {
		return r.ConversationID.String()
	}
	return r.MessageID.String()
}

// of returns those results about a conversation that leave a doubt, and of hand-offs, that were published since a time.
func (f *former) of(ctx context.Context, conversation string, since time.Time) (found []subjects.Result, err error) {
	err = f.reading.upTo(ctx, since, func() { found = resultsSince(f.results[conversation], since) })
	return found, err
}

// startedSince returns the results of commands that started conversations, since a time.
func (f *former) startedSince(ctx context.Context, since time.Time) (found []subjects.Result, err error) {
	err = f.reading.upTo(ctx, since, func() { found = resultsSince(f.started, since) })
	return found, err
}
