package asyncapi

import (
	"maps"
	"reflect"
	"slices"

	"github.com/cxbridge/cxbridge/subjects/schema"
)

// schemas returns all schemas and the parts that they refer to. A conversation has many members and is in most of the events, in some of
// them twice; told once, the document is little more than half as long, and says the same.
func schemas() object {
	parts, all := schema.Parts(), object{}
	for name, s := range schema.All() {
		all[name] = shared(s, parts, "")
	}
	for name, s := range parts {
		all[name] = shared(s, parts, name)
	}
	return all
}

// shared returns a schema in which members that are those of a part are told by a reference. The own name is that of a part itself.
func shared(s schema.Schema, parts map[string]schema.Schema, own string) schema.Schema {
	s = maps.Clone(s)
	if items, ok := s["items"].(schema.Schema); ok {
		s["items"] = shared(items, parts, "")
	}
	properties, ok := s["properties"].(schema.Schema)
	if !ok {
		return s
	}
	rest := maps.Clone(properties)
	if name := partOf(properties, parts, own); name != "" {
		s["allOf"] = []object{schemaRef(name)}
		maps.DeleteFunc(rest, func(member string, _ any) bool { _, in := members(parts[name])[member]; return in })
	}
	for member, value := range rest {
		if inside, ok := value.(schema.Schema); ok {
			rest[member] = shared(inside, parts, "")
		}
	}
	s["properties"] = rest
	if len(rest) == 0 {
		delete(s, "properties")
	}
	return s
}

// partOf returns the name of the largest part, but for one, of which an object has all members; empty for none.
func partOf(properties schema.Schema, parts map[string]schema.Schema, but string) string {
	largest := ""
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if name != but && len(members(parts[name])) > len(members(parts[largest])) && has(properties, members(parts[name])) {
			largest = name
		}
	}
	return largest
}

func members(part schema.Schema) schema.Schema {
	m, _ := part["properties"].(schema.Schema)
	return m
}

func has(properties, all schema.Schema) bool {
	for member, value := range all {
		if !reflect.DeepEqual(properties[member], value) {
			return false
		}
	}
	return true
}
