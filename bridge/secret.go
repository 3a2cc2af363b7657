package bridge

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// maxSecretFile is the size in bytes of the largest file that a secret is read from.
const maxSecretFile = 1 << 20

// checkTwins looks at each secret x whose key x_file names a file: x itself must not be set, and the file must hold something. The file is
// read by the component that needs the secret, most of them each time that it changes. With busOnly only those of the bus are looked at, because
// an operator may not be allowed to read the others.
func (l *loader) checkTwins(cfg Config, busOnly bool) {
	fields := reflect.ValueOf(cfg)
	for _, key := range l.schema.keys {
		file := l.schema.leaves[key]
		if file.twin == "" || l.bad[key] || l.bad[file.twin] || busOnly && !strings.HasPrefix(key, "nats.") {
			continue
		}
		path := fields.FieldByIndex(file.index).String()
		if path == "" {
			continue
		}
		if !emptySecret(fields.FieldByIndex(l.schema.leaves[file.twin].index).Interface()) {
			l.problem(key, "must not be set together with "+file.twin, path)
			continue
		}
		text, err := readSecret(path)
		if err != nil {
			l.problem(key, err.Error(), path)
		} else if rule := unsendable(file.twin, text); rule != "" {
			l.problem(key, "names a file with a secret that "+rule, path)
		}
	}
}

// secret returns a secret that is set either as it is, or by the file that holds it.
func secret(value, file string) (string, error) {
	if file == "" {
		return value, nil
	}
	text, err := readSecret(file)
	if err != nil {
		return "", fmt.Errorf("secret file %s: %w", file, err)
	}
	return text, nil
}

// readSecret returns the text of a file without the white space around it. No error tells anything of what is inside.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", fmt.Errorf("names a file that cannot be read: %w", err)
	case info.IsDir():
		return "", fmt.Errorf("must name a file with one secret in it")
	case info.Size() > maxSecretFile:
		return "", fmt.Errorf("names a file that is too large for a secret")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("names a file that cannot be read: %w", err)
	}
	secret := strings.TrimSpace(string(text))
	switch {
	case secret == "":
		return "", fmt.Errorf("names an empty file")
	case unresolved(secret):
		return "", fmt.Errorf("names a file with a placeholder that nobody replaced")
	}
	return secret, nil
}

// unsendable tells why a secret cannot stand in the header of a request that it is for; empty if it can, and for the secrets that are not.
func unsendable(key, secret string) (rule string) {
	switch key {
	case "cx.access_token":
		if strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "must be ASCII without white space and control characters, such as a line break, as it goes into a header"
		}
	case "cx.oauth.client_secret", "admin.token":
		if strings.ContainsFunc(secret, unicode.IsControl) {
			return "must not contain a line break or another control character, as it goes into a header"
		}
	}
	return ""
}

// checkSecret reports a secret that is unsendable. The key is that of the whole configuration.
func checkSecret(key, secret string, report reporter) {
	if rule := unsendable(key, secret); rule != "" {
		report(key[strings.LastIndexByte(key, '.')+1:], rule, nil)
	}
}

// emptySecret reports whether a secret is not set.
func emptySecret(value any) bool {
	switch v := value.(type) {
	case string:
		return v == ""
	case []string:
		return len(v) == 0
	}
	return false
}

const emptySecretRule = "is a secret and must not be empty; leave it out instead"

// blankSecret reports whether a secret consists of nothing but white space, or has such an item. In a file an empty text or list says that
// the secret is not set here; an empty environment variable was meant to hold something and is refused before.
func blankSecret(value any) bool {
	blank := func(s string) bool { return strings.TrimSpace(s) == "" }
	switch v := value.(type) {
	case string:
		return v != "" && blank(v)
	case []string:
		return slices.ContainsFunc(v, blank)
	}
	return false
}
