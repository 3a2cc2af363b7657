package ledger

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAFingerprintIgnoresWhatTheVendorChanges(t *testing.T) {
	for _, c := range [][2]string{
		{"hello\n", "hello"},
		{"one\\\ntwo", "one\ntwo"},
		{"one  \ntwo\n\n", "one\r\ntwo"},
		{"a **bold** word", "a *bold* word"},
		{"a **bold** word", "<p>a <strong>bold</strong> word</p>\n"},
		{"one\ntwo", "one<br />two"},
		{"1 < 2 & 3 > 2", "1 &lt; 2 &amp; 3 &gt; 2"},
		{"see [our page](https://example.test/a)", `see <a href="https://example.test/a">our page</a>`},
		{"a\u00a0b", "a b"},
		{"see <https://example.test>", "see https://example.test"},
	} {
		if Fingerprint(c[0]) != Fingerprint(c[1]) {
			t.Errorf("%q and %q differ: %q, %q", c[0], c[1], normalise(c[0]), normalise(c[1]))
		}
	}
}

func TestAFingerprintTellsTextsApart(t *testing.T) {
	texts := []string{"yes", "Yes", "yes?", "yes!", "no", "y e s", "***", "👍", "👎", "1", "10", "<3", "ä", "a < b", "a b c"}
	seen := map[string]string{}
	for _, text := range texts {
		print := Fingerprint(text)
		if other, ok := seen[print]; ok {
			t.Errorf("%q and %q are the same", text, other)
		}
		seen[print] = text
	}
	if Fingerprint("") != "" {
		t.Error("nothing has a fingerprint")
	}
}

func TestAFingerprintOfWhatIsNormalIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		if Fingerprint(text) != Fingerprint(text+"\n") {
			t.Fatalf("a line break at the end of %q counts", text)
		}
	})
}

func TestCollapseIsTheSameWithAndWithoutItsShortCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("ab \t\n\u00a0ä")), 0, 8, -1).Draw(t, "text")
		if got, want := collapse(text), strings.Join(strings.Fields(text), " "); got != want {
			t.Fatalf("%q becomes %q instead of %q", text, got, want)
		}
	})
}

func TestAPlainTextIsTheSameWithAndWithoutItsShortCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := collapse(rapid.StringOfN(rapid.RuneFrom([]rune("ab *_~`#\\<>&;]([)\u200bä\x01")), 0, 8, -1).Draw(t, "text"))
		if plain(text) && strip(text) != text {
			t.Fatalf("%q is not plain: %q", text, strip(text))
		}
	})
}
