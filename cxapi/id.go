package cxapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// ID is an identifier given out by the API. The vendor shows some of them as JSON numbers and some as strings, so an ID
// remembers which it was and is sent on in the form it came. The zero ID means that there is none. IDs may be compared
// with == when their form does not matter only through [ID.String].
type ID struct {
	text   string
	number bool
}

// maxIDLength bounds the text of an ID; anything longer is no identifier.
const maxIDLength = 256

// NumberID returns the ID that is written as the JSON number n.
func NumberID(n int64) ID { return ID{text: strconv.FormatInt(n, 10), number: true} }

// StringID returns the ID that is written as the JSON string s. StringID("") is the zero ID.
func StringID(s string) ID { return ID{text: s} }

// ParseID reads an ID from a JSON integer or a non-empty JSON string. Anything else, null included, is an error.
func ParseID(raw []byte) (ID, error) {
	raw = bytes.TrimSpace(raw)
	if isInteger(raw) {
		return ID{text: string(raw), number: true}, nil
	}
	if len(raw) == 0 || raw[0] != '"' {
		return ID{}, fmt.Errorf("parse id: want an integer or a string")
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return ID{}, fmt.Errorf("parse id: %w", err)
	}
	if text == "" || len(text) > maxIDLength {
		return ID{}, fmt.Errorf("parse id: want 1 to %d characters", maxIDLength)
	}
	return ID{text: text}, nil
}

// isInteger reports whether raw is a JSON number without fraction and exponent.
func isInteger(raw []byte) bool {
	digits := bytes.TrimPrefix(raw, []byte("-"))
	if len(digits) == 0 || len(digits) > maxIDLength || (digits[0] == '0' && len(digits) > 1) {
		return false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// String returns the text of the ID without quotes, and "" for the zero ID. 7 and "7" have the same text.
func (id ID) String() string { return id.text }

// IsZero reports whether there is no ID.
func (id ID) IsZero() bool { return id.text == "" }

// IsNumber reports whether the ID is written as a JSON number.
func (id ID) IsNumber() bool { return id.number }

// MarshalJSON writes the ID in the form it came; the zero ID is null.
func (id ID) MarshalJSON() ([]byte, error) {
	switch {
	case id.text == "":
		return []byte("null"), nil
	case id.number:
		return []byte(id.text), nil
	default:
		return json.Marshal(id.text)
	}
}

// UnmarshalJSON reads an ID as [ParseID] does; null leaves it as it is.
func (id *ID) UnmarshalJSON(raw []byte) error {
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	parsed, err := ParseID(raw)
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
