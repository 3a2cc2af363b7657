package ledger

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Follow reads claims and outcomes as they are stored, by this bridge or another one, and keeps the last 15 minutes of them in memory for
// [Ledger.EchoOf]. It runs until ctx ends, across restarts of the server, and returns the error of ctx.
func (l *Ledger) Follow(ctx context.Context) error {
	from := time.Now().Add(-outcomesAge)
	var wait pause
	for told := false; ; {
		seen, err := l.follow(ctx, from)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if seen.After(from) {
			from, wait, told = seen, pause{}, false
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

// follow reads until something fails, and returns the time of the last record that was read.
func (l *Ledger) follow(ctx context.Context, from time.Time) (time.Time, error) {
	consumer, err := l.js.OrderedConsumer(ctx, l.stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{l.names.Ledger("claim", "*"), l.names.Ledger("done", "*")},
		DeliverPolicy:  jetstream.DeliverByStartTimePolicy, OptStartTime: &from,
	})
	if err != nil {
		return from, fmt.Errorf("follow the ledger: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return from, fmt.Errorf("follow the ledger: %w", err)
	}
	defer messages.Stop()
	for {
		message, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return from, fmt.Errorf("follow the ledger: %w", err)
		}
		at, err := l.note(message)
		if err != nil {
			return from, err
		}
		from = at
	}
}

// note remembers one record. A record that cannot be read, such as one of a newer bridge, is skipped: it is missing only in memory, where it may be
// missing anyway.
func (l *Ledger) note(message jetstream.Msg) (time.Time, error) {
	meta, err := message.Metadata()
	if err != nil {
		return time.Time{}, fmt.Errorf("follow the ledger: %w", err)
	}
	seq, at := meta.Sequence.Stream, meta.Timestamp
	if strings.HasPrefix(message.Subject(), l.names.Ledger("done", "")) {
		if record, err := read[outcomeRecord](message.Subject(), message.Data()); err == nil {
			l.recent.settled(*record.outcome(seq, at), at)
		}
		return at, nil
	}
	if record, err := read[claimRecord](message.Subject(), message.Data()); err == nil && record.Outcome == nil {
		l.recent.claimed(record.claim(seq, at), at)
	}
	return at, nil
}
