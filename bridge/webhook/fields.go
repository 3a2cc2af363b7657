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

// walk passes the object or array that stands at i by and keeps what the node looks for in it. Of members that occur twice the last counts,
// as it does to most readers of JSON.
func (n *node) walk(t jsonText, i, depth int, at uint8, into *found) int {
	if end := t.empty(i); end != bad {
		return end
	}
	object := t[i] == '{'
	i++
	for item := 0; i != bad; item++ {
		var name string
		if object {
			if i, name = t.member(i); i == bad {
				return bad
			}
		} else {
			name = strconv.Itoa(item)
		}
		if i = n.look(t, i, depth+1, name, at, into); i == bad {
			return bad
		}
		switch i = t.space(i); {
		case t.is(i, ','):
			i++
		case t.is(i, closing(object)):
			return i + 1
		default:
			return bad
		}
	}
	return bad
}

// look passes a member or item by, and keeps it if the node looks for one of its name.
func (n *node) look(t jsonText, i, depth int, name string, at uint8, into *found) int {
	for j := range n.children {
		if c := &n.children[j]; c.name == name {
			return c.take(t, i, depth, at, into)
		}
	}
	return t.skip(i, depth)
}

// take passes the member that stands at i by and keeps it.
func (n *node) take(t jsonText, i, depth int, at uint8, into *found) int {
	for _, slot := range n.below {
		into[slot+at] = value{}
	}
	if i = t.space(i); len(n.children) > 0 && depth < mostDepth && (t.is(i, '{') || t.is(i, '[')) {
		n.keep(value{}, at, into)
		return n.walk(t, i, depth, at, into)
	}
	end, v := t.value(i, depth)
	n.keep(v, at, into)
	return end
}

func (n *node) keep(v value, at uint8, into *found) {
	for _, slot := range n.slots {
		into[slot+at] = v
	}
}

// find passes the object that stands at i by and fills in the values of all paths.
func (p *paths) find(t jsonText, i int, into *found) int {
	if end := t.empty(i); end != bad {
		return end
	}
	start := i
	for i++; ; i++ {
		var name string
		if i, name = t.member(i); i == bad {
			return bad
		}
		value := i
		if i = p.root.look(t, i, 1, name, 0, into); i == bad {
			return bad
		}
		if wrapper(name) && t[value] == '{' {
			p.root.walk(t, value, 1, maxPaths, into)
		}
		if i = t.space(i); !t.is(i, ',') {
			break
		}
	}
	if !t.is(i, '}') {
		return bad
	}
	if len(p.special) > 0 {
		p.findSpecial(gjson.Result{Type: gjson.JSON, Raw: t.part(start, i+1)}, into)
	}
	return i + 1
}

func (p *paths) findSpecial(json gjson.Result, into *found) {
	for _, s := range p.special {
		into[s.slot] = scalar(json.Get(s.path))
		into[s.slot+maxPaths] = scalar(json.Get("data." + s.path))
		if into[s.slot+maxPaths].kind == missing {
			into[s.slot+maxPaths] = scalar(json.Get("payload." + s.path))
		}
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
