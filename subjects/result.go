package subjects

import (
	"encoding/json"
	"time"
)

// Result is the one final answer to a command.
type Result struct {
	CommandID      string          `json:"command_id"`
	Command        Kind            `json:"command"`
	Status         Status          `json:"status"`
	Reason         Reason          `json:"reason"` // empty if done
	Detail         string          `json:"detail"` // the reason in one line for people
	Tenant         string          `json:"tenant"`
	ConversationID ID              `json:"conversation_id"` // null if not known, as the two below
	MessageID      ID              `json:"message_id"`
	ContactID      ID              `json:"contact_id"`
	Attempts       int             `json:"attempts"`    // calls made at the API
	HTTPStatus     int             `json:"http_status"` // of the last answer of the API; 0 without one
	ReceivedAt     Time            `json:"received_at"` // when the command was stored on the bus
	FinishedAt     Time            `json:"finished_at"`
	Response       json.RawMessage `json:"response"` // what the API answered last, if it was JSON; else null
}

// Attempt is one call of a command at the API, as told in a dead letter's history.
type Attempt struct {
	At         Time   `json:"time"`
	HTTPStatus int    `json:"status"` // 0 without an answer
	Reason     Reason `json:"reason"`
	Detail     string `json:"detail"`
}

// Time is a moment that is written as RFC 3339 in UTC with milliseconds.
type Time struct{ time.Time }

const timeForm = "2006-01-02T15:04:05.000Z07:00"

// String returns the time as it stands in bodies and headers; a zero time is empty.
func (t Time) String() string {
	if t.IsZero() {
		return ""
	}
	u := t.UTC()
	if year := u.Year(); year < 0 || year > 9999 {
		return u.Format(timeForm)
	}
	return write(u)
}

// write does what Format does in a fifth of its time, because each event has one: a time in UTC with four digits of the year.
func write(t time.Time) string {
	text := []byte("0000-00-00T00:00:00.000Z")
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	for _, part := range [...]struct{ end, value int }{
		{4, year}, {7, int(month)}, {10, day}, {13, hour}, {16, minute}, {19, second}, {23, t.Nanosecond() / int(time.Millisecond)},
	} {
		for i := part.end - 1; part.value > 0; i-- {
			text[i] = byte('0' + part.value%10)
			part.value /= 10
		}
	}
	return string(text)
}

// MarshalJSON writes a zero time as null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + t.String() + `"`), nil
}

// UnmarshalJSON reads an RFC 3339 time, or null.
func (t *Time) UnmarshalJSON(raw []byte) error { return t.Time.UnmarshalJSON(raw) }
