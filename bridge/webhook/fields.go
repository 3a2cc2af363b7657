package webhook

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// field is one of the things that are taken from a body.
type field uint8

const (
	fieldEvent field = iota
	fieldMessageID
	fieldObjectID
	fieldConversationID
	fieldInboxID
	fieldMessageType
	fieldPrivate
	fieldSenderType
	fieldContent
	fieldCount
)

// maxPaths is the largest number of paths that the fields may have together.
const maxPaths = 32

// value is a scalar out of a body.
type value struct {
	kind valueKind
	text string // a string's text, a number as it is written, or true or false
}

type valueKind uint8

const (
	missing valueKind = iota // not there, null, an object or an array
	textValue
	numberValue
	boolValue
)

// found holds the values of all paths, first those at the top of the body, then those below a wrapper.
type found [2 * maxPaths]value

// paths are all configured paths, compiled so that plain ones are found together in one pass over the body.
type paths struct {
	root    node
	special []special           // paths with gjson's further syntax; each costs a pass of its own
	slots   [fieldCount][]uint8 // the slots of each field in the order in which they count
}

type special struct {
	slot uint8
	path string
}

// node is a member or an item to look for.
type node struct {
	name     string
	slots    []uint8 // that take this member's value
	children []node
	below    []uint8 // the slots of all descendants
}

type fieldError struct{ key, rule, value string }

// compileFields returns the paths of the fields.
func compileFields(f Fields) (*paths, *fieldError) {
	p := &paths{}
	next := 0
	for i, each := range []struct{ key, value string }{
		fieldEvent: {"event", f.Event}, fieldMessageID: {"message_id", f.MessageID}, fieldObjectID: {"object_id", f.ObjectID},
		fieldConversationID: {"conversation_id", f.ConversationID}, fieldInboxID: {"inbox_id", f.InboxID},
		fieldMessageType: {"message_type", f.MessageType}, fieldPrivate: {"private", f.Private},
		fieldSenderType: {"sender_type", f.SenderType}, fieldContent: {"content", f.Content},
	} {
		alternatives := strings.Fields(each.value)
		if len(alternatives) == 0 {
			return nil, &fieldError{each.key, "must be a gjson path, or several separated by spaces", each.value}
		}
		for _, path := range alternatives {
			if next == maxPaths {
				return nil, &fieldError{each.key, "has too many paths; all fields together may have " + strconv.Itoa(maxPaths), each.value}
			}
			p.add(path, uint8(next))
			p.slots[i] = append(p.slots[i], uint8(next))
			next++
		}
	}
	p.root.close()
	return p, nil
}

func (p *paths) add(path string, slot uint8) {
	if !plain(path) {
		p.special = append(p.special, special{slot: slot, path: path})
		return
	}
	n := &p.root
	for name := range strings.SplitSeq(path, ".") {
		n = n.child(name)
	}
	n.slots = append(n.slots, slot)
}

// plain reports whether a path consists of nothing but member names, or numbers of items, joined by dots.
func plain(path string) bool {
	return !strings.ContainsAny(path, `\#|@*?()[]{}!:,"'<>=%~`) && !strings.Contains("."+path+".", "..")
}

func (n *node) child(name string) *node {
	for i := range n.children {
		if n.children[i].name == name {
			return &n.children[i]
		}
	}
	n.children = append(n.children, node{name: name})
	return &n.children[len(n.children)-1]
}

func (n *node) close() []uint8 {
	for i := range n.children {
		n.below = append(n.below, n.children[i].close()...)
	}
	return append(append([]uint8{}, n.slots...), n.below...)
}

// walk goes through the members of an object or an array and keeps what the node looks for. Of members that occur twice the last counts,
// as it does to most readers of JSON.
func (n *node) walk(json gjson.Result, at uint8, into *found) {
	json.ForEach(func(key, member gjson.Result) bool {
		name := key.Str
		if key.Type == gjson.Number {
			name = strconv.Itoa(int(key.Num))
		}
		for i := range n.children {
			if c := &n.children[i]; c.name == name {
				c.take(member, at, into)
				break
			}
		}
		return true
	})
}

func (n *node) take(member gjson.Result, at uint8, into *found) {
	for _, slot := range n.slots {
		into[slot+at] = scalar(member)
	}
	for _, slot := range n.below {
		into[slot+at] = value{}
	}
	if len(n.children) > 0 && member.Type == gjson.JSON {
		n.walk(member, at, into)
	}
}

func scalar(r gjson.Result) value {
	switch r.Type {
	case gjson.String:
		return value{kind: textValue, text: r.Str}
	case gjson.Number:
		return value{kind: numberValue, text: r.Raw}
	case gjson.True:
		return value{kind: boolValue, text: "true"}
	case gjson.False:
		return value{kind: boolValue, text: "false"}
	}
	return value{}
}

// find fills in the values of all paths of a body that is a valid JSON object.
func (p *paths) find(json gjson.Result, into *found) {
	json.ForEach(func(key, member gjson.Result) bool {
		for i := range p.root.children {
			if c := &p.root.children[i]; c.name == key.Str {
				c.take(member, 0, into)
				break
			}
		}
		if wrapper(key.Str) && member.IsObject() {
			p.root.walk(member, maxPaths, into)
		}
		return true
	})
	for _, s := range p.special {
		into[s.slot] = scalar(json.Get(s.path))
		into[s.slot+maxPaths] = scalar(json.Get("data." + s.path))
		if into[s.slot+maxPaths].kind == missing {
			into[s.slot+maxPaths] = scalar(json.Get("payload." + s.path))
		}
	}
}

func wrapper(name string) bool { return name == "data" || name == "payload" }

// of returns the value of a field: the first of its paths that the body has, at the top before below a wrapper.
func (p *paths) of(f field, in *found) value {
	for _, at := range [2]uint8{0, maxPaths} {
		for _, slot := range p.slots[f] {
			if v := in[slot+at]; v.kind != missing && v.text != "" {
				return v
			}
		}
	}
	return value{}
}
