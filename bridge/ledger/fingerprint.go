package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"html"
	"regexp"
	"strings"
)

var (
	link  = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	tag   = regexp.MustCompile(`</?[A-Za-z][A-Za-z0-9]*(?:\s[^<>]*)?/?>`)
	marks = strings.NewReplacer("*", "", "_", "", "~", "", "`", "", "#", "", "\\", "", "<", "", ">", "", "\u00a0", " ", "\u200b", "", "\ufeff", "")
)

// Fingerprint returns a short hash of a message's content that stays the same when the vendor stores or shows the content in another
// form: line breaks and white space, Markdown marks and their HTML, escapes and hard breaks do not count. Blank content has none.
func Fingerprint(content string) string {
	text := normalise(content)
	if text == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

func normalise(content string) string {
	content = collapse(content)
	if plain(content) {
		return content
	}
	return strip(content)
}

// strip falls back to the content itself when it consists of marks.
func strip(content string) string {
	text := html.UnescapeString(content)
	if strings.Contains(text, "](") { // regular expressions are slow, and most texts need none
		text = link.ReplaceAllString(text, "$1")
	}
	if strings.Contains(text, "<") {
		text = tag.ReplaceAllString(text, " ")
	}
	if text = collapse(marks.Replace(text)); text != "" {
		return text
	}
	return content
}

// plain reports whether a text is ASCII without anything that strip looks for, as most are.
func plain(text string) bool {
	for i := range len(text) {
		switch c := text[i]; c {
		case '*', '_', '~', '`', '#', '\\', '<', '>', '&', ']':
			return false
		default:
			if c >= 0x7f {
				return false
			}
		}
	}
	return true
}

// collapse makes one space of each white space, and none at both ends.
func collapse(text string) string {
	if collapsed(text) {
		return text
	}
	return strings.Join(strings.Fields(text), " ")
}

// collapsed reports whether a text is plain ASCII and has nothing to collapse, as most have.
func collapsed(text string) bool {
	before := byte(' ')
	for i := range len(text) {
		c := text[i]
		if c < ' ' || c >= 0x7f || c == ' ' && before == ' ' {
			return false
		}
		before = c
	}
	return before != ' '
}
