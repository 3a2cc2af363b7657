package subjects_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cxbridge/cxbridge/subjects"
)

// TestEveryHeaderIsDescribed holds that a header that is added to the contract is added to its documents.
func TestEveryHeaderIsDescribed(t *testing.T) {
	described := map[string]bool{}
	for _, h := range subjects.HeaderTable() {
		described[h.Name] = true
		if h.Meaning == "" || len(h.On) == 0 {
			t.Errorf("%s: no meaning, or on nothing", h.Name)
		}
	}
	for _, name := range headerConstants(t) {
		if !described[name] {
			t.Errorf("%s is not in HeaderTable", name)
		}
	}
}

func TestACarrierHasAHeaderOnce(t *testing.T) {
	for _, c := range subjects.Carriers() {
		var names []string
		for _, h := range subjects.HeadersOn(c) {
			names = append(names, h.Name)
		}
		slices.Sort(names)
		if len(names) == 0 || len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Errorf("%s: %v", c, names)
		}
	}
}

// headerConstants returns the values of all constants of headers.go and headertable.go whose names begin with Header.
func headerConstants(t *testing.T) []string {
	t.Helper()
	var values []string
	for _, file := range []string{"headers.go", "headertable.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || spec.Type != nil || !strings.HasPrefix(spec.Names[0].Name, "Header") || len(spec.Values) != 1 {
				return true
			}
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
				value, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, value)
			}
			return true
		})
	}
	if len(values) < 30 {
		t.Fatalf("only %d headers found", len(values))
	}
	return values
}
