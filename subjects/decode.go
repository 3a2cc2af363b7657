package subjects

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MalformedError tells why a command is malformed.
type MalformedError struct {
	Kind   Kind
	Member string // the member of the body that is wrong; empty if it is the body itself
	Rule   string // what is asked for, and what was found
}

func (e *MalformedError) Error() string {
	if e.Member == "" {
		return fmt.Sprintf("%s: %s", e.Kind, e.Rule)
	}
	return fmt.Sprintf("%s: %s: %s", e.Kind, e.Member, e.Rule)
}

// Decode reads the body of a command. It is strict: a UTF-8 JSON object with all members that the kind needs, of the right types, each
// once, and none that the kind does not have. The error is always a [*MalformedError].
func Decode(k Kind, body []byte) (Command, error) {
	if !k.Known() {
		return Command{}, &MalformedError{Kind: k, Rule: "there is no such command; there are " + kindList()}
	}
	members, err := readObject(body)
	if err != nil {
		return Command{}, &MalformedError{Kind: k, Rule: err.Error()}
	}
	d := &decoder{members: members}
	c := Command{Kind: k, Tenant: d.text("tenant_domain", optional)}
	switch k {
	case MessageSend:
		c.Message = d.sendMessage()
	case ConversationStart:
		c.Start = d.startConversation()
	case ConversationHandoff, ConversationFinish:
		c.Conversation = &ConversationRef{ConversationID: d.id("conversation_id", required)}
	case ContactCreate:
		c.Contact = &CreateContact{InboxID: d.id("inbox_id", required), ContactDetails: d.contactDetails()}
	}
	d.rest()
	if d.err != nil {
		d.err.Kind = k
		return Command{}, d.err
	}
	return c, nil
}

// ConversationIn returns the conversation_id of a body that may be no command: a JSON object, which has that member once and well formed. It returns no
// id if the body has none.
func ConversationIn(body []byte) (id ID) {
	if !json.Valid(body) {
		return ID{}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return ID{}
	}
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		if err == nil && name != "conversation_id" {
			continue
		}
		if err != nil || !id.IsZero() {
			return ID{}
		}
		if id, err = ParseID(value); err != nil {
			return ID{}
		}
	}
	return id
}

func kindList() string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// readObject reads a JSON object into its members, which are parts of the body, and refuses what encoding/json would let pass: invalid
// UTF-8, and a member that occurs twice.
func readObject(body []byte) (members, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("the body must be UTF-8")
	}
	rest := bytes.TrimSpace(body)
	if len(rest) == 0 || rest[0] != '{' {
		return nil, errors.New("the body must be a JSON object")
	}
	if !json.Valid(body) {
		return nil, invalid(body)
	}
	all := make(members, 0, usual)
	for rest = bytes.TrimSpace(rest[1:]); rest[0] != '}'; {
		end := extent(rest)
		name, err := rawText(rest[:end])
		if err != nil {
			return nil, fmt.Errorf("the body must be a JSON object: %w", err)
		}
		rest = bytes.TrimSpace(rest[end:])
		rest = bytes.TrimSpace(rest[1:]) // behind the colon
		end = extent(rest)
		if all.find(name) >= 0 {
			return nil, fmt.Errorf("the member %q occurs twice", name)
		}
		if len(all) == most {
			return nil, fmt.Errorf("there are more than %d members", most)
		}
		all = append(all, member{name, json.RawMessage(rest[:end:end])})
		rest = bytes.TrimSpace(rest[end:])
		if rest[0] == ',' {
			rest = bytes.TrimSpace(rest[1:])
		}
	}
	return all, nil
}

// How many members an object has in most cases, and at most, far more than any command has.
const (
	usual = 4
	most  = 64
)

// members are those of an object, in their order. Commands have so few that a map would cost more.
type members []member

type member struct {
	name  []byte
	value json.RawMessage
}

// find returns the place of a member; -1 if it is not there.
func (m members) find(name []byte) int {
	return slices.IndexFunc(m, func(each member) bool { return bytes.Equal(each.name, name) })
}

// invalid tells what is wrong with a body that begins like an object and is not valid.
func invalid(body []byte) error {
	var first json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&first); err != nil {
		return fmt.Errorf("the body must be a JSON object: %w", err)
	}
	return errors.New("nothing may follow the JSON object")
}

// extent returns the length of the value that valid JSON begins with.
func extent(valid []byte) int {
	depth := 0
	for i := 0; i < len(valid); i++ {
		switch valid[i] {
		case '"':
			for i++; valid[i] != '"'; i++ {
				if valid[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 { // behind a number or a word
				return i
			}
			if depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(valid)
}

// unquote returns the text of a JSON string, or the error of something else.
func unquote(valid []byte) (string, error) {
	text, err := rawText(valid)
	return string(text), err
}

// rawText is unquote without a copy, if there is nothing to decode, as in most.
func rawText(valid []byte) ([]byte, error) {
	if valid[0] == '"' && bytes.IndexByte(valid, '\\') < 0 {
		return valid[1 : len(valid)-1], nil
	}
	var text string
	err := json.Unmarshal(valid, &text)
	return []byte(text), err
}

const (
	required = true
	optional = false
)

// decoder takes members out of an object one after the other and keeps the first error.
type decoder struct {
	members members
	within  string // name of the object that is read, for errors
	err     *MalformedError
}

func (d *decoder) fail(member, rule string, args ...any) {
	if d.err == nil {
		d.err = &MalformedError{Member: d.within + member, Rule: fmt.Sprintf(rule, args...)}
	}
}

// take removes a member and returns its value; null counts as missing.
func (d *decoder) take(member string, need bool) (json.RawMessage, bool) {
	if i := d.members.find([]byte(member)); i >= 0 {
		value := d.members[i].value
		d.members = slices.Delete(d.members, i, i+1)
		if string(value) != "null" {
			return value, true
		}
	}
	if need {
		d.fail(member, "is missing")
	}
	return nil, false
}

func (d *decoder) text(member string, need bool) string {
	value, ok := d.take(member, need)
	if !ok {
		return ""
	}
	s, err := unquote(value)
	if err != nil {
		d.fail(member, "must be a string, not %s", describe(value))
		return ""
	}
	if s == "" {
		d.fail(member, "must not be empty")
	}
	return s
}

// describe tells what a value is without telling what is in it, as that may be what people wrote.
func describe(value json.RawMessage) string {
	switch value[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "true or false"
	}
	return "a number"
}

func (d *decoder) id(member string, need bool) ID {
	value, ok := d.take(member, need)
	if !ok {
		return ID{}
	}
	id, err := ParseID(value)
	if err != nil {
		d.fail(member, "%s", err)
	}
	return id
}

func (d *decoder) integer(member string) *int64 {
	value, ok := d.take(member, optional)
	if !ok {
		return nil
	}
	var n int64
	if err := json.Unmarshal(value, &n); err != nil || !integer(bytes.TrimSpace(value)) {
		d.fail(member, "must be an integer, not %s", excerpt(value))
		return nil
	}
	return &n
}

func (d *decoder) sendMessage() *SendMessage {
	m := &SendMessage{ConversationID: d.id("conversation_id", required), Content: d.text("content", required), MessageType: Outgoing}
	if t := d.text("message_type", optional); t == Incoming || t == Outgoing {
		m.MessageType = t
	} else if t != "" {
		d.fail("message_type", "must be %q or %q, not %q", Outgoing, Incoming, t)
	}
	return m
}

func (d *decoder) startConversation() *StartConversation {
	s := &StartConversation{
		InboxID: d.id("inbox_id", required), ContactID: d.id("contact_id", optional), SourceID: d.text("source_id", optional),
		Contact: d.contact(), Priority: d.integer("priority"), InitialMessage: d.text("initial_message", optional),
	}
	switch {
	case s.Contact != nil && (!s.ContactID.IsZero() || s.SourceID != ""):
		d.fail("contact", "must not stand beside contact_id and source_id")
	case s.Contact == nil && s.ContactID.IsZero():
		d.fail("contact_id", "is missing: give contact_id and source_id, or contact")
	case s.Contact == nil && s.SourceID == "":
		d.fail("source_id", "is missing: give contact_id and source_id, or contact")
	}
	return s
}

// contact reads the object of a conversation.start that describes a new contact.
func (d *decoder) contact() *ContactDetails {
	value, ok := d.take("contact", optional)
	if !ok {
		return nil
	}
	members, err := readObject(value)
	if err != nil {
		d.fail("contact", "must be a JSON object: %s", err)
		return nil
	}
	inner := &decoder{members: members, within: "contact."}
	details := inner.contactDetails()
	inner.rest()
	if d.err == nil {
		d.err = inner.err
	}
	return &details
}

func (d *decoder) contactDetails() ContactDetails {
	c := ContactDetails{Name: d.text("name", required), Email: d.text("email", optional), PhoneNumber: d.text("phone_number", optional)}
	if d.err == nil && c.Email == "" && c.PhoneNumber == "" {
		d.fail("email", "is missing: give email or phone_number")
	}
	return c
}

// rest refuses members that nobody took.
func (d *decoder) rest() {
	var names []string
	for _, m := range d.members {
		names = append(names, string(m.name))
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	d.fail(names[0], "is not a member of this command")
}
