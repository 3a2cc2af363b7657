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
// form: line breaks and white space, Markdown marks and their HTML, escapes and hard breaks do not count. Empty content has none.
func Fingerprint(content string) string {
	if content == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(normalise(content)))
	return hex.EncodeToString(sum[:16])
}

func normalise(content string) string {
	text := html.UnescapeString(content)
	text = link.ReplaceAllString(text, "$1")
	text = tag.ReplaceAllString(text, " ")
	text = strings.Join(strings.Fields(marks.Replace(text)), " ")
	if text == "" {
		return strings.Join(strings.Fields(content), " ")
	}
	return text
}
