package cxapi

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxExcerpt is how many bytes of an answer an error may show.
const maxExcerpt = 300

const redacted = "[redacted]"

var (
	htmlTitle    = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
	bearerLike   = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}`)
	secretMember = regexp.MustCompile(`(?i)((?:access|refresh|pubsub|id|api|auth|api_access)[_-]?token|token|(?:client[_-]?)?secret|password|api[_-]?key|authorization)(\\?["']?\s*[:=]\s*\\?["']?)[^\s"'\\,;}&]+`)
)

// excerpt makes one line out of an answer that refuses something: the message if it is JSON, the title if it is HTML,
// else the text. secrets and whatever the request contained are removed from it.
func excerpt(body, request []byte, secrets ...string) (code, message string) {
	body = bytes.TrimSpace(body)
	code, message = "", string(body)
	switch {
	case len(body) == 0:
	case body[0] == '<':
		message = ""
		if m := htmlTitle.FindSubmatch(body); m != nil {
			message = string(m[1])
		}
	case body[0] == '{' || body[0] == '[':
		code, message = problemText(body)
	}
	clean := func(text string) string { return cleanText(text, request, secrets...) }
	return clean(code), clean(message)
}

// cleanText removes secrets, what the request contained, and control characters, and cuts the rest.
func cleanText(text string, request []byte, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) > 0 {
			text = strings.ReplaceAll(text, secret, redacted)
		}
	}
	for _, value := range requestTexts(request) {
		text = strings.ReplaceAll(text, value, "[…]")
	}
	text = bearerLike.ReplaceAllString(text, "$1 "+redacted)
	text = secretMember.ReplaceAllString(text, "$1$2"+redacted)
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxExcerpt {
		cut := maxExcerpt
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return text
}

// problemText finds the message in a JSON answer. What stands in members that hold no message is not shown, since it
// may be the request again.
func problemText(body []byte) (code, message string) {
	var problem struct {
		Code        any `json:"code"`
		Error       any `json:"error"`
		Errors      any `json:"errors"`
		Message     any `json:"message"`
		Detail      any `json:"detail"`
		Description any `json:"error_description"`
		Title       any `json:"title"`
	}
	if json.Unmarshal(body, &problem) != nil {
		return "", "" // a list, or cut: nothing that is surely a message
	}
	if text, ok := problem.Code.(string); ok {
		code = text
	}
	var parts []string
	for _, v := range []any{problem.Title, problem.Error, problem.Message, problem.Detail, problem.Description, problem.Errors} {
		parts = appendTexts(parts, v, 0)
	}
	return code, strings.Join(parts, "; ")
}

// appendTexts collects the strings in v, with the names of the members that they stand in.
func appendTexts(parts []string, v any, depth int) []string {
	switch v := v.(type) {
	case string:
		if v != "" {
			parts = append(parts, v)
		}
	case []any:
		for _, item := range v {
			if len(parts) < 8 && depth < 3 {
				parts = appendTexts(parts, item, depth+1)
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			for _, text := range appendTexts(nil, v[name], depth+1) {
				if len(parts) < 8 && depth < 3 {
					parts = append(parts, name+": "+text)
				}
			}
		}
	}
	return parts
}

// requestTexts returns the strings of a request that an answer may have echoed and nobody should read in a log, each
// bare and as it stands in JSON.
func requestTexts(request []byte) []string {
	var members map[string]any
	if json.Unmarshal(request, &members) != nil {
		return nil // no request body
	}
	var texts []string
	for name, value := range members {
		text, ok := value.(string)
		if !ok || len(text) < 3 || name == "tenant_domain" || name == "message_type" {
			continue
		}
		quoted, err := encode(text)
		if err == nil && len(quoted) > 2 {
			texts = append(texts, string(quoted[1:len(quoted)-1]))
		}
		texts = append(texts, text)
	}
	return texts
}
