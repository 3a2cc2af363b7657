package subjects_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/contract.golden instead of comparing with it")

const goldenPath = "testdata/contract.golden"

// TestTheContractIsTheGoldenOne pins every name of the contract. Documents and schemas are made from the tables, so they follow whatever
// somebody does to those; this file does not, but by "go test ./subjects -run TestTheContractIsTheGoldenOne -update", which a reviewer sees.
func TestTheContractIsTheGoldenOne(t *testing.T) {
	want := goldenContract(t)
	if *update {
		if err := os.WriteFile(goldenPath, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(golden(t)), string(want)); diff != "" {
		t.Errorf("the contract is not that of %s. If bots may rely on the change, write the file anew with -update:\n%s", goldenPath, diff)
	}
}

// TestEveryNameIsInTheGoldenContract holds that a name that is no part of any table is in the golden file all the same: each constant that is
// exported is there, letter by letter.
func TestEveryNameIsInTheGoldenContract(t *testing.T) {
	text := golden(t)
	found := 0
	for name, value := range exportedConstants(t) {
		if value == "" {
			continue
		}
		found++
		if !regexp.MustCompile(`(?m)(^|[ :,"=*>.-])` + regexp.QuoteMeta(value) + `($|[ :,"=*?.-])`).Match(text) {
			t.Errorf("%s is %q, which is not in %s", name, value, goldenPath)
		}
	}
	if found < 90 {
		t.Errorf("only %d constants found", found)
	}
}

func golden(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(goldenPath)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")) // a checkout may have other line ends
}

// exportedConstants returns the strings among the exported constants of this package that are written as literals.
func exportedConstants(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
				literals(t, g, all)
			}
		}
	}
	return all
}

func literals(t *testing.T, g *ast.GenDecl, all map[string]string) {
	t.Helper()
	for _, s := range g.Specs {
		spec, ok := s.(*ast.ValueSpec)
		if !ok {
			continue
		}
		for i, name := range spec.Names {
			literal, ok := at(spec.Values, i).(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING || !name.IsExported() {
				continue
			}
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			all[name.Name] = value
		}
	}
}

func at(values []ast.Expr, i int) ast.Expr {
	if i < len(values) {
		return values[i]
	}
	return nil
}

// writer writes the golden contract.
type writer struct {
	bytes.Buffer
	blocks map[string]string // the path of members by what was written of them
}

func (w *writer) section(name string) { fmt.Fprintf(w, "\n== %s\n", name) }

func (w *writer) line(format string, args ...any) {
	w.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}
