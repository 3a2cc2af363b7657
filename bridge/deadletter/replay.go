package deadletter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/cxbridge/cxbridge/subjects"
)

// ErrNotReplayable says that a letter is no command, and so cannot be published as one.
var ErrNotReplayable = errors.New("only commands can be replayed")

// Replay publishes the original of a letter as a new command with an id of its own, so that it is carried out although the ledger knows the
// original, and returns that id. The error is [ErrNotReplayable] for a letter that is no command; with any other it is not known whether the command was
// published.
//
// A letter is replayed and then dropped; it has one id for that, so that whoever does not know whether it was replayed can do so again: the command is
// carried out once. With keep the letter is to stay, and each replay is a command of its own.
func (s *Store) Replay(ctx context.Context, letter Stored, keep bool) (commandID string, err error) {
	message, err := s.command(letter, keep)
	if err != nil {
		return "", err
	}
	return s.publish(ctx, letter, message)
}

// Replayable returns nil if a letter can be replayed, and else an error that is [ErrNotReplayable].
func (s *Store) Replayable(letter Stored) error {
	_, err := s.command(letter, false)
	return err
}

// replayTries is how often a command is published whose acknowledgement does not come; the id makes it one command.
const replayTries = 3

func (s *Store) publish(ctx context.Context, letter Stored, message *nats.Msg) (string, error) {
	id := message.Header.Get(subjects.HeaderMsgID)
	for try := 1; ; try++ {
		_, err := s.js.PublishMsg(ctx, message, jetstream.WithExpectStream(s.names.CommandsStream()))
		if err == nil {
			return id, nil
		}
		var refused *jetstream.APIError
		if try == replayTries || ctx.Err() != nil || errors.As(err, &refused) {
			return "", fmt.Errorf("replay dead letter %d as command %s: %w", letter.Seq, id, err)
		}
	}
}

// replayID is the id of a replay. The time tells letters apart that had the same number in streams one after the other.
func replayID(letter Stored, keep bool) string {
	if keep {
		return "replay-" + nuid.Next()
	}
	return fmt.Sprintf("replay-%d-%s", letter.Seq, strconv.FormatInt(letter.StoredAt.UnixNano(), 36))
}

// command makes the new command. It has the body and the headers of the original, but another id, and no expiry if that has passed: whoever
// replays a command wants it carried out now. Preconditions are kept; they count from the replay on.
func (s *Store) command(letter Stored, stays bool) (*nats.Msg, error) {
	if letter.Original.Subject == "" {
		return nil, fmt.Errorf("dead letter %d on %s has no original subject: %w", letter.Seq, letter.Subject, ErrNotReplayable)
	}
	if _, _, ok := s.names.ParseCommand(letter.Original.Subject); !ok {
		return nil, fmt.Errorf("dead letter %d came from %s: %w", letter.Seq, letter.Original.Subject, ErrNotReplayable)
	}
	header := keep(letter.Original.Header)
	id := replayID(letter, stays)
	header.Set(subjects.HeaderMsgID, id)
	if header.Get(subjects.HeaderCEID) != "" {
		header.Set(subjects.HeaderCEID, id)
	}
	header.Del(subjects.HeaderReplayOf)
	if letter.CommandID != "" {
		header.Set(subjects.HeaderReplayOf, letter.CommandID)
	}
	if expires, err := time.Parse(time.RFC3339, header.Get(subjects.HeaderExpiresAt)); err == nil && !expires.After(s.now()) {
		header.Del(subjects.HeaderExpiresAt)
	}
	return &nats.Msg{Subject: letter.Original.Subject, Header: header, Data: letter.Original.Data}, nil
}
