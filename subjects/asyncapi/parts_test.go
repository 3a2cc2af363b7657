package asyncapi_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cxbridge/cxbridge/subjects/schema"
)

// TestTheDocumentSaysNoLessThanTheSchemas puts each part where it is referred to, and wants the schemas as they are in docs/schema.
func TestTheDocumentSaysNoLessThanTheSchemas(t *testing.T) {
	var d struct {
		Components struct{ Schemas map[string]map[string]any }
	}
	if err := json.Unmarshal(document(t, "cx"), &d); err != nil {
		t.Fatal(err)
	}
	used := map[string]int{}
	all := d.Components.Schemas
	for name, want := range plain(t, schema.All()) {
		if diff := cmp.Diff(want, whole(all[name], all, used)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for name, want := range plain(t, schema.Parts()) {
		if diff := cmp.Diff(want, whole(all[name], all, map[string]int{})); diff != "" || used[name] < 2 {
			t.Errorf("%s is used %d times: %s", name, used[name], diff)
		}
	}
	if len(all) != len(schema.All())+len(schema.Parts()) {
		t.Errorf("%d schemas", len(all))
	}
}

func plain(t *testing.T, all map[string]schema.Schema) map[string]any {
	t.Helper()
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	var read map[string]any
	if err := json.Unmarshal(raw, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

// whole returns a schema with the parts that it refers to.
func whole(value any, all map[string]map[string]any, used map[string]int) any {
	switch v := value.(type) {
	case []any:
		for i := range v {
			v[i] = whole(v[i], all, used)
		}
	case map[string]any:
		v = maps.Clone(v)
		for name := range v {
			if name != "allOf" {
				v[name] = whole(v[name], all, used)
			}
		}
		if parts, ok := v["allOf"].([]any); ok {
			delete(v, "allOf")
			join(v, parts, all, used)
		}
		return v
	}
	return value
}

// join adds the members of parts to those of a schema.
func join(s map[string]any, parts []any, all map[string]map[string]any, used map[string]int) {
	for _, p := range parts {
		to, _ := p.(map[string]any)["$ref"].(string)
		name := strings.TrimPrefix(to, "#/components/schemas/")
		used[name]++
		inside, _ := whole(all[name], all, used).(map[string]any)
		properties, _ := inside["properties"].(map[string]any)
		properties = maps.Clone(properties)
		own, _ := s["properties"].(map[string]any)
		maps.Copy(properties, own)
		s["properties"] = properties
	}
}
