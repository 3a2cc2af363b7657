package deadletter

import (
	"context"
	"errors"
	"fmt"
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
func (s *Store) Replay(ctx context.Context, letter Stored) (commandID string, err error) {
	message, err := s.command(letter)
	if err != nil {
		return "", err
	}
	return s.publish(ctx, letter, message)
}

// Replayable returns nil if a letter can be replayed, and else an error that is [ErrNotReplayable].
func (s *Store) Replayable(letter Stored) error {
	_, err := s.command(letter)
	return err
}

func (s *Store) publish(ctx context.Context, letter Stored, message *nats.Msg) (string, error) {
	if _, err := s.js.PublishMsg(ctx, message, jetstream.WithExpectStream(s.names.CommandsStream())); err != nil {
		return "", fmt.Errorf("replay dead letter %d as command %s: %w", letter.Seq, message.Header.Get(subjects.HeaderMsgID), err)
	}
	return message.Header.Get(subjects.HeaderMsgID), nil
}

// command makes the new command. It has the body and the headers of the original, but another id, and no expiry if that has passed: whoever
// replays a command wants it carried out now. Preconditions are kept; they count from the replay on.
func (s *Store) command(letter Stored) (*nats.Msg, error) {
	if letter.Original.Subject == "" {
		return nil, fmt.Errorf("dead letter %d on %s has no original subject: %w", letter.Seq, letter.Subject, ErrNotReplayable)
	}
	if _, _, ok := s.names.ParseCommand(letter.Original.Subject); !ok {
		return nil, fmt.Errorf("dead letter %d came from %s: %w", letter.Seq, letter.Original.Subject, ErrNotReplayable)
	}
	header := keep(letter.Original.Header)
	id := "replay-" + nuid.Next()
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
