package cxsim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
)

// number is an id on the wire: a JSON number or, as a switch, a string.
type number struct {
	n      int64
	quoted bool
}

// MarshalJSON writes the id in the form that was switched on.
func (v number) MarshalJSON() ([]byte, error) {
	text := strconv.AppendInt(nil, v.n, 10)
	if v.quoted {
		text = append(append([]byte{'"'}, text...), '"')
	}
	return text, nil
}

// ident is an id in a request: a JSON number or a string, as the vendor's documentation has both.
type ident struct {
	set bool
	n   int64
}

// UnmarshalJSON takes a number or a string. An id that no object can have becomes -1, which is never found.
func (i *ident) UnmarshalJSON(raw []byte) error {
	raw = bytes.TrimSpace(raw)
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	text := string(raw)
	switch {
	case raw[0] == '"':
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		if text == "" {
			return nil
		}
	case raw[0] != '-' && (raw[0] < '0' || raw[0] > '9'):
		return errors.New("an id is a number or a string")
	}
	i.set = true
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		n = -1
	}
	i.n = n
	return nil
}

// derive makes 32 bytes that depend only on the seed, a purpose and a count.
func derive(seed uint64, purpose string, n int64) []byte {
	input := binary.BigEndian.AppendUint64(nil, seed)
	input = append(input, purpose...)
	input = strconv.AppendInt(append(input, 0), n, 10)
	sum := sha256.Sum256(input)
	return sum[:]
}

func uuidOf(seed uint64, purpose string, n int64) string {
	b := derive(seed, purpose, n)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func secretOf(seed uint64, purpose string, n int64) string {
	return hex.EncodeToString(derive(seed, purpose, n))[:24]
}
