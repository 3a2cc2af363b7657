package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"slices"

	"github.com/cxbridge/cxbridge/subjects"
)

// eventID returns the stable id of an event: the same for each repeat of it, through whichever endpoint it comes.
func (r *Receiver) eventID(e *event, body []byte) string {
	switch {
	case e.name == subjects.EventMessageCreated && e.messageID != "":
		return subjects.EventID(r.tenant, e.name, e.messageID)
	case e.name == subjects.EventConversationCreated && e.conversationID != "":
		return subjects.EventID(r.tenant, e.name, e.conversationID)
	}
	return subjects.EventID(r.tenant, e.name, e.objectID, r.hash(body))
}

// hash returns a hash of a body that is valid JSON. It does not depend on white space, on the order of members, on the escapes in strings and the
// form of numbers, nor on members that change by themselves between two deliveries of one event.
func (r *Receiver) hash(body []byte) string {
	c := canon{body: body, volatile: r.volatile}
	return bodyHash(c.value())
}

// bodyHash returns a hash of any body.
func bodyHash(body []byte) string {
	sum := sha256.Sum256(body)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// canon reads valid JSON once, from front to back. Objects and arrays become the hash of what is in them, so that the effort does not
// grow with the depth.
type canon struct {
	body     []byte
	at       int
	volatile map[string]bool
	members  []member // of all objects that are being read, the innermost last
}

type member struct{ name, value []byte }

// value returns the canonical form of the value that comes next: that of a scalar, or the hash of an object or array.
func (c *canon) value() []byte {
	c.space()
	switch c.body[c.at] {
	case '{':
		return c.object()
	case '[':
		return c.array()
	case '"':
		return c.text()
	}
	start, number := c.at, c.body[c.at] <= '9'
	for c.at < len(c.body) && !bytes.ContainsRune([]byte(",]} \t\r\n"), rune(c.body[c.at])) {
		c.at++
	}
	if number {
		return canonicalNumber(c.body[start:c.at])
	}
	return c.body[start:c.at]
}

func (c *canon) space() {
	for c.at < len(c.body) && (c.body[c.at] == ' ' || c.body[c.at] == '\t' || c.body[c.at] == '\r' || c.body[c.at] == '\n') {
		c.at++
	}
}

// text returns the canonical form of a string, with its quotes.
func (c *canon) text() []byte {
	start, escaped := c.at, false
	for c.at++; c.body[c.at] != '"'; c.at++ {
		if c.body[c.at] == '\\' {
			escaped = true
			c.at++
		}
	}
	c.at++
	if escaped {
		return canonicalText(c.body[start:c.at])
	}
	return c.body[start:c.at]
}

func (c *canon) array() []byte {
	h := sha256.New()
	h.Write([]byte("["))
	for c.at++; ; c.at++ {
		c.space()
		if c.body[c.at] == ']' {
			break
		}
		h.Write(c.value())
		h.Write([]byte(","))
		c.space()
		if c.body[c.at] == ']' {
			break
		}
	}
	c.at++
	return h.Sum([]byte("["))
}

func (c *canon) object() []byte {
	base := len(c.members)
	for c.at++; ; c.at++ {
		c.space()
		if c.body[c.at] == '}' {
			break
		}
		name := c.text()
		c.space()
		c.at++ // the colon
		v := c.value()
		if !c.volatile[string(name[1:len(name)-1])] {
			c.members = append(c.members, member{name: name, value: v})
		}
		c.space()
		if c.body[c.at] == '}' {
			break
		}
	}
	c.at++
	mine := c.members[base:]
	slices.SortStableFunc(mine, func(a, b member) int { return bytes.Compare(a.name, b.name) })
	h := sha256.New()
	h.Write([]byte("{"))
	for _, m := range mine {
		h.Write(m.name)
		h.Write([]byte(":"))
		h.Write(m.value)
		h.Write([]byte(","))
	}
	c.members = c.members[:base]
	return h.Sum([]byte("{"))
}
