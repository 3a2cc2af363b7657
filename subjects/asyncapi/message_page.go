package asyncapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (p *page) messages() {
	p.line("## Messages")
	p.line("A member or header with a star is always there. `null` for an optional member is the same as leaving it out.")
	for _, name := range slices.Sorted(maps.Keys(p.document.Components.Messages)) {
		m := p.document.Components.Messages[name]
		p.line("### %s", name)
		p.line("%s", m.Summary)
		p.members("header", m.Headers)
		p.members("member", m.Payload)
		for _, e := range m.Examples {
			p.example("Headers", e.Headers)
			p.example("Body", e.Payload)
		}
	}
}

func (p *page) example(what string, raw json.RawMessage) {
	if len(raw) == 0 || string(raw) == "null" {
		return
	}
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return // it was read from JSON, so it is JSON
	}
	p.line("%s of an example:", what)
	p.line("```json\n%s\n```", b.String())
}

// members writes a table of what an object has.
func (p *page) members(what string, raw json.RawMessage) {
	if len(raw) == 0 {
		return
	}
	var n node
	if json.Unmarshal(raw, &n) != nil {
		return // it was read from a document that Document made
	}
	n = p.resolve(n)
	rows := p.rows("", n)
	if len(rows) == 0 {
		return
	}
	p.table([]string{what, "form", "meaning"}, rows)
	for _, rule := range rules(n) {
		p.line("Of the members: %s", rule)
	}
	for _, name := range slices.Sorted(maps.Keys(n.Properties)) {
		for _, rule := range rules(inner(n.Properties[name])) {
			p.line("In `%s`: %s", name, rule)
		}
	}
}

// resolve returns a schema with what it refers to.
func (p *page) resolve(n node) node {
	if name, found := strings.CutPrefix(n.Ref, "#/components/schemas/"); found {
		return p.resolve(p.document.Components.Schemas[name])
	}
	for _, part := range n.AllOf {
		all := maps.Clone(p.resolve(part).Properties)
		maps.Copy(all, n.Properties)
		n.Properties = all
	}
	return n
}

func (p *page) rows(within string, n node) [][]string {
	var rows [][]string
	names := slices.SortedFunc(maps.Keys(n.Properties), func(a, b string) int {
		if slices.Contains(n.Required, a) != slices.Contains(n.Required, b) {
			if slices.Contains(n.Required, a) {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		m := p.resolve(n.Properties[name])
		star := ""
		if slices.Contains(n.Required, name) {
			star = "\\*"
		}
		rows = append(rows, []string{"`" + within + name + "`" + star, form(m), m.Description})
		rows = append(rows, p.rows(within+name+".", inner(m))...)
	}
	return rows
}

// inner returns the object that a member is, maybe beside null.
func inner(n node) node {
	for _, alternative := range n.AnyOf {
		if len(alternative.Properties) > 0 {
			return alternative
		}
	}
	return n
}

// rules tells which members belong together.
func rules(n node) []string {
	var all []string
	for _, r := range []struct {
		groups []node
		text   string
	}{{n.AnyOf, "at least one of %s is there."}, {n.OneOf, "there is either %s."}} {
		var groups []string
		for _, g := range r.groups {
			if len(g.Required) > 0 {
				groups = append(groups, "`"+strings.Join(g.Required, "` with `")+"`")
			}
		}
		if len(groups) > 1 {
			all = append(all, fmt.Sprintf(r.text, strings.Join(groups, " or ")))
		}
	}
	return all
}

// form tells in a few words which values a schema accepts.
func form(n node) string {
	var words []string
	switch {
	case len(n.Properties) > 0:
		words = append(words, "object")
	case n.Const != nil:
		words = append(words, fmt.Sprintf("`%v`", n.Const))
	case len(n.Enum) > 0:
		for _, v := range n.Enum {
			switch v {
			case nil:
			case "":
				words = append(words, "empty")
			default:
				words = append(words, fmt.Sprintf("`%v`", v))
			}
		}
	case len(n.AnyOf) > 0:
		for _, a := range n.AnyOf {
			if f := form(a); f != "null" {
				words = append(words, f)
			}
		}
	case n.Format != "":
		words = append(words, n.Format)
	default:
		words = types(n.Type)
	}
	text := strings.Join(words, ", ")
	if n.Default != nil {
		text += fmt.Sprintf("; `%v` if left out", n.Default)
	}
	return text
}

func types(t any) []string {
	switch v := t.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, each := range v {
			if each != "null" {
				all = append(all, fmt.Sprint(each))
			}
		}
		return all
	}
	return []string{"any"}
}
