package webhook

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// canonicalText returns the one form of a string of valid JSON that stands for all its forms: with its quotes, and with escapes only for quotes,
// backslashes, control characters and halves of surrogate pairs. Strings without a backslash have that form.
func canonicalText(quoted []byte) []byte {
	out := make([]byte, 0, len(quoted))
	for i := 0; i < len(quoted); {
		if quoted[i] != '\\' {
			out = append(out, quoted[i])
			i++
			continue
		}
		if quoted[i+1] != 'u' {
			out = appendShort(out, quoted[i+1])
			i += 2
			continue
		}
		r, length := unescape(quoted[i:])
		out = appendCharacter(out, r)
		i += length
	}
	return out
}

// appendShort appends what stands behind a backslash. Most forms are canonical as they are; a slash needs none.
func appendShort(out []byte, c byte) []byte {
	if c == '/' {
		return append(out, c)
	}
	return append(out, '\\', c)
}

// unescape returns the character that the text, which begins with \u, begins with, and the length of its escape. Half of a pair is returned as
// it is.
func unescape(text []byte) (r rune, length int) {
	const one, pair = len(`\u0000`), 2 * len(`\u0000`)
	r = hexOf(text[2:one])
	if utf16.IsSurrogate(r) && len(text) >= pair && text[one] == '\\' && text[one+1] == 'u' {
		if whole := utf16.DecodeRune(r, hexOf(text[one+2:pair])); whole != utf8.RuneError {
			return whole, pair
		}
	}
	return r, one
}

// hexOf returns the value of four hexadecimal digits.
func hexOf(digits []byte) (r rune) {
	for _, c := range digits {
		switch {
		case c <= '9':
			c -= '0'
		default:
			c = c | 0x20 - 'a' + 10
		}
		r = r<<4 | rune(c)
	}
	return r
}

// appendCharacter appends a character in its canonical form.
func appendCharacter(out []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	switch r {
	case '"', '\\':
		return append(out, '\\', byte(r))
	case '\b':
		return append(out, `\b`...)
	case '\f':
		return append(out, `\f`...)
	case '\n':
		return append(out, `\n`...)
	case '\r':
		return append(out, `\r`...)
	case '\t':
		return append(out, `\t`...)
	}
	if r < ' ' || utf16.IsSurrogate(r) {
		return append(out, '\\', 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
	}
	return utf8.AppendRune(out, r)
}

// mostDigits is how long a number may be in its canonical form without an exponent, so that a short text cannot become a long one.
const mostDigits = 64

// canonicalNumber returns the one form of a number of valid JSON that stands for all its forms. It is exact: numbers that differ in any digit
// stay different. An integer of usual length has that form.
func canonicalNumber(text []byte) []byte {
	if len(text) <= mostDigits && !bytes.ContainsAny(text, ".eE") && !bytes.Equal(text, []byte("-0")) {
		return text
	}
	d, ok := decimalOf(text)
	if !ok {
		return text // An exponent that nothing can be counted with; what is written is the number, too.
	}
	return d.append(nil)
}

// decimal is a number: digits without zeros at either end, times ten to the exponent. Zero has no digits.
type decimal struct {
	negative bool
	digits   []byte
	exponent int64
}

// decimalOf takes a number of valid JSON apart. It reports false if the exponent is beyond all measure.
func decimalOf(text []byte) (d decimal, ok bool) {
	if text[0] == '-' {
		d.negative, text = true, text[1:]
	}
	mantissa, exponent := text, []byte(nil)
	if at := bytes.IndexAny(text, "eE"); at >= 0 {
		mantissa, exponent = text[:at], text[at+1:]
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	digits := append(append(make([]byte, 0, len(mantissa)), whole...), fraction...)
	d.digits = bytes.TrimRight(digits, "0")
	d.exponent = int64(len(digits) - len(d.digits) - len(fraction))
	if d.digits = bytes.TrimLeft(d.digits, "0"); len(d.digits) == 0 {
		return decimal{}, true
	}
	if len(exponent) == 0 {
		return d, true
	}
	const most = 1 << 60 // far more than a body can have digits, and far from where adding up overflows
	e, err := strconv.ParseInt(string(exponent), 10, 64)
	if err != nil || e > most || e < -most {
		return d, false
	}
	d.exponent += e
	return d, true
}

// append appends the canonical form: as people write it, if it is not too long for that.
func (d decimal) append(out []byte) []byte {
	if len(d.digits) == 0 {
		return append(out, '0')
	}
	if d.negative {
		out = append(out, '-')
	}
	n := int64(len(d.digits))
	switch {
	case n > mostDigits || n+d.exponent > mostDigits || d.exponent < -mostDigits:
		out = append(append(out, d.digits...), 'e')
		return strconv.AppendInt(out, d.exponent, 10)
	case d.exponent >= 0:
		out = append(out, d.digits...)
		return append(out, bytes.Repeat([]byte("0"), int(d.exponent))...)
	case n+d.exponent > 0:
		out = append(append(out, d.digits[:n+d.exponent]...), '.')
		return append(out, d.digits[n+d.exponent:]...)
	}
	out = append(append(out, "0."...), bytes.Repeat([]byte("0"), int(-n-d.exponent))...)
	return append(out, d.digits...)
}
