package bridge

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
)

// maxSecretFile is the size in bytes of the largest file that a secret is read from.
const maxSecretFile = 1 << 20

// readTwins reads each secret x whose key x_file names a file, and puts it into x.
func (l *loader) readTwins(cfg *Config) {
	fields := reflect.ValueOf(cfg).Elem()
	for _, key := range l.schema.keys {
		file := l.schema.leaves[key]
		if file.twin == "" || l.bad[key] || l.bad[file.twin] {
			continue
		}
		path := fields.FieldByIndex(file.index).String()
		if path == "" {
			continue
		}
		field := fields.FieldByIndex(l.schema.leaves[file.twin].index)
		if !emptySecret(field.Interface()) {
			l.problem(key, "must not be set together with "+file.twin, path)
			continue
		}
		l.readTwin(key, path, field)
	}
}

func (l *loader) readTwin(key, path string, field reflect.Value) {
	text, err := readSecret(path)
	if err != nil {
		l.problem(key, err.Error(), path)
		return
	}
	if field.Kind() == reflect.String {
		field.SetString(text)
		return
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	field.Set(reflect.ValueOf(lines))
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
