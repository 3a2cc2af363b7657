package deadletter

import (
	"context"
	"fmt"
	"math"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// bounded tells how large a message may be; a [jetstream.JetStream] does.
type bounded interface {
	Conn() *nats.Conn
	Stream(ctx context.Context, name string) (jetstream.Stream, error)
}

// putCut puts a letter, which was refused as too large, with as much of its body as fits. Where the bound is not known, it finds one that is at most an eighth too
// small.
func putCut(ctx context.Context, js jetstream.Publisher, names subjects.Names, letter Letter, refusal error) error {
	bound, err := boundOf(ctx, js, names, refusal)
	if err != nil {
		return err
	}
	size, err := letter.room(names, bound)
	for err == nil && size > 0 {
		if refusal = put(ctx, js, names, letter.cut(size)); !tooLarge(refusal) {
			return refusal
		}
		size -= size/8 + 1
	}
	if err != nil {
		return err
	}
	return refusal
}

// boundOf is the greatest size of a message with its headers, as far as it is known.
func boundOf(ctx context.Context, js jetstream.Publisher, names subjects.Names, refusal error) (int, error) {
	limits, ok := js.(bounded)
	if !ok {
		return math.MaxInt, nil
	}
	bound := int(limits.Conn().MaxPayload())
	if !hasCode(refusal, codeTooLarge) {
		return bound, nil
	}
	stream, err := limits.Stream(ctx, names.DeadStream())
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", names.DeadStream(), err)
	}
	if most := stream.CachedInfo().Config.MaxMsgSize; most > 0 {
		bound = min(bound, int(most))
	}
	return bound, nil
}

// cut is the letter with the beginning of its body.
func (l Letter) cut(size int) Letter {
	l.Detail = fmt.Sprintf("%s (the body is cut: %d of %d bytes)", l.Detail, size, len(l.Original.Data))
	l.Original.Data = l.Original.Data[:size]
	return l
}

// room is how much of the body fits into a message of a greatest size; it is less than the whole.
func (l Letter) room(names subjects.Names, bound int) (int, error) {
	size := len(l.Original.Data) - 1
	for range 3 { // the headers tell the size, and so become shorter with it
		if size <= 0 {
			return 0, nil
		}
		message, err := l.cut(size).message()
		if err != nil {
			return 0, err
		}
		message.Header.Set(jetstream.ExpectedStreamHeader, names.DeadStream())
		around := message.Size() - len(message.Subject) - len(message.Data)
		if around+size == bound {
			break
		}
		size = min(bound-around, len(l.Original.Data)-1)
	}
	return size, nil
}
