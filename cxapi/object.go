package cxapi

import (
	"bytes"
	"encoding/json"
)

// object is a JSON object of an answer, as far as this package reads it.
type object struct {
	ID             loose     `json:"id"`
	ConversationID loose     `json:"conversation_id"`
	ContactID      loose     `json:"contact_id"`
	MessageID      loose     `json:"message_id"`
	WebhookID      loose     `json:"webhook_id"`
	AgentBotID     loose     `json:"agent_bot_id"`
	InboxID        loose     `json:"inbox_id"`
	Name           looseText `json:"name"`
	ChannelType    looseText `json:"channel_type"`
	Secret         looseText `json:"secret"`
	Content        looseText `json:"content"`
	Payload        subtree   `json:"payload"`
	Data           subtree   `json:"data"`
	Result         subtree   `json:"result"`
	Results        subtree   `json:"results"`
	Inboxes        subtree   `json:"inboxes"`
	Message        subtree   `json:"message"`
	Messages       subtree   `json:"messages"`
	Conversation   subtree   `json:"conversation"`
	Contact        subtree   `json:"contact"`
	Webhook        subtree   `json:"webhook"`
	AgentBot       subtree   `json:"agent_bot"`
	Error          subtree   `json:"error"`
	Errors         subtree   `json:"errors"`
}

type subtree = json.RawMessage

// loose is an ID in an answer; what is no ID is as if it were not there.
type loose struct{ ID }

// UnmarshalJSON never fails.
func (l *loose) UnmarshalJSON(raw []byte) error {
	if id, err := ParseID(raw); err == nil {
		l.ID = id
	}
	return nil
}

// looseText is a string in an answer; what is no string is as if it were not there.
type looseText string

// UnmarshalJSON never fails.
func (t *looseText) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, (*string)(t))
	}
	return nil
}

// resource says where in an answer the object of a kind stands.
type resource struct {
	id    func(*object) ID      // its own id, where the object is not simply "id"
	named func(*object) subtree // the member that it may stand in
}

// maxWrapping is how deep in an answer an object is looked for.
const maxWrapping = 4

// find returns the first object with an id of the resource: the answer itself, or one below payload, data, result or
// the name of the resource. nil if there is none.
func (r resource) find(raw []byte) *object {
	return r.findIn(raw, maxWrapping)
}

func (r resource) findIn(raw []byte, depth int) *object {
	o := readObject(raw)
	if o == nil || depth == 0 {
		return nil
	}
	for _, inner := range []subtree{r.named(o), o.Payload, o.Data, o.Result} {
		if found := r.findIn(inner, depth-1); found != nil {
			return found
		}
	}
	if r.idOf(o).IsZero() {
		return nil
	}
	return o
}

func (r resource) idOf(o *object) ID {
	if !o.ID.IsZero() {
		return o.ID.ID
	}
	return r.id(o)
}

// readObject reads a JSON object, or a list of exactly one; nil if it is anything else.
func readObject(raw []byte) *object {
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '[' {
		if list := readList(raw); len(list) == 1 {
			raw = bytes.TrimSpace(list[0])
		}
	}
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	var o object
	if json.Unmarshal(raw, &o) != nil {
		return nil
	}
	return &o
}

// readList reads a JSON list; nil if it is anything else.
func readList(raw []byte) []subtree {
	var list []subtree
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	return list
}

// maxNesting bounds how deep mend looks.
const maxNesting = 64

// mend makes JSON out of the beginning of a JSON text: it drops what is not certainly complete and closes what is open.
func mend(cut []byte) []byte {
	var open, openAtGood []byte
	good, inString, escaped := 0, false, false
	for i, c := range cut {
		if len(open) > maxNesting {
			break
		}
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped, inString = c == '\\', c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			open = append(open, c+2) // the closing bracket is two further in ASCII
			good, openAtGood = i+1, bytes.Clone(open)
		case (c == '}' || c == ']') && len(open) > 0:
			open = open[:len(open)-1]
			good, openAtGood = i+1, bytes.Clone(open)
		case c == ',':
			good, openAtGood = i, bytes.Clone(open)
		}
	}
	mended := bytes.Clone(cut[:good])
	for i := len(openAtGood) - 1; i >= 0; i-- {
		mended = append(mended, openAtGood[i])
	}
	return mended
}
