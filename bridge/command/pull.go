package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	pullLeast     = 256 // not less, as a pull costs a round trip and a subscription
	pullExpiry    = 20 * time.Second
	pullHeartbeat = 5 * time.Second
	maxStalls     = 3
	pullLook      = time.Second // how often the pulling looks whether it may go on, unless it is told
)

var (
	errAstray = errors.New("deliveries have gone astray")
	errGone   = errors.New("the consumer is gone")
	errStuck  = errors.New("the consumer of the term cannot be used")
)

// pulling takes messages from the consumer of a term into the lanes.
type pulling struct {
	*shift
	at       *position
	expected uint64    // sequence in the consumer of the next delivery
	stalls   int       // pulls in a row that brought nothing although commands wait
	worked   time.Time // when the consumer could be used last
}

// pull runs until ctx ends or the term is over, whatever happens to the consumer. If that cannot be used for long although its stream can, it is
// errStuck: the next term has another one.
func (s *shift) pull(ctx context.Context) error {
	p := &pulling{shift: s, worked: time.Now()}
	var trouble trouble
	for ctx.Err() == nil {
		err := p.round(ctx)
		switch {
		case err == nil:
			trouble.over()
			p.worked = time.Now()
			continue
		case errors.Is(err, ErrTermOver) || ctx.Err() != nil:
			return err
		case errors.Is(err, errAstray) || errors.Is(err, errGone):
			s.log.Info("the command consumer is renewed", "cause", err.Error())
			p.at, err = s.renew(ctx)
			p.expected = 1
			if err == nil {
				p.worked = time.Now()
				continue
			}
			p.at = nil
			if errors.Is(err, ErrTermOver) {
				return err
			}
		}
		s.complain("commands cannot be pulled", err)
		if time.Since(p.worked) > s.stuckLimit && s.streamAnswers(ctx) {
			return fmt.Errorf("%w: %w", errStuck, err)
		}
		pause(ctx, trouble.next())
	}
	return nil
}

func (s *shift) streamAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	_, err := s.js.Stream(ctx, s.stream)
	return err == nil
}

// round makes sure that there is a consumer, and pulls once.
func (p *pulling) round(ctx context.Context) error {
	if p.at == nil {
		at, err := p.takeOver(ctx)
		if err != nil {
			return err
		}
		p.at, p.expected = at, 1
		info := at.consumer.CachedInfo()
		if info.Delivered.Consumer > 0 { // from an attempt whose answer was lost
			return errAstray
		}
		p.ready()
	}
	room := p.room()
	if room == 0 {
		p.idle(ctx)
		return nil
	}
	return p.batch(ctx, room)
}

// room is how many messages may be pulled now.
func (p *pulling) room() int {
	if _, shut := p.gate.shut(); shut || p.held.full() {
		return 0
	}
	room := min(p.cfg.MaxPending-p.held.len(), pullSize)
	if room < p.cfg.leastPull() {
		return 0
	}
	return room
}

// leastPull is how many messages are pulled at once at least.
func (c Config) leastPull() int { return max(min(c.MaxPending/4, pullLeast), 1) }

// idle waits until there may be room.
func (p *pulling) idle(ctx context.Context) {
	timer := time.NewTimer(pullLook)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-p.held.changed:
	case <-timer.C:
	}
}

// batch pulls and takes in what comes. Each pull ends after a while and is followed by a look at the consumer if it brought nothing: that
// is the watchdog for a consumer that has gone silent.
func (p *pulling) batch(ctx context.Context, room int) error {
	patience, cancel := context.WithTimeout(ctx, pullExpiry)
	defer cancel()
	taken, err := p.fetch(patience, room)
	switch {
	case errors.Is(err, errAstray):
		return err
	case ctx.Err() != nil:
		return nil
	case taken > 0 && err == nil:
		p.stalls = 0
		return nil
	}
	return p.inspect(ctx, err)
}

// take submits one message to its lane. Deliveries are numbered by the server, so that a missing one is seen at once: nothing behind it may
// be taken, as it may be an earlier command of the same conversation.
func (p *pulling) take(m delivered) error {
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	if meta.Sequence.Consumer != p.expected {
		return fmt.Errorf("%w: expected number %d, got %d", errAstray, p.expected, meta.Sequence.Consumer)
	}
	p.expected++
	if p.at.known.done(meta.Sequence.Stream, meta.Timestamp) { // the ledger need not be asked, and may have forgotten it
		return p.conn.Publish(m.Reply(), []byte(answerDone))
	}
	p.submit(m, meta, meta.NumDelivered > 1 || meta.Sequence.Stream <= p.at.tried)
	return nil
}

// inspect finds out what is the matter with a consumer that brought nothing, or an error.
func (p *pulling) inspect(ctx context.Context, cause error) error {
	if errors.Is(cause, jetstream.ErrConsumerDeleted) || errors.Is(cause, jetstream.ErrConsumerNotFound) {
		return errGone
	}
	ctx, cancel := context.WithTimeout(ctx, busPatience)
	defer cancel()
	info, err := p.at.consumer.Info(ctx)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return errGone
	case err != nil:
		return errors.Join(cause, err)
	case info.Delivered.Consumer+1 != p.expected:
		return fmt.Errorf("%w: expected number %d, %d were sent", errAstray, p.expected, info.Delivered.Consumer)
	case info.NumPending == 0:
		p.stalls = 0
		return nil
	}
	if p.stalls++; p.stalls >= maxStalls {
		p.stalls = 0
		return fmt.Errorf("%w: %d commands wait and none is sent", errAstray, info.NumPending)
	}
	return nil
}

// trouble is a series of failures, with a pause that grows.
type trouble struct{ failures int }

func (t *trouble) next() time.Duration {
	t.failures++
	return min(50*time.Millisecond<<min(t.failures-1, 7), 5*time.Second)
}

func (t *trouble) over() { t.failures = 0 }

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
