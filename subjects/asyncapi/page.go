package asyncapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Page renders an AsyncAPI document that [Document] made as a page in Markdown.
func Page(document []byte) ([]byte, error) {
	var d parsed
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, fmt.Errorf("asyncapi: page: %w", err)
	}
	p := &page{document: d}
	p.line("# The contract on the bus")
	p.line("Made from `asyncapi.json`; do not edit. %s", d.Info.Description)
	p.line("Version of the contract: %s. It is told from the side of the bridge: what it sends, bots receive.", d.Info.Version)
	p.channels()
	p.streams()
	p.messages()
	return append(bytes.TrimRight(p.out.Bytes(), "\n"), '\n'), nil
}

// parsed is what the page needs of a document.
type parsed struct {
	Info     struct{ Version, Description string }
	Channels map[string]struct {
		Address     *string
		Description string
		Messages    map[string]any
		Stream      string `json:"x-stream"`
	}
	Operations map[string]struct {
		Action  string
		Channel struct {
			Ref string `json:"$ref"`
		}
		Tags []struct{ Name string }
	}
	Components struct {
		Messages map[string]struct {
			Title, Summary   string
			Headers, Payload json.RawMessage
			Examples         []struct{ Headers, Payload json.RawMessage }
		}
		Parameters map[string]struct{ Description string }
		Schemas    map[string]node
	}
	Streams []struct {
		Name, Description, MaxAge, DuplicateWindow string
		Subjects                                   []string
		Replicas                                   int
	} `json:"x-streams"`
	Consumers []struct {
		Stream, Name, Owner, Description string
		FilterSubjects                   []string
	} `json:"x-consumers"`
}

// node is a schema as the page shows it.
type node struct {
	Ref         string `json:"$ref"`
	Description string
	Type        any
	Format      string
	Enum        []any
	Const       any
	Default     any
	Required    []string
	Properties  map[string]node
	AllOf       []node
	AnyOf       []node
	OneOf       []node
	Items       *node
}

type page struct {
	document parsed
	out      bytes.Buffer
}

// line writes a paragraph.
func (p *page) line(format string, args ...any) { fmt.Fprintf(&p.out, format+"\n\n", args...) }

func (p *page) table(head []string, rows [][]string) {
	p.row(head)
	p.row(slices.Repeat([]string{"---"}, len(head)))
	for _, r := range rows {
		p.row(r)
	}
	p.out.WriteString("\n")
}

func (p *page) row(cells []string) {
	for _, c := range cells {
		p.out.WriteString("| " + strings.ReplaceAll(c, "|", `\|`) + " ")
	}
	p.out.WriteString("|\n")
}

func (p *page) channels() {
	p.line("## Channels")
	direction := map[string]string{}
	for _, o := range p.document.Operations {
		direction[strings.TrimPrefix(o.Channel.Ref, "#/channels/")] = map[string]string{send: "bridge sends", receive: "bridge receives"}[o.Action]
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(p.document.Channels)) {
		c := p.document.Channels[name]
		address := "told by the message"
		if c.Address != nil {
			address = "`" + *c.Address + "`"
		}
		var messages []string
		for _, m := range slices.Sorted(maps.Keys(c.Messages)) {
			messages = append(messages, link(m))
		}
		rows = append(rows, []string{address, direction[name], c.Stream, strings.Join(messages, ", "), c.Description})
	}
	p.table([]string{"subject", "direction", "stream", "messages", "what"}, rows)
	rows = nil
	for _, name := range slices.Sorted(maps.Keys(p.document.Components.Parameters)) {
		rows = append(rows, []string{"`{" + name + "}`", p.document.Components.Parameters[name].Description})
	}
	p.table([]string{"in a subject", "is"}, rows)
}

func (p *page) streams() {
	p.line("## Streams and consumers")
	p.line("With the default configuration.")
	var rows [][]string
	for _, s := range p.document.Streams {
		age := s.MaxAge
		if age == "0s" {
			age = "no limit"
		}
		rows = append(rows, []string{s.Name, code(s.Subjects), age, s.DuplicateWindow, s.Description})
	}
	p.table([]string{"stream", "subjects", "keeps for", "knows ids for", "what"}, rows)
	rows = nil
	for _, c := range p.document.Consumers {
		rows = append(rows, []string{c.Stream, "`" + c.Name + "`", c.Owner, code(c.FilterSubjects), c.Description})
	}
	p.table([]string{"stream", "consumer", "owner", "filter", "what"}, rows)
}

func code(all []string) string { return "`" + strings.Join(all, "`, `") + "`" }

func link(message string) string {
	return "[" + message + "](#" + strings.NewReplacer(".", "", " ", "-").Replace(message) + ")"
}
