package deadletter

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ascii writes what is not ASCII as JSON does, \u00e4. Not all NATS clients read other headers.
func ascii(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < utf8.RuneSelf {
			b.WriteByte(byte(r))
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// line makes one line of ASCII of a text, of a length that fits into a header. It is for people, so that a backslash of its own is not escaped.
func line(text string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		for _, r := range word {
			escaped := ascii(string(r))
			if b.Len()+len(escaped) > maxDetail {
				return b.String() + "..."
			}
			b.WriteString(escaped)
		}
	}
	return b.String()
}
