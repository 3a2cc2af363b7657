package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEachBrokenBuildBreaksSomething: what is replaced in the source is still there, once. Whether the builds are caught is seen by make chaos-broken.
func TestEachBrokenBuildBreaksSomething(t *testing.T) {
	for _, f := range fractures() {
		text, err := os.ReadFile(filepath.Join("..", "..", f.file))
		if err != nil {
			t.Error(err)
		}
		if n := strings.Count(string(text), f.from); n != 1 {
			t.Errorf("%s: %s has the text %d times", f.name, f.file, n)
		}
	}
}
