package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// goldenHashes are of bodies whose hashes never change, as they would be stored again.
func goldenHashes() map[string]string {
	return map[string]string{
		`{"event":"contact_updated","id":7}`:                                                   "LPlr5Eh-t7Wo4BZW-44vpA",
		`{"b!":1,"b":[1,-2,{"c":null,"a":true}],"é":"ü","unread_count":3,"":""}`:               "BKDO2Pl_X_gEku9y8ZyJ-A",
		`{"n":9007199254740993,"m":-1,"z":0,"s":"A/é😀"}`:                                       "4-IroE7OM6cHowxHjjFFkA",
		`{"created_at":1700000000.123,"s":"line\nbreak \"quoted\" back\\slash","x":[],"y":{}}`: "9gW3xERSjN5dsqkzV8BSnA",
	}
}

func TestHashesOfUsualBodiesStayWhatTheyWere(t *testing.T) {
	h := setup(t, nil)
	for body, want := range goldenHashes() {
		if got := h.hash([]byte(body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestFormsOfTheSameBodyHaveTheSameHash(t *testing.T) {
	h := setup(t, nil)
	for _, forms := range [][]string{
		{`"A"`, `"\u0041"`}, {`"/"`, `"\/"`, `"\u002f"`, `"\u002F"`}, {`"é"`, `"\u00e9"`, `"\u00E9"`}, {`"😀"`, `"\ud83d\ude00"`, `"\uD83D\uDE00"`},
		{`"\n\t\r\b\f"`, `"\u000a\u0009\u000d\u0008\u000c"`}, {`"\"\\"`, `"\u0022\u005c"`}, {`"\u001f"`, `"\u001F"`}, {`"\ud800"`, `"\uD800"`},
		{`"\ud83d😀"`, `"\ud83d\ud83d\ude00"`},
		{`{"a":1,"b":2}`, `{"\u0062":2,"\u0061":1}`}, {`{"unread_count":1}`, `{}`, `{"unread\u005fcount":2}`}, {`{"a!":1,"a":2}`, `{"\u0061":2,"a\u0021":1}`},
		{`1`, `1.0`, `1e0`, `1E0`, `10e-1`, `0.1e1`, `1.000e+00`}, {`0`, `-0`, `0.0`, `-0.0`, `0e5`, `0e99999999999999999999`}, {`-1`, `-1.0`, `-10E-1`},
		{`0.5`, `5e-1`, `0.50`}, {`1.5`, `15e-1`, `1.50`}, {`100`, `1e2`, `1.0E+2`}, {`9007199254740993`, `9007199254740993.0`, `9.007199254740993e15`},
		{`1e100`, `10e99`, `1` + strings.Repeat("0", 100)}, {`1e-100`, `0.1e-99`}, {`1e64`, `1` + strings.Repeat("0", 64), `1` + strings.Repeat("0", 64) + ".0"},
		{`[1.0,"\u0041"]`, `[1,"A"]`},
	} {
		for _, form := range forms[1:] {
			if h.hash([]byte(form)) != h.hash([]byte(forms[0])) {
				t.Errorf("%s and %s differ", forms[0], form)
			}
		}
	}
}

func TestDifferentBodiesHaveDifferentHashes(t *testing.T) {
	h := setup(t, nil)
	seen := map[string]string{}
	for _, body := range []string{
		`"\ud800"`, `"\ud801"`, `"\udc00"`, `"\ud800\ud800"`, `"\udc00\ud800"`, `"\ufffd"`, `"\\ud800"`, `"ud800"`, `"\ud800A"`, "\"\xed\xa0\x80\"", "\"\xff\"", `"\u0000"`, `""`,
		`"\\u0041"`, `"A"`, `"a"`, `"\\"`, `"\\\\"`, `"\\/"`, `"\\n"`, `"\n"`, `"\\\n"`, `"\","`, `["",""]`, `"1"`, `1`, `"1.0"`, `"1e0"`,
		`9007199254740992`, `9007199254740993`, `9007199254740993.5`, `1.0000000000000000001`, `1.0000000000000000002`, `-1`, `0`, `0.1`, `0.01`, `1e-400`, `1e-401`, `1e400`, `1e401`,
		`1e99999999999999999999`, `1e99999999999999999998`, `-1e99999999999999999999`, `2e99999999999999999999`, `1e-99999999999999999999`, `10`, `1e63`, `1e64`, `1e65`,
		`{"a":"b"}`, `{"a\":\"b":""}`, `{"\u0061\u0022":"b"}`, `{"a":1,"b":2}`, `{"a":2,"b":1}`, `{"a":{"b":1}}`, `true`, `null`, `"true"`,
	} {
		hash := h.hash([]byte(body))
		if other, again := seen[hash]; again {
			t.Errorf("%s and %s have the same hash", body, other)
		}
		seen[hash] = body
	}
}

func TestAShortNumberDoesNotBecomeALongOne(t *testing.T) {
	for _, text := range []string{"1e1000000", "1e-1000000", "1.5e999999999", "1e1152921504606846976", "-1e-9223372036854775808"} {
		if n := len(canonicalNumber([]byte(text))); n > 2*mostDigits {
			t.Errorf("%s has %d bytes", text, n)
		}
	}
}

// The hash does not depend on how a body is written: all characters escaped, all numbers with another exponent, members the other way round.
func FuzzHashOfOtherForms(f *testing.F) {
	for _, body := range []string{incoming, conversation, `{"\u0061":[1.50,-0,1e400,"\ud800\/"],"b":{},"a":"\ud83d\ude00"}`, `[1e-70,123456789.0123e-5]`, `"\\u0041"`} {
		f.Add([]byte(body))
	}
	h := setup(f, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		if !json.Valid(body) || !utf8.Valid(body) {
			return
		}
		hash := h.hash(body)
		if other, ok := rewrite(body); ok && h.hash(other) != hash {
			t.Fatalf("%s and %s differ", body, other)
		}
		again, ok := encodeAgain(body)
		if ok && h.hash(again) != hash {
			t.Fatalf("%s and %s differ", body, again)
		}
	})
}

// encodeAgain returns what encoding/json makes of a body. It reports false for what it changes: names that come twice, and lone surrogates.
func encodeAgain(body []byte) ([]byte, bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, false
	}
	again, err := json.Marshal(v)
	return again, err == nil && !bytes.ContainsRune(again, utf8.RuneError) && !bytes.Contains(again, []byte(`\ufffd`)) && names(again) == names(body)
}

// names counts the members of all objects.
func names(body []byte) (n int) {
	outside := true
	for i := 0; i < len(body); i++ {
		switch {
		case body[i] == '"':
			outside = !outside
		case !outside && body[i] == '\\':
			i++
		case outside && body[i] == ':':
			n++
		}
	}
	return n
}

// rewrite writes a body in another form. It reports false if there is none that is surely the same to encoding/json.
func rewrite(body []byte) ([]byte, bool) {
	again, ok := encodeAgain(body)
	if !ok {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(again))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, false
	}
	return appendOther(nil, v), true
}

func appendOther(out []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		members := make([][]byte, 0, len(v))
		for _, name := range slices.Backward(slices.Sorted(maps.Keys(v))) {
			members = append(members, appendOther(append(appendEscaped(nil, name), " :"...), v[name]))
		}
		return append(append(append(out, '{'), bytes.Join(members, []byte(" , "))...), '}')
	case []any:
		items := make([][]byte, 0, len(v))
		for _, item := range v {
			items = append(items, appendOther(nil, item))
		}
		return append(append(append(out, '['), bytes.Join(items, []byte("\n,"))...), ']')
	case string:
		return appendEscaped(out, v)
	case json.Number:
		return append(out, otherNumber(v.String())...)
	}
	return fmt.Append(out, orNull(v))
}

func orNull(v any) any {
	if v == nil {
		return "null"
	}
	return v
}

func appendEscaped(out []byte, s string) []byte {
	out = append(out, '"')
	for _, r := range s {
		if r >= 0x10000 {
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04X\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		} else {
			out = fmt.Appendf(out, `\u%04X`, r)
		}
	}
	return append(out, '"')
}

// otherNumber moves the point of a number by three digits and mends that by its exponent.
func otherNumber(text string) string {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	e, ok := new(big.Int).SetString(strings.TrimPrefix(exponent, "+"), 10)
	if exponent == "" {
		e, ok = new(big.Int), true
	}
	if !ok || len(exponent) > 18 {
		return text
	}
	if !strings.Contains(mantissa, ".") {
		mantissa += "."
	}
	mantissa += "000"
	at := strings.Index(mantissa, ".")
	moved := mantissa[:at] + mantissa[at+1:at+4] + "." + mantissa[at+4:] + "0"
	sign := ""
	if moved[0] == '-' {
		sign, moved = "-", moved[1:]
	}
	if moved = strings.TrimLeft(moved, "0"); moved[0] == '.' {
		moved = "0" + moved
	}
	return sign + moved + "E" + e.Sub(e, big.NewInt(3)).String()
}

// Numbers have the same hash exactly if they are the same.
func TestNumbersHaveTheSameHashIfTheyAreTheSame(t *testing.T) {
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		x, okA := new(big.Rat).SetString(a)
		y, okB := new(big.Rat).SetString(b)
		if !okA || !okB {
			t.Fatalf("%s or %s is no number", a, b)
		}
		one, two := canonicalNumber([]byte(a)), canonicalNumber([]byte(b))
		if bytes.Equal(one, two) != (x.Cmp(y) == 0) {
			t.Fatalf("%s and %s became %s and %s", a, b, one, two)
		}
		if z, ok := new(big.Rat).SetString(string(one)); !ok || z.Cmp(x) != 0 || !json.Valid(one) {
			t.Fatalf("%s became %s", a, one)
		}
	})
}
