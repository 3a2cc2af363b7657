package schema

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/cxbridge/cxbridge/subjects"
)

// Result returns the schema of the body of a result. It is open: later versions may add members.
func Result() Schema {
	s := object(reflect.TypeFor[subjects.Result](), resultMeanings())
	s["title"] = "result"
	return s
}

// History returns the schema of the header Cx-History of a dead letter: its attempts.
func History() Schema {
	return Schema{"title": "history", "type": "array", "items": object(reflect.TypeFor[subjects.Attempt](), attemptMeanings())}
}

func resultMeanings() map[string]string {
	return map[string]string{
		"command_id":      "The id of the command.",
		"command":         "The kind of the command, as in its subject.",
		"status":          "How the command ended.",
		"reason":          "Why, in one word; empty if the command was carried out.",
		"detail":          "Why, in one line for people.",
		"tenant":          "The tenant's domain.",
		"conversation_id": "The conversation, if known.",
		"message_id":      "The message that was made, if known.",
		"contact_id":      "The contact, if known.",
		"attempts":        "How many calls were made at the API.",
		"http_status":     "The status of the API's last answer; 0 without one.",
		"received_at":     "When the command was stored on the bus.",
		"finished_at":     "When the command ended.",
		"response":        "What the API answered last, if that was JSON and not very long; else null.",
	}
}

func attemptMeanings() map[string]string {
	return map[string]string{
		"time":   "When the call was made.",
		"status": "The status of the API's answer; 0 without one.",
		"reason": "What went wrong, in one word.",
		"detail": "What went wrong, in one line.",
	}
}

// object returns the schema of a struct as encoding/json writes it: all its members are there, and others may be.
func object(t reflect.Type, meanings map[string]string) Schema {
	properties, required := Schema{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		s := typed(f.Type)
		s["description"] = meanings[name]
		properties[name] = s
		required = append(required, name)
	}
	return Schema{"type": "object", "properties": properties, "required": required}
}

func typed(t reflect.Type) Schema {
	switch t {
	case reflect.TypeFor[subjects.ID]():
		return id(true)
	case reflect.TypeFor[subjects.Status]():
		return Schema{"enum": subjects.Statuses()}
	case reflect.TypeFor[subjects.Reason]():
		return Schema{"enum": append([]subjects.Reason{subjects.ReasonNone}, subjects.Reasons()...)}
	case reflect.TypeFor[subjects.Time]():
		return Schema{"type": []any{"string", "null"}, "format": "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return Schema{}
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return Schema{"type": "integer", "minimum": 0}
	default: // strings and what is made of them
		return Schema{"type": "string"}
	}
}
