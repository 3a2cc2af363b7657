// Package deadletter keeps what could not be done or understood, whole and with the reason, and lets an operator list, read, replay and
// drop it.
package deadletter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// Letter is a dead letter: the original as it came, and why it ended here.
type Letter struct {
	Subject   string          // where the letter lies; see [subjects.Names.DeadCommand] and [subjects.Names.DeadWebhook]
	Original  Original        // what could not be done or understood
	CommandID string          // empty for a webhook
	Status    subjects.Status // empty for a webhook
	Reason    subjects.Reason
	Detail    string // the reason in one line
	Attempts  int    // calls made at the API
	History   []subjects.Attempt
	FailedAt  time.Time
	Apart     bool // the command id may name another letter, of a command of another kind
}

// Original is a message as it came: headers that begin with "Nats-" are not kept.
type Original struct {
	Subject string // empty for a webhook
	Header  nats.Header
	Data    []byte
}

// Put publishes a letter and waits until it is stored. The same letter put twice is stored once, as long as the stream remembers ids. With
// an error it is not known whether the letter is stored: put it again.
//
// The original is kept whole. Only if the bus does not take a message of that size, because the original nearly had the greatest size that it takes, the
// history is left out, then the headers are cut, and then the body, which the detail tells.
func Put(ctx context.Context, js jetstream.Publisher, names subjects.Names, letter Letter) error {
	err := put(ctx, js, names, letter)
	if tooLarge(err) {
		letter.History = nil
		err = put(ctx, js, names, letter)
	}
	whole, detail := letter.Original.Header, letter.Detail
	for _, shorten := range []func(nats.Header) nats.Header{cutValues, onlyOwn, onlyConditions} {
		if !hasCode(err, codeHeadersTooLarge) {
			break
		}
		letter.Original.Header, letter.Detail = shorten(whole), detail+" (the headers are cut)"
		err = put(ctx, js, names, letter)
	}
	if tooLarge(err) {
		err = putCut(ctx, js, names, letter, err)
	}
	if err != nil {
		return fmt.Errorf("dead letter of %s: %w", letter.name(), err)
	}
	return nil
}

func put(ctx context.Context, js jetstream.Publisher, names subjects.Names, letter Letter) error {
	message, err := letter.message()
	if err != nil {
		return err
	}
	_, err = js.PublishMsg(ctx, message, jetstream.WithExpectStream(names.DeadStream()))
	return err
}

// The server's refusals of a message that is larger than the stream takes, and of one that has more than 64 KiB of headers.
const (
	codeTooLarge        jetstream.ErrorCode = 10054
	codeHeadersTooLarge jetstream.ErrorCode = 10097
)

func tooLarge(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || hasCode(err, codeTooLarge) || hasCode(err, codeHeadersTooLarge)
}

func hasCode(err error, code jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == code
}

// name tells which letter this is, in errors.
func (l Letter) name() string {
	if l.CommandID != "" {
		return "command " + headerID(l.CommandID)
	}
	return "a webhook"
}

// id is the same each time the same letter is put.
func (l Letter) id() string {
	if l.CommandID != "" && l.Apart {
		return "dead-" + l.Subject + "-" + headerID(l.CommandID)
	}
	if l.CommandID != "" {
		return "dead-" + headerID(l.CommandID)
	}
	sum := sha256.Sum256(l.Original.Data)
	return "dead-webhook-" + hex.EncodeToString(sum[:])
}

func (l Letter) message() (*nats.Msg, error) {
	if l.Subject == "" {
		return nil, errors.New("a subject is needed")
	}
	history, err := l.history()
	if err != nil {
		return nil, err
	}
	header := keep(l.Original.Header)
	for name, value := range map[string]string{
		subjects.HeaderMsgID:           l.id(),
		subjects.HeaderCommandID:       headerID(l.CommandID),
		subjects.HeaderStatus:          string(l.Status),
		subjects.HeaderReason:          string(l.Reason),
		subjects.HeaderDetail:          line(l.Detail),
		subjects.HeaderAttempts:        strconv.Itoa(l.Attempts),
		subjects.HeaderHistory:         history,
		subjects.HeaderOriginalSubject: l.Original.Subject,
		subjects.HeaderFailedAt:        subjects.Time{Time: l.FailedAt}.String(),
	} {
		header.Del(name)
		if value != "" {
			header.Set(name, value)
		}
	}
	return &nats.Msg{Subject: l.Subject, Header: header, Data: l.Original.Data}, nil
}

// keep copies headers, those aside that have a meaning to the server.
func keep(header nats.Header) nats.Header {
	kept := make(nats.Header, len(header)+8)
	for name, values := range header {
		if !subjects.OwnedByNATS(name) {
			kept[name] = append([]string(nil), values...)
		}
	}
	return kept
}
