package subjects

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxID is the length in bytes of the longest id.
const maxID = 256

// ID is an id of the vendor: a JSON number or string, kept and sent on in the form in which it came. The ids 7 and "7" name one thing;
// compare [ID.String]. The zero value is no id.
type ID struct {
	text   string
	number bool
}

// NumberID returns an id that is written as a JSON number.
func NumberID(n int64) ID { return ID{text: strconv.FormatInt(n, 10), number: true} }

// StringID returns an id that is written as a JSON string; the empty string gives no id.
func StringID(s string) ID { return ID{text: s} }

// ParseID reads an id from its JSON form: an integer, or a string that is not empty, has no control characters and is at most 256 bytes
// long.
func ParseID(raw []byte) (ID, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '"' {
		return parseStringID(raw)
	}
	if !integer(raw) {
		return ID{}, fmt.Errorf("must be an integer or a string, not %s", excerpt(raw))
	}
	return ID{text: string(raw), number: true}, nil
}

func parseStringID(raw []byte) (ID, error) {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return ID{}, fmt.Errorf("must be an integer or a string: %w", err)
	}
	if s == "" {
		return ID{}, errors.New("must not be empty")
	}
	if len(s) > maxID {
		return ID{}, fmt.Errorf("must be at most %d bytes long, not %d", maxID, len(s))
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ID{}, fmt.Errorf("must not contain control or broken characters, as %s does", excerpt(raw))
		}
	}
	return ID{text: s}, nil
}

// integer reports whether raw is a JSON integer of at most 20 characters, without exponent, fraction, or a needless zero or sign.
func integer(raw []byte) bool {
	digits := bytes.TrimPrefix(raw, []byte("-"))
	if len(digits) == 0 || len(raw) > 20 || digits[0] == '0' && len(raw) > 1 {
		return false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// String returns the id without quotes.
func (id ID) String() string { return id.text }

// IsZero reports whether there is no id.
func (id ID) IsZero() bool { return id.text == "" }

// IsNumber reports whether the id is written as a JSON number.
func (id ID) IsNumber() bool { return id.number }

// MarshalJSON writes the id in the form in which it came; no id is null.
func (id ID) MarshalJSON() ([]byte, error) {
	switch {
	case id.text == "":
		return []byte("null"), nil
	case id.number:
		return []byte(id.text), nil
	}
	return json.Marshal(id.text)
}

// UnmarshalJSON reads what [ParseID] reads; null is no id.
func (id *ID) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		*id = ID{}
		return nil
	}
	parsed, err := ParseID(raw)
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// excerpt returns the beginning of raw for an error message.
func excerpt(raw []byte) string {
	const most = 40
	if len(raw) == 0 {
		return "nothing"
	}
	if len(raw) <= most {
		return string(bytes.ToValidUTF8(raw, []byte("�")))
	}
	return string(bytes.ToValidUTF8(raw[:most], []byte("�"))) + "…"
}
