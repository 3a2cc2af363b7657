package schema

import (
	"encoding/json"

	"github.com/cxbridge/cxbridge/subjects"
)

// Schema is a JSON Schema, ready to be written by encoding/json.
type Schema map[string]any

// Command returns the schema of the body of a command. A kind that is not known has a schema that nothing satisfies.
func Command(k subjects.Kind) Schema {
	if !k.Known() {
		return Schema{"not": Schema{}}
	}
	s := closed(k.Shape())
	s["title"] = string(k)
	return s
}

// closed returns the schema of an object with the members of a shape and no others.
func closed(shape subjects.Shape) Schema {
	properties, required := Schema{}, []string{}
	for _, m := range shape.Members {
		properties[m.Name] = member(m)
		if m.Required {
			required = append(required, m.Name)
		}
	}
	s := Schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	if len(shape.Some) > 0 {
		var some []Schema
		for _, name := range shape.Some {
			some = append(some, present([]string{name}))
		}
		s["anyOf"] = some
	}
	if len(shape.Either) > 0 {
		s["oneOf"] = either(shape.Either)
	}
	return s
}

// present returns what an object satisfies that has members, and none of them null.
func present(names []string) Schema {
	properties := Schema{}
	for _, name := range names {
		properties[name] = Schema{"not": Schema{"type": "null"}}
	}
	return Schema{"required": names, "properties": properties}
}

func either(groups [][]string) []Schema {
	var all []Schema
	for i, group := range groups {
		s := present(group)
		properties, _ := s["properties"].(Schema)
		for j, other := range groups {
			for _, name := range other {
				if j != i {
					properties[name] = Schema{"type": "null"}
				}
			}
		}
		all = append(all, s)
	}
	return all
}

func member(m subjects.Member) Schema {
	s := form(m)
	s["description"] = m.Meaning
	if m.Default != "" {
		s["default"] = m.Default
	}
	return s
}

func form(m subjects.Member) Schema {
	switch m.Form {
	case subjects.FormID:
		return id(!m.Required)
	case subjects.FormInteger:
		s := Schema{"type": "integer", "minimum": json.Number("-9223372036854775808"), "maximum": json.Number("9223372036854775807")}
		return orNull(s, !m.Required)
	case subjects.FormObject:
		return orNull(closed(m.Shape), !m.Required)
	case subjects.FormText:
	}
	if len(m.Values) == 0 {
		return orNull(Schema{"type": "string", "minLength": 1}, !m.Required)
	}
	var values []any
	for _, v := range m.Values {
		values = append(values, v)
	}
	if !m.Required {
		values = append(values, nil)
	}
	return Schema{"enum": values}
}

// id returns the schema of an id that [subjects.ParseID] reads.
func id(null bool) Schema {
	forms := []Schema{
		{"type": "integer", "minimum": json.Number(subjects.MinIDNumber), "maximum": json.Number(subjects.MaxIDNumber)},
		{"type": "string", "minLength": 1, "maxLength": subjects.MaxIDBytes, "not": Schema{"pattern": "[" + subjects.BadIDRunes + "]"}},
	}
	if null {
		forms = append(forms, Schema{"type": "null"})
	}
	return Schema{"anyOf": forms}
}

// orNull lets a type be null, too.
func orNull(s Schema, null bool) Schema {
	if !null {
		return s
	}
	if _, object := s["properties"]; object {
		return Schema{"anyOf": []Schema{s, {"type": "null"}}}
	}
	s["type"] = []any{s["type"], "null"}
	return s
}
