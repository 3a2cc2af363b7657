package bridge

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// Problem is one mistake in the configuration.
type Problem struct {
	Key    string `json:"key"`              // such as cx.tenant_domain; empty if it concerns no one key
	Rule   string `json:"rule"`             // what is asked for
	Value  string `json:"value,omitempty"`  // what was found; never a secret
	Source string `json:"source,omitempty"` // where it was found: file and line, environment variable or flag
}

// String tells the problem in one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Rule)
	if p.Value != "" {
		b.WriteString(", not " + p.Value)
	}
	if p.Source != "" {
		b.WriteString(" (" + p.Source + ")")
	}
	return b.String()
}

// ConfigError tells everything that is wrong with a configuration at once.
type ConfigError struct{ Problems []Problem }

// Error lists the problems, one a line.
func (e *ConfigError) Error() string {
	lines := []string{fmt.Sprintf("configuration: %d problems:", len(e.Problems))}
	if len(e.Problems) == 1 {
		lines[0] = "configuration: 1 problem:"
	}
	for _, p := range e.Problems {
		lines = append(lines, "  "+p.String())
	}
	return strings.Join(lines, "\n")
}

var userinfo = regexp.MustCompile(`//[^/@\s,]*@`)

// show writes a value for people. Passwords in URLs are left out; secrets must not get here at all.
func show(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return fmt.Sprintf("%q", excerpt(userinfo.ReplaceAllString(v, "//…@")))
	case time.Duration:
		return fmt.Sprintf("%q", v.String())
	case map[string]any:
		return "a table"
	}
	if reflect.TypeOf(value).Kind() == reflect.String {
		return show(reflect.ValueOf(value).String())
	}
	return excerpt(userinfo.ReplaceAllString(fmt.Sprint(value), "//…@"))
}

// excerpt keeps a message readable when the value is not.
func excerpt(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
