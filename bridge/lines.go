package bridge

import (
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlLines finds the line of each key and table of a TOML document. It stops where the document is malformed.
func tomlLines(document []byte) map[string]int {
	lines := map[string]int{}
	var p unstable.Parser
	p.Reset(document)
	table := ""
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = joinKey(e.Key(), "", &p, lines)
		case unstable.KeyValue:
			noteKey(e, table, &p, lines)
		}
	}
	return lines
}

// noteKey notes a key, and the keys of an inline table that is its value.
func noteKey(e *unstable.Node, prefix string, p *unstable.Parser, lines map[string]int) {
	key := joinKey(e.Key(), prefix, p, lines)
	value := e.Value()
	if value == nil || value.Kind != unstable.InlineTable {
		return
	}
	for members := value.Children(); members.Next(); {
		if m := members.Node(); m.Kind == unstable.KeyValue {
			noteKey(m, key, p, lines)
		}
	}
}

func joinKey(parts unstable.Iterator, prefix string, p *unstable.Parser, lines map[string]int) string {
	var tokens []string
	if prefix != "" {
		tokens = append(tokens, prefix)
	}
	line := 0
	for parts.Next() {
		tokens = append(tokens, string(parts.Node().Data))
		if line == 0 {
			line = p.Shape(parts.Node().Raw).Start.Line
		}
	}
	key := strings.Join(tokens, ".")
	if _, seen := lines[key]; !seen {
		lines[key] = line
	}
	return key
}
