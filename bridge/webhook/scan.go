package webhook

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"github.com/tidwall/gjson"
)

// mostDepth is how deep objects and arrays may be nested, as encoding/json has it.
const mostDepth = 10000

// bad is returned instead of a place in a text where the text is not JSON.
const bad = -1

// jsonText is a text that should be JSON. Its methods begin at a place in it, and return the place behind what they found there, or bad. A
// place may be the end of the text. They do not recurse.
type jsonText []byte

// part returns a part of the text; both share the memory, which nobody writes to anymore.
func (t jsonText) part(from, to int) string {
	return unsafe.String(unsafe.SliceData(t[from:to]), to-from)
}

// space passes white space by.
func (t jsonText) space(i int) int {
	for ; i < len(t) && t[i] <= ' '; i++ {
		if c := t[i]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			break
		}
	}
	return i
}

// is reports whether a byte stands at a place.
func (t jsonText) is(i int, c byte) bool { return i < len(t) && t[i] == c }

// skip passes a value by that is in so many objects and arrays, and white space before it.
func (t jsonText) skip(i, depth int) int {
	for open := (nesting{}); ; {
		i = t.space(i)
		if t.is(i, '{') || t.is(i, '[') {
			object := t[i] == '{'
			if depth+open.depth == mostDepth {
				return bad
			}
			if end := t.empty(i); end != bad {
				i = end
			} else {
				open.push(object)
				if i++; object {
					i, _, _ = t.name(i)
				}
				if i == bad {
					return bad
				}
				continue
			}
		} else if i = t.scalar(i); i == bad {
			return bad
		}
		if i = t.close(i, &open); i == bad || open.depth == 0 {
			return i
		}
	}
}

// close passes by what stands behind a value: closing brackets, and then a comma, with the name of the member that follows.
func (t jsonText) close(i int, open *nesting) int {
	for open.depth > 0 {
		i = t.space(i)
		object := open.object()
		switch {
		case t.is(i, ',') && object:
			i, _, _ = t.name(i + 1)
			return i
		case t.is(i, ','):
			return i + 1
		case t.is(i, closing(object)):
			i++
			open.pop()
		default:
			return bad
		}
	}
	return i
}

func closing(object bool) byte {
	if object {
		return '}'
	}
	return ']'
}

// empty passes an object or array by if nothing is in it.
func (t jsonText) empty(i int) int {
	if end := t.space(i + 1); t.is(end, t[i]+2) { // in ASCII, for both kinds of brackets
		return end + 1
	}
	return bad
}

// scalar passes a value by that is neither an object nor an array.
func (t jsonText) scalar(i int) int {
	if i == len(t) {
		return bad
	}
	switch t[i] {
	case '"':
		i, _ = t.str(i)
		return i
	case 't':
		return t.word(i, "true")
	case 'f':
		return t.word(i, "false")
	case 'n':
		return t.word(i, "null")
	}
	return t.number(i)
}

// value passes any value by, and returns it if it is a scalar.
func (t jsonText) value(i, depth int) (int, value) {
	if i = t.space(i); t.is(i, '{') || t.is(i, '[') {
		return t.skip(i, depth), value{}
	}
	end := t.scalar(i)
	if end == bad {
		return bad, value{}
	}
	switch t[i] {
	case '"':
		return end, value{kind: textValue, text: t.unquote(i, end)}
	case 't', 'f':
		return end, value{kind: boolValue, text: t.part(i, end)}
	case 'n':
		return end, value{}
	}
	return end, value{kind: numberValue, text: t.part(i, end)}
}

// name passes the name of a member and its colon by, and white space around them. It also returns where the name stands, with its quotes.
func (t jsonText) name(i int) (end, from, to int) {
	from = t.space(i)
	if !t.is(from, '"') {
		return bad, bad, bad
	}
	if to, _ = t.str(from); to == bad {
		return bad, bad, bad
	}
	if end = t.space(to); !t.is(end, ':') {
		return bad, bad, bad
	}
	return t.space(end + 1), from, to
}

// member passes a name and its colon by and returns the name.
func (t jsonText) member(i int) (end int, name string) {
	end, from, to := t.name(i)
	if end == bad {
		return bad, ""
	}
	return end, t.unquote(from, to)
}

// unquote returns the text of a string that passed the test.
func (t jsonText) unquote(from, to int) string {
	for i := from + 1; i < to; i++ {
		if t[i] == '\\' {
			return gjson.Parse(t.part(from, to)).Str
		}
	}
	return t.part(from+1, to-1)
}

func (t jsonText) word(i int, w string) int {
	if len(t)-i < len(w) || string(t[i:i+len(w)]) != w {
		return bad
	}
	return i + len(w)
}

func (t jsonText) number(i int) int {
	if t.is(i, '-') {
		i++
	}
	if t.is(i, '0') {
		i++
	} else if i = t.digits(i); i == bad {
		return bad
	}
	if t.is(i, '.') {
		if i = t.digits(i + 1); i == bad {
			return bad
		}
	}
	if !t.is(i, 'e') && !t.is(i, 'E') {
		return i
	}
	if i++; t.is(i, '+') || t.is(i, '-') {
		i++
	}
	return t.digits(i)
}

// digits passes at least one digit by.
func (t jsonText) digits(i int) int {
	start := i
	for i < len(t) && t[i]-'0' <= 9 {
		i++
	}
	if i == start {
		return bad
	}
	return i
}

// str passes a string by.
func (t jsonText) str(i int) (end int, escaped bool) {
	for i = t.plain(i + 1); i < len(t); i = t.plain(i) {
		switch t[i] {
		case '"':
			return i + 1, escaped
		case '\\':
			if i = t.escape(i + 1); i == bad {
				return bad, true
			}
			escaped = true
		default:
			return bad, escaped
		}
	}
	return bad, escaped
}

// plain passes by what is neither a quote nor a backslash nor a control character. It looks at eight bytes at once.
func (t jsonText) plain(i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(t); i += 8 {
		x := binary.LittleEndian.Uint64(t[i:])
		quote, backslash := x^ones*'"', x^ones*'\\'
		// The lowest high bit that is set belongs to the first byte below ' ', equal to '"' or equal to '\\'.
		if found := ((x-ones*' ')&^x | (quote-ones)&^quote | (backslash-ones)&^backslash) & highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(t); i++ {
		if c := t[i]; c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// escape passes by what stands behind a backslash.
func (t jsonText) escape(i int) int {
	if i == len(t) {
		return bad
	}
	switch t[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		const length = 5
		if len(t)-i < length {
			return bad
		}
		for _, c := range t[i+1 : i+length] {
			if c-'0' > 9 && (c|0x20)-'a' > 'f'-'a' {
				return bad
			}
		}
		return i + length
	}
	return bad
}

// nesting remembers of all objects and arrays that are open which they are.
type nesting struct {
	depth int
	last  uint64   // a bit each of the last ones, 1 for an object, the innermost lowest
	more  []uint64 // of those before them
}

func (n *nesting) object() bool { return n.last&1 == 1 }

func (n *nesting) push(object bool) {
	if n.depth > 0 && n.depth%64 == 0 {
		n.more = append(n.more, n.last)
	}
	n.depth++
	if n.last <<= 1; object {
		n.last |= 1
	}
}

func (n *nesting) pop() {
	n.depth--
	n.last >>= 1
	if n.depth > 0 && n.depth%64 == 0 {
		n.last, n.more = n.more[len(n.more)-1], n.more[:len(n.more)-1]
	}
}
