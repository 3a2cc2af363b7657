package schema_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"pgregory.net/rapid"

	"github.com/cxbridge/cxbridge/subjects/schema"
)

// Small numbers come up far more often than others, so the choices that spoil a body are larger ones.

// entry is a member of a generated object; the same name may occur twice.
type entry struct {
	name, value string // both as they are written, the name with its quotes
}

// body generates the body of a command out of its schema, and then, more often than not, spoils it.
func body(t *rapid.T, s schema.Schema) string {
	text := generate(t, s)
	switch rapid.IntRange(0, 60).Draw(t, "spoil") {
	case 37:
		at := rapid.IntRange(0, len(text)).Draw(t, "cut")
		return text[:at]
	case 38:
		return text + rapid.SampledFrom([]string{" ", "{}", "x", "\n\t", "null", "\x00", "\ufeff"}).Draw(t, "after")
	case 39:
		at := rapid.IntRange(0, len(text)).Draw(t, "at")
		return text[:at] + rapid.SampledFrom([]string{"\xff", "\xc3", "\xed\xa0\x80", "\x00", "\ufffd", " ", "\u00a0"}).Draw(t, "byte") + text[at:]
	case 40:
		return rapid.SampledFrom([]string{"", "null", "[]", "[" + text + "]", "7", `"x"`, "\ufeff" + text, " " + text}).Draw(t, "other body")
	}
	return text
}

// generate returns the text of a value for a schema: mostly one that satisfies it, else one that nearly does.
func generate(t *rapid.T, s schema.Schema) string {
	if rapid.IntRange(0, 250).Draw(t, "junk") == 123 {
		return junk(t)
	}
	if values, ok := s["enum"].([]any); ok {
		return text(t, rapid.SampledFrom(values).Draw(t, "enum"))
	}
	if _, object := s["properties"]; object {
		return generateObject(t, s)
	}
	if forms, ok := s["anyOf"].([]schema.Schema); ok {
		return generate(t, rapid.SampledFrom(forms).Draw(t, "form"))
	}
	types, ok := s["type"].([]any)
	if !ok {
		types = []any{s["type"]}
	}
	switch rapid.SampledFrom(types).Draw(t, "type") {
	case "integer":
		return generateInteger(t, s)
	case "string":
		return generateString(t, s)
	}
	return "null"
}

func generateInteger(t *rapid.T, s schema.Schema) string {
	low, _ := s["minimum"].(json.Number)
	high, _ := s["maximum"].(json.Number)
	usual := rapid.Custom(func(t *rapid.T) string { return strconv.FormatInt(rapid.Int64().Draw(t, "n"), 10) })
	return rapid.OneOf(
		usual, usual,
		rapid.SampledFrom([]string{
			string(low), string(high), string(low) + "0", string(high) + "0", "0", "-1", "9223372036854775808", "-9223372036854775809",
			"18446744073709551616", "99999999999999999998", "100000000000000000000", "-10000000000000000000",
		}),
	).Draw(t, "integer")
}

func generateString(t *rapid.T, s schema.Schema) string {
	if most, ok := s["maxLength"].(int); ok && rapid.IntRange(0, 5).Draw(t, "long") == 0 {
		rune := rapid.SampledFrom([]string{"a", "é", "😀", " "}).Draw(t, "rune")
		return quote(strings.Repeat(rune, rapid.SampledFrom([]int{most / 4, most / 2, most - 1, most, most + 1}).Draw(t, "length")))
	}
	usual := rapid.Custom(func(t *rapid.T) string { return quote(rapid.StringN(1, 20, -1).Draw(t, "s")) })
	return rapid.OneOf(
		usual, usual, usual,
		rapid.SampledFrom([]string{
			`"42"`, `"a b"`, `"ann@example.test"`, `""`, `"\u0041"`, `"\u0000"`, `"\ud83d\ude00"`, `"\ud800"`, `"\n"`, `"a\tb"`, "\"\x7f\"", `"\ufffd"`, `"é"`, "\"a\u0085b\"",
			`"outgoing "`, `"Incoming"`, `"null"`,
		}),
	).Draw(t, "string")
}

func generateObject(t *rapid.T, s schema.Schema) string {
	properties, _ := s["properties"].(schema.Schema)
	wanted := wanted(t, s)
	var entries []entry
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		usual, near := wanted[name], rapid.IntRange(0, 120).Draw(t, "near "+name) == 61
		if usual == near {
			continue // left out, or, rarely, left out although it is needed
		}
		value, _ := properties[name].(schema.Schema)
		entries = append(entries, entry{quote(name), generate(t, value)})
	}
	return write(t, spoil(t, entries))
}

// wanted chooses the members of an object so that it satisfies the schema.
func wanted(t *rapid.T, s schema.Schema) map[string]bool {
	chosen := map[string]bool{}
	properties, _ := s["properties"].(schema.Schema)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		chosen[name] = rapid.Bool().Draw(t, "has "+name)
	}
	for _, rule := range []string{"anyOf", "oneOf"} {
		if groups, ok := s[rule].([]schema.Schema); ok {
			group := rapid.SampledFrom(groups).Draw(t, rule)
			inside, _ := group["properties"].(schema.Schema)
			for name, value := range inside {
				if is, _ := value.(schema.Schema); is["type"] == "null" {
					chosen[name] = false
				}
			}
			require(chosen, group)
		}
	}
	require(chosen, s)
	return chosen
}

func require(chosen map[string]bool, s schema.Schema) {
	names, _ := s["required"].([]string)
	for _, name := range names {
		chosen[name] = true
	}
}

// spoil changes the members of an object, or leaves them as they are.
func spoil(t *rapid.T, entries []entry) []entry {
	entries = slices.Clone(entries)
	choice := rapid.IntRange(0, 35).Draw(t, "change")
	if choice == 19 {
		name := rapid.SampledFrom([]string{"Content", "CONVERSATION_ID", "private", "", "contact_id ", "x", "email", "contact", "source_id", "tenant_domain", "\u017fource_id"}).Draw(t, "name")
		return append(entries, entry{quote(name), junk(t)})
	}
	if len(entries) == 0 {
		return entries
	}
	at := rapid.IntRange(0, len(entries)-1).Draw(t, "member")
	switch choice {
	case 20:
		return append(entries, entry{entries[at].name, rapid.SampledFrom([]string{entries[at].value, "null", `"x"`}).Draw(t, "again")})
	case 21:
		entries[at].value = rapid.SampledFrom([]string{"null", " null ", `""`, "0", "-0", "7.0", "7e0", "7E2", "0.5", "07", "+7", "- 7", "0x7", "1e400", "true"}).Draw(t, "value")
	case 22: // an escape in the name does not make it another name
		name := strings.Trim(entries[at].name, `"`)
		entries[at].name = `"\u00` + strconv.FormatInt(int64(name[0]), 16) + name[1:] + `"`
	case 23:
		return slices.Delete(entries, at, at+1)
	}
	return entries
}

func junk(t *rapid.T) string {
	return rapid.SampledFrom([]string{"null", "true", "false", "0", "-1", "1.5", `""`, `"x"`, "{}", "[]", `{"id":1}`, `["x"]`, `{"name":"A","email":"e"}`, `{"name":"A","name":"B","email":"e"}`}).Draw(t, "junk value")
}

// write writes an object with all kinds of white space in it.
func write(t *rapid.T, entries []entry) string {
	space := func() string {
		return rapid.SampledFrom([]string{"", "", "", " ", "\n", "\t ", "\r\n"}).Draw(t, "space")
	}
	order := rapid.Permutation(entries).Draw(t, "order")
	var b strings.Builder
	b.WriteString("{" + space())
	for i, e := range order {
		if i > 0 {
			b.WriteString("," + space())
		}
		b.WriteString(e.name + space() + ":" + space() + e.value + space())
	}
	b.WriteString("}")
	return b.String()
}

func text(t *rapid.T, value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func quote(s string) string {
	raw, _ := json.Marshal(s) // a string has a JSON form always
	return string(raw)
}
