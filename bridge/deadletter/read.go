package deadletter

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/subjects"
)

// Stored is a letter in the stream.
type Stored struct {
	Letter
	Seq      uint64    // names the letter
	StoredAt time.Time // by the server's clock
	Damage   error     // the first header that could not be read; what it would have told is zero
}

// own are the headers that a letter adds to those of the original.
func own() []string {
	return []string{
		subjects.HeaderCommandID, subjects.HeaderStatus, subjects.HeaderReason, subjects.HeaderDetail, subjects.HeaderAttempts,
		subjects.HeaderHistory, subjects.HeaderOriginalSubject, subjects.HeaderFailedAt,
	}
}

// parse reads a letter as it lies in the stream. Whoever may publish can put strange letters there; they can be listed and dropped, too.
func parse(subject string, header nats.Header, data []byte, seq uint64, at time.Time) Stored {
	s := Stored{Seq: seq, StoredAt: at, Letter: Letter{
		Subject:   subject,
		CommandID: header.Get(subjects.HeaderCommandID),
		Status:    subjects.Status(header.Get(subjects.HeaderStatus)),
		Reason:    subjects.Reason(header.Get(subjects.HeaderReason)),
		Detail:    header.Get(subjects.HeaderDetail),
		Original:  Original{Subject: header.Get(subjects.HeaderOriginalSubject), Header: keep(header), Data: data},
	}}
	for _, name := range own() {
		s.Original.Header.Del(name)
	}
	s.take(header, subjects.HeaderAttempts, func(text string) (err error) {
		s.Attempts, err = strconv.Atoi(text)
		return err
	})
	s.take(header, subjects.HeaderHistory, func(text string) error { return json.Unmarshal([]byte(text), &s.History) })
	s.take(header, subjects.HeaderFailedAt, func(text string) (err error) {
		s.FailedAt, err = time.Parse(time.RFC3339, text)
		return err
	})
	return s
}

// take reads one header, if it is there.
func (s *Stored) take(header nats.Header, name string, read func(text string) error) {
	text := header.Get(name)
	if text == "" {
		return
	}
	if err := read(text); err != nil && s.Damage == nil {
		s.Damage = fmt.Errorf("dead letter %d: %s: %w", s.Seq, name, err)
	}
}
