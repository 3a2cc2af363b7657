package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	consumerPrefix = "cxbridge-"
	ackWait        = 2 * time.Minute
	pullSize       = 256

	takeOverPatience = 30 * time.Second
)

// ErrTermOver says that the term is over: another bridge has taken over, or what the term knows of the bus does not hold any more.
var ErrTermOver = errors.New("the term of this bridge is over")

func consumerName(epoch uint64) string { return consumerPrefix + strconv.FormatUint(epoch, 10) }

// epochOf returns the epoch of a consumer of ours; anybody else's name is none.
func epochOf(name string) (uint64, bool) {
	digits, found := strings.CutPrefix(name, consumerPrefix)
	epoch, err := strconv.ParseUint(digits, 10, 64)
	return epoch, found && err == nil && consumerName(epoch) == name
}

// position is where a term goes on.
type position struct {
	consumer jetstream.Consumer
	tried    uint64   // sequence up to which an earlier term may have begun commands
	old      []string // consumers of earlier terms, to be deleted
}

// takeOver makes the consumer of this term, beginning where the earlier ones have acknowledged everything, and deletes those afterwards: so a
// bridge that does not know yet that its term is over gets no more commands, and the position is never lost. What the earlier terms
// acknowledged beyond their floor comes once more; the ledger knows it.
func (s *shift) takeOver(ctx context.Context) (*position, error) {
	ctx, cancel := context.WithTimeout(ctx, takeOverPatience)
	defer cancel()
	stream, err := s.js.Stream(ctx, s.stream)
	if err != nil {
		return nil, fmt.Errorf("take over %s: %w", s.stream, err)
	}
	if !stream.CachedInfo().Created.Equal(s.reader.created) { // its sequences begin anew
		return nil, fmt.Errorf("%w: the stream %s was replaced by another one", ErrTermOver, s.stream)
	}
	floor, highest := s.held.floor()
	floor = max(floor, s.floor)
	p := &position{tried: highest}
	if p.old, err = s.earlierConsumers(ctx, stream); err != nil {
		return nil, err
	}
	for _, name := range p.old {
		consumer, err := stream.Consumer(ctx, name)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("position of consumer %s: %w", name, err)
		}
		info := consumer.CachedInfo()
		floor = max(floor, info.AckFloor.Stream)
		p.tried = max(p.tried, info.Delivered.Stream)
	}
	if p.consumer, err = s.create(ctx, floor); err != nil {
		return nil, err
	}
	s.floor = floor // the consumers that told it are deleted now, and this one may have to be replaced before it has a command
	for _, name := range p.old {
		if err := s.js.DeleteConsumer(ctx, s.stream, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, fmt.Errorf("delete consumer %s: %w", name, err)
		}
	}
	return p, nil
}

// earlierConsumers returns the names of the consumers of earlier terms. Only names are listed: a list of consumers leaves out, without a word, those of
// which a cluster has no leader at the moment.
func (s *shift) earlierConsumers(ctx context.Context, stream jetstream.Stream) (old []string, err error) {
	names := stream.ConsumerNames(ctx)
	for name := range names.Name() {
		epoch, ours := epochOf(name)
		switch {
		case !ours:
		case epoch > s.epochNumber:
			err = fmt.Errorf("%w: %s exists", ErrTermOver, name)
		case epoch < s.epochNumber:
			old = append(old, name)
		}
	}
	if names.Err() != nil {
		return nil, fmt.Errorf("list consumers of %s: %w", s.stream, names.Err())
	}
	return old, err
}

// create makes the consumer of this term, or finds it.
func (s *shift) create(ctx context.Context, floor uint64) (jetstream.Consumer, error) {
	config := jetstream.ConsumerConfig{
		Durable: consumerName(s.epochNumber), Description: "Commands of one term of the active bridge",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1, MaxAckPending: s.cfg.MaxPending + pullSize,
		FilterSubject: s.names.Prefix() + ".cmd.*.>", DeliverPolicy: jetstream.DeliverAllPolicy,
	}
	if floor > 0 {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, floor+1
	}
	consumer, err := s.js.CreateConsumer(ctx, s.stream, config)
	if errors.Is(err, jetstream.ErrConsumerExists) { // made by an attempt whose answer was lost
		consumer, err = s.js.Consumer(ctx, s.stream, config.Durable)
	}
	if err != nil {
		return nil, fmt.Errorf("create consumer %s: %w", config.Durable, err)
	}
	return consumer, nil
}

// renew replaces the consumer of this term after deliveries have gone astray: the server would deliver them again only after later ones.
func (s *shift) renew(ctx context.Context) (*position, error) {
	short, cancel := context.WithTimeout(ctx, busPatience)
	defer cancel()
	err := s.js.DeleteConsumer(short, s.stream, consumerName(s.epochNumber))
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, fmt.Errorf("renew consumer: %w", err)
	}
	return s.takeOver(ctx)
}
