package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	lookPatience     = 2 * time.Second // for one of the consumers of earlier terms
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
	known    written  // what was written down
	floor    uint64   // sequence up to which all is done with
	tried    uint64   // sequence up to which an earlier term may have begun commands
	old      []string // consumers of earlier terms, to be deleted
	silent   []string // of them, those that do not answer
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
	p, err := s.locate(ctx, stream)
	if err != nil {
		return nil, err
	}
	if err := s.writePosition(ctx, progressed{floor: p.floor}); err != nil { // before there is a consumer: whoever finds that finds this
		return nil, err
	}
	if p.consumer, err = s.create(ctx, p.floor); err != nil {
		return nil, err
	}
	s.floor = p.floor // the consumers that told it are deleted now, and this one may have to be replaced before it has a command
	for _, name := range p.old {
		if slices.Contains(p.silent, name) {
			continue
		}
		if err := s.js.DeleteConsumer(ctx, s.stream, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, fmt.Errorf("delete consumer %s: %w", name, err)
		}
	}
	s.leftover.Store(len(p.silent) > 0)
	return p, nil
}

// locate finds out where the term goes on: where the consumers of earlier terms are. One that has no leader tells nothing, perhaps for as long as a
// server is away; after a while the position that its term has written down will do.
func (s *shift) locate(ctx context.Context, stream jetstream.Stream) (*position, error) {
	known, revision, err := s.believed(ctx, stream)
	if err != nil {
		return nil, err
	}
	floor, highest := s.held.floor()
	p := &position{known: known, floor: max(floor, s.floor), tried: max(highest, s.tried)}
	if p.old, err = s.earlierConsumers(ctx, stream); err != nil {
		return nil, err
	}
	told, covered, silence := s.consult(ctx, stream, p)
	last, own := stream.CachedInfo().State.LastSeq, max(highest, s.floor)
	doubt := silence
	if end := max(own, known.Floor, known.Highest); end > last {
		doubt = errors.Join(doubt, fmt.Errorf("the stream %s ends at %d, and had %d", s.stream, last, end))
	}
	switch {
	case doubt == nil:
		s.silence = time.Time{}
	case !s.silent() || !covered:
		return nil, doubt
	case own > last:
		return nil, fmt.Errorf("%w: %w", ErrTermOver, doubt)
	default:
		if max(known.Floor, known.Highest) > last { // of a stream that lost its end, or was restored: the numbers are given again
			s.disbelieved.Store(revision)
			p.known = known.forget()
		}
		s.log.Warn("an earlier term cannot be asked for its position; the one that is written down is used", "position", p.known.Floor, "error", doubt.Error())
	}
	if !told {
		p.floor = max(p.floor, p.known.Floor)
	}
	if silence != nil || !told && known.Epoch > 0 && known.Epoch < s.epochNumber {
		p.tried = max(p.tried, last)
	}
	s.tried = p.tried
	return p, nil
}

// silent reports whether it has been tried for long enough to learn where an earlier term was.
func (s *shift) silent() bool {
	if s.silence.IsZero() {
		s.silence = time.Now()
	}
	return time.Since(s.silence) >= s.silenceLimit
}

// consult asks the consumers of earlier terms for their positions. It tells whether one of the term that wrote its position down last, or of a later one, has
// answered, and whether what is written down covers those that have not.
func (s *shift) consult(ctx context.Context, stream jetstream.Stream, p *position) (told, covered bool, silence error) {
	covered = true
	for _, name := range p.old {
		info, err := s.look(ctx, stream, name)
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound):
		case err != nil:
			p.silent, silence = append(p.silent, name), errors.Join(silence, fmt.Errorf("position of consumer %s: %w", name, err))
			covered = covered && p.known.covers(name, s.reader.created)
		default:
			p.floor, p.tried = max(p.floor, info.AckFloor.Stream), max(p.tried, info.Delivered.Stream)
			epoch, _ := epochOf(name)
			told = told || epoch >= p.known.Epoch
		}
	}
	return told, covered, silence
}

// look asks for the state of a consumer.
func (s *shift) look(ctx context.Context, stream jetstream.Stream, name string) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	consumer, err := stream.Consumer(ctx, name)
	if err != nil {
		return nil, err
	}
	return consumer.CachedInfo(), nil
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

// sweep deletes the consumers of earlier terms that did not answer at the take-over.
func (s *shift) sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, takeOverPatience)
	defer cancel()
	stream, err := s.js.Stream(ctx, s.stream)
	if err != nil {
		return fmt.Errorf("delete consumers of earlier terms: %w", err)
	}
	old, err := s.earlierConsumers(ctx, stream)
	if err != nil {
		return err
	}
	for _, name := range old {
		bounded, cancel := context.WithTimeout(ctx, lookPatience)
		err := s.js.DeleteConsumer(bounded, s.stream, name)
		cancel()
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("delete consumer %s: %w", name, err) // one without a leader goes without an answer, and is not listed any more the next time
		}
	}
	s.leftover.Store(false)
	return nil
}

// create makes the consumer of this term, or finds it.
func (s *shift) create(ctx context.Context, floor uint64) (jetstream.Consumer, error) {
	config := jetstream.ConsumerConfig{
		Durable: consumerName(s.epochNumber), Description: "Commands of one term of the active bridge",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1, MaxAckPending: s.cfg.MaxPending + pullSize,
		FilterSubject: s.commands(), DeliverPolicy: jetstream.DeliverAllPolicy,
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
