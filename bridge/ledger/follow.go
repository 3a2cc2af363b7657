package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// bookmark is where in the stream the reading goes on: behind a sequence, or, if that is 0, at a time.
type bookmark struct {
	seq uint64
	at  time.Time
}

// errOurs says that what comes next in the stream is what this process wrote itself.
var errOurs = errors.New("the records are our own")

// Follow reads claims and outcomes as they are stored by other bridges, and keeps the last 15 minutes of them in memory for
// [Ledger.EchoOf]. While an epoch of this ledger lasts nobody else writes any, so that it only waits for another epoch to begin. It runs until
// ctx ends, across restarts of the server, and returns the error of ctx.
func (l *Ledger) Follow(ctx context.Context) error {
	from := bookmark{at: time.Now().Add(-outcomesAge)}
	var wait pause
	for told := false; ; {
		seen, err := l.follow(ctx, from)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if seen != from {
			from, wait, told = seen, pause{}, false
		}
		if errors.Is(err, errOurs) {
			continue
		}
		if !told {
			l.log.WarnContext(ctx, "reading the ledger is interrupted; echoes are not recognised meanwhile", "error", err)
			told = true
		}
		if err := wait.wait(ctx); err != nil {
			return err
		}
	}
}

// follow reads until something fails, or until what it reads is our own and another epoch has begun after it; it returns where to go on.
func (l *Ledger) follow(ctx context.Context, from bookmark) (bookmark, error) {
	messages, err := l.read(ctx, from, l.names.Ledger("claim", ">"), l.names.Ledger("done", "*"))
	if err != nil {
		return from, err
	}
	defer messages.Stop()
	for {
		message, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return from, fmt.Errorf("follow the ledger: %w", err)
		}
		meta, err := message.Metadata()
		if err != nil {
			return from, fmt.Errorf("follow the ledger: %w", err)
		}
		if own := l.own.Load(); own != nil && meta.Sequence.Stream > own.begun {
			messages.Stop()
			err := l.standBy(ctx, own)
			return bookmark{seq: own.last.Load()}, err
		}
		l.note(message, meta)
		from = bookmark{seq: meta.Sequence.Stream}
	}
}

// standBy waits until another epoch than our own begins, and returns errOurs, or until something fails. What comes before the last of our
// own records is all known then, because no other epoch writes before it has fenced us off.
func (l *Ledger) standBy(ctx context.Context, own *Epoch) error {
	messages, err := l.read(ctx, bookmark{seq: own.first}, own.parts[0].subject)
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		message, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("follow the ledger: %w", err)
		}
		record, err := read[epochRecord](message.Subject(), message.Data())
		if err != nil || record.Epoch != own.number {
			l.own.CompareAndSwap(own, nil)
			return errOurs
		}
	}
}

func (l *Ledger) read(ctx context.Context, from bookmark, subjects ...string) (jetstream.MessagesContext, error) {
	config := jetstream.OrderedConsumerConfig{FilterSubjects: subjects, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from.seq + 1}
	if from.seq == 0 {
		config.DeliverPolicy, config.OptStartSeq, config.OptStartTime = jetstream.DeliverByStartTimePolicy, 0, &from.at
	}
	consumer, err := l.js.OrderedConsumer(ctx, l.stream, config)
	if err != nil {
		return nil, fmt.Errorf("follow the ledger: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("follow the ledger: %w", err)
	}
	return messages, nil
}

// note remembers one record. A record that cannot be read, such as one of a newer bridge, is skipped: it is missing only in memory, where it may be
// missing anyway.
func (l *Ledger) note(message jetstream.Msg, meta *jetstream.MsgMetadata) {
	seq, at := meta.Sequence.Stream, meta.Timestamp
	if strings.HasPrefix(message.Subject(), l.names.Ledger("done", "")) {
		if record, err := read[outcomeRecord](message.Subject(), message.Data()); err == nil {
			l.recent.settled(record.outcome(seq, at), at)
		}
		return
	}
	switch record, err := read[claimRecord](message.Subject(), message.Data()); {
	case err != nil || record.Outcome != nil:
	case record.Released != nil:
		l.recent.released(Claim{CommandID: record.CommandID})
	default:
		l.recent.claimed(record.claim(seq, at), at)
	}
}
