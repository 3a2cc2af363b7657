package interop

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSnippetsInTheDocsAreLinesOfTheExamples holds that docs/bots.md shows what the other tests of this folder run.
func TestSnippetsInTheDocsAreLinesOfTheExamples(t *testing.T) {
	for _, s := range snippets(t) {
		file, ok := strings.CutPrefix(s.about, "from ")
		if !ok {
			if s.about != "tested as a whole" {
				t.Errorf("line %d: a snippet without <!-- from FILE -->", s.line)
			}
			continue
		}
		source, err := os.ReadFile(filepath.Join("../..", filepath.FromSlash(file)))
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(unindented(string(source)), unindented(s.text)) {
			t.Errorf("line %d: these are not lines of %s:\n%s", s.line, file, s.text)
		}
	}
}

// TestEveryExampleIsShort holds that a bot is under 100 lines, and not because they are long ones.
func TestEveryExampleIsShort(t *testing.T) {
	var files []string
	for _, pattern := range []string{"go/*.go", "python/*.py", "javascript/*.js", "rust/src/*.rs", "java/*.java", "c/*.c", "shell/*.sh", "scaled/main.go"} {
		found, err := filepath.Glob("../../examples/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			t.Errorf("no example is %s", pattern)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(source), "\n"), "\n")
		if len(lines) >= 100 {
			t.Errorf("%s has %d lines", file, len(lines))
		}
		for i, line := range lines {
			if n := len([]rune(line)); n > 155 {
				t.Errorf("%s:%d has %d characters", file, i+1, n)
			}
		}
	}
}

// snippet is a block of code in docs/bots.md, and the comment above it.
type snippet struct {
	line            int
	about, language string
	text            string
}

func snippets(t *testing.T) []snippet {
	t.Helper()
	page, err := os.ReadFile("../../docs/bots.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []snippet
	lines := strings.Split(string(page), "\n")
	for i := 1; i < len(lines); i++ {
		language, begins := strings.CutPrefix(lines[i], "```")
		if !begins {
			continue
		}
		length := slices.Index(lines[i+1:], "```")
		if length < 0 {
			t.Fatalf("line %d: the block does not end", i+1)
		}
		about := strings.TrimSuffix(strings.TrimPrefix(lines[i-1], "<!-- "), " -->")
		found = append(found, snippet{line: i + 1, about: about, language: language, text: strings.Join(lines[i+1:i+1+length], "\n")})
		i += length + 1
	}
	if len(found) == 0 {
		t.Fatal("docs/bots.md shows nothing")
	}
	return found
}

// unindented takes the indentation away, so that a snippet may stand further left than its source.
func unindented(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}
