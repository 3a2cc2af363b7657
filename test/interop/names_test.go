package interop

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// nameForms are the names of the contract as they stand in a text: headers, streams and subjects. Of a subject only what is letters counts, as
// ids, wildcards and the like may follow.
var nameForms = []*regexp.Regexp{
	regexp.MustCompile(`\bCx-[A-Z][A-Za-z]*(?:-[A-Z][A-Za-z]*)*`),
	regexp.MustCompile(`\bCX_[A-Z]+`),
	regexp.MustCompile(`\bcx\.(?:cmd|dead|event|result|rpc|contact|conversation|message|webwidget|inbox)(?:\.[a-z_]+){0,2}`),
	regexp.MustCompile(`\bcx\.schedule(?:\.cmd)?`),
}

// TestExamplesAndPagesUseNamesOfTheContract holds that a name that changes in the contract changes in examples and pages, too.
func TestExamplesAndPagesUseNamesOfTheContract(t *testing.T) {
	golden, err := os.ReadFile("../../subjects/testdata/contract.golden")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, pattern := range []string{"README.md", "docs/[b-z]*.md", "examples/*.md", "examples/*/*.*", "examples/*/src/*.rs", "examples/widget/gateway/*.*"} {
		found, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	checked := 0
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.IsDir() {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range nameForms {
			names := form.FindAllString(string(text), -1)
			checked += len(names)
			slices.Sort(names)
			for _, name := range slices.Compact(names) {
				if !known(string(golden), name) {
					t.Errorf("%s: %s is not in the contract", file, name)
				}
			}
		}
	}
	if checked < 200 {
		t.Errorf("only %d names found", checked)
	}
}

// known reports whether a name is in the text: whole, or, of a subject, up to a dot.
func known(text, name string) bool {
	return strings.HasSuffix(name, "_") || regexp.MustCompile(`(?m)(^|[ .])`+regexp.QuoteMeta(name)+`($|[ .,:;*?])`).MatchString(text)
}
