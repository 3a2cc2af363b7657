package command

import (
	"iter"
	"strings"

	"github.com/nats-io/nats.go"
)

// header is the header of a command that is held: names and values in turns, each with the end of a line behind it, which none of them can hold.
// A map would take half a kilobyte.
type header string

func compact(all nats.Header) header {
	var text strings.Builder
	writeHeader(&text, all)
	return header(text.String())
}

func writeHeader(to *strings.Builder, all nats.Header) {
	for name, values := range all {
		for _, value := range values {
			for _, part := range [...]string{name, "\n", value, "\n"} {
				to.WriteString(part)
			}
		}
	}
}

func headerSize(all nats.Header) (size int) {
	for name, values := range all {
		for _, value := range values {
			size += len(name) + len(value) + 2
		}
	}
	return size
}

func (h header) each() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for rest := string(h); rest != ""; {
			var name, value string
			name, rest, _ = strings.Cut(rest, "\n")
			value, rest, _ = strings.Cut(rest, "\n")
			if !yield(name, value) {
				return
			}
		}
	}
}

// Get returns the first value of a name, which is written as it stands in the header; empty if there is none.
func (h header) Get(name string) string {
	for each, value := range h.each() {
		if each == name {
			return value
		}
	}
	return ""
}

// all returns the header as it came.
func (h header) all() nats.Header {
	if h == "" {
		return nil
	}
	all := make(nats.Header)
	for name, value := range h.each() {
		all[name] = append(all[name], value)
	}
	return all
}

// parcel is the message of a command that is held, in one piece: the garbage collector looks at each piece, and there may be 20,000 commands.
type parcel struct {
	text            string // subject, header and body, one behind the other
	subject, header uint32 // where they end
}

// pack makes a parcel of a message, and of the subject to acknowledge it on.
func pack(m delivered) (p parcel, delivery string) {
	reply, subject, all, body := m.Reply(), m.Subject(), m.Headers(), m.Data()
	var text strings.Builder
	text.Grow(len(reply) + len(subject) + headerSize(all) + len(body))
	text.WriteString(reply)
	text.WriteString(subject)
	writeHeader(&text, all)
	p.subject, p.header = uint32(len(subject)), uint32(text.Len()-len(reply))
	text.Write(body)
	whole := text.String()
	p.text = whole[len(reply):]
	return p, whole[:len(reply)]
}

// Subject is where the message was published.
func (p parcel) Subject() string { return p.text[:p.subject] }

// Header is the header as it came.
func (p parcel) Header() header { return header(p.text[p.subject:p.header]) }

// Body is a copy of the body.
func (p parcel) Body() []byte { return []byte(p.text[p.header:]) }

// size is that of the body, in bytes.
func (p parcel) size() int { return len(p.text) - int(p.header) }
