package drift

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cxbridge/cxbridge/subjects/schema"
)

// look is one event that is looked at.
type look struct {
	*Watch
	event string
	at    time.Time
	added int // new findings
}

func (w *Watch) examine(e event) {
	d := json.NewDecoder(bytes.NewReader(e.body))
	d.UseNumber()
	var body map[string]any
	if d.Decode(&body) != nil {
		return // the receiver took it, so it is JSON; but encoding/json is stricter with some of it
	}
	w.metrics.examined.Inc()
	w.mu.Lock()
	w.seen++
	w.mu.Unlock()
	k := w.layouts[e.name]
	l := &look{Watch: w, event: e.name, at: e.at}
	if k == nil {
		l.event = shown(e.name)
		l.found(key{kind: Event, event: l.event}, func() json.RawMessage { return redacted(body) })
		return
	}
	if k.members == nil {
		return
	}
	l.top(body, k.members)
}

func (l *look) found(k key, sample func() json.RawMessage) {
	if l.add(k, l.at, l.added < mostNew, sample) {
		l.added++
	}
}

// top looks at a whole body. What the event is about may be below a wrapper.
func (l *look) top(body map[string]any, members map[string]schema.EventMember) {
	plain := maps.Clone(body)
	delete(plain, "event")
	for _, wrapper := range []string{"data", "payload"} {
		if inside, ok := plain[wrapper].(map[string]any); ok {
			delete(plain, wrapper)
			l.object("", inside, members)
		}
	}
	l.object("", plain, members)
}

func (l *look) object(path string, object map[string]any, members map[string]schema.EventMember) {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		value := object[name]
		if m, ok := members[name]; ok {
			l.member(path+name, value, m)
			continue
		}
		l.found(key{kind: Member, event: l.event, path: path + shown(name)}, func() json.RawMessage { return redacted(value) })
	}
}

// member looks at a member that is known.
func (l *look) member(path string, value any, m schema.EventMember) {
	if value == nil {
		return
	}
	if !hasType(value, m.Types) {
		l.found(key{kind: Value, event: l.event, path: path, value: "(" + typeOf(value) + ")"}, func() json.RawMessage { return redacted(value) })
		return
	}
	switch v := value.(type) {
	case string:
		if len(m.Values) > 0 && !slices.ContainsFunc(m.Values, func(known string) bool { return strings.EqualFold(known, v) }) {
			l.found(key{kind: Value, event: l.event, path: path, value: shown(v)}, func() json.RawMessage { return redacted(value) })
		}
	case map[string]any:
		if len(m.Members) > 0 {
			l.object(path+".", v, byName(m.Members))
		}
	case []any:
		l.items(path+"[]", v, m)
	}
}

// items looks at the first item of an array that is an object; the others are hardly different.
func (l *look) items(path string, items []any, m schema.EventMember) {
	if len(m.Members) == 0 || len(items) == 0 {
		return
	}
	if item, ok := items[0].(map[string]any); ok {
		l.object(path+".", item, byName(m.Members))
		return
	}
	l.found(key{kind: Value, event: l.event, path: path, value: "(" + typeOf(items[0]) + ")"}, func() json.RawMessage { return redacted(items[0]) })
}

// typeOf returns the JSON type of a value.
func typeOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "number"
		}
		return "integer"
	case []any:
		return "array"
	}
	return "object"
}

func hasType(value any, types []string) bool {
	t := typeOf(value)
	return slices.Contains(types, t) || t == "integer" && slices.Contains(types, "number")
}
