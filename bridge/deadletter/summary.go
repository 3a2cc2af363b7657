package deadletter

import (
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/subjects"
)

// Summary is what lists tell of a letter: no body and no headers, which may hold personal data.
type Summary struct {
	Sequence        uint64          `json:"sequence"` // names the letter
	Subject         string          `json:"subject"`
	OriginalSubject string          `json:"original_subject,omitempty"`
	CommandID       string          `json:"command_id,omitempty"`
	Status          subjects.Status `json:"status,omitempty"`
	Reason          subjects.Reason `json:"reason"`
	Detail          string          `json:"detail,omitempty"`
	Attempts        int             `json:"attempts"`
	FailedAt        subjects.Time   `json:"failed_at"`
	StoredAt        subjects.Time   `json:"stored_at"`
	Damage          string          `json:"damage,omitempty"` // what of the letter could not be read
}

// Summary tells of the letter without its original.
func (s Stored) Summary() Summary {
	summary := Summary{
		Sequence: s.Seq, Subject: s.Subject, OriginalSubject: s.Original.Subject, CommandID: s.CommandID, Status: s.Status, Reason: s.Reason,
		Detail: s.Detail, Attempts: s.Attempts, FailedAt: subjects.Time{Time: s.FailedAt}, StoredAt: subjects.Time{Time: s.StoredAt},
	}
	if s.Damage != nil {
		summary.Damage = s.Damage.Error()
	}
	return summary
}

// Document is a whole letter.
type Document struct {
	Summary
	History []subjects.Attempt `json:"history"`
	Headers nats.Header        `json:"headers"`               // of the original
	Size    int                `json:"body_bytes"`            // of the original
	Body    *string            `json:"body,omitempty"`        // of the original, if it is text
	Base64  []byte             `json:"body_base64,omitempty"` // of the original, if it is no text
}

// Document tells of the whole letter, or all but its body.
func (s Stored) Document(body bool) Document {
	d := Document{Summary: s.Summary(), History: s.History, Headers: s.Original.Header, Size: len(s.Original.Data)}
	if d.History == nil {
		d.History = []subjects.Attempt{}
	}
	switch {
	case !body:
	case utf8.Valid(s.Original.Data):
		text := string(s.Original.Data)
		d.Body = &text
	default:
		d.Base64 = s.Original.Data
	}
	return d
}
