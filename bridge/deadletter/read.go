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
}

// own are the headers that a letter adds to those of the original.
func own() []string {
	return []string{
		subjects.HeaderCommandID, subjects.HeaderStatus, subjects.HeaderReason, subjects.HeaderDetail, subjects.HeaderAttempts,
		subjects.HeaderHistory, subjects.HeaderOriginalSubject, subjects.HeaderFailedAt,
	}
}

// parse reads a letter as it lies in the stream. A header that cannot be read, because somebody else published the letter, is an error only where
// nothing can be told without it; the rest is left out.
func parse(subject string, header nats.Header, data []byte, seq uint64, at time.Time) (Stored, error) {
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
	if text := header.Get(subjects.HeaderAttempts); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return s, fmt.Errorf("dead letter %d: %s: %w", seq, subjects.HeaderAttempts, err)
		}
		s.Attempts = n
	}
	if text := header.Get(subjects.HeaderHistory); text != "" {
		if err := json.Unmarshal([]byte(text), &s.History); err != nil {
			return s, fmt.Errorf("dead letter %d: %s: %w", seq, subjects.HeaderHistory, err)
		}
	}
	if text := header.Get(subjects.HeaderFailedAt); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return s, fmt.Errorf("dead letter %d: %s: %w", seq, subjects.HeaderFailedAt, err)
		}
		s.FailedAt = at
	}
	return s, nil
}
