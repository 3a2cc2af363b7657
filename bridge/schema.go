package bridge

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// schema lists the keys of the configuration, as the fields of [Config] and their koanf tags define them.
type schema struct {
	leaves   map[string]leaf
	sections map[string]bool
	keys     []string // of the leaves, in the order of the fields
}

// leaf is one key.
type leaf struct {
	key   string
	kind  reflect.Type
	index []int // of the field in Config, for reflect.Value.FieldByIndex
	// secret values are never shown. A key is secret if there is another one of the same name with _file at the end.
	secret bool
	// twin is the key whose value is read from the file that this key names; empty for most.
	twin string
}

const twinSuffix = "_file"

func schemaOf(config reflect.Type) schema {
	s := schema{leaves: map[string]leaf{}, sections: map[string]bool{}}
	s.walk(config, "", nil)
	for key, l := range s.leaves {
		base := strings.TrimSuffix(key, twinSuffix)
		if secret, ok := s.leaves[base]; ok && base != key {
			l.twin, secret.secret = base, true
			s.leaves[key], s.leaves[base] = l, secret
		}
	}
	return s
}

func (s *schema) walk(t reflect.Type, prefix string, index []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("koanf"), ",")
		at := append(slices.Clone(index), i)
		switch {
		case option == "squash":
			s.walk(f.Type, prefix, at)
		case name == "" || name == "-":
		case f.Type.Kind() == reflect.Struct:
			s.sections[prefix+name] = true
			s.walk(f.Type, prefix+name+".", at)
		default:
			s.leaves[prefix+name] = leaf{key: prefix + name, kind: f.Type, index: at}
			s.keys = append(s.keys, prefix+name)
		}
	}
}

// problem describes a mistake without showing a secret.
func (s schema) problem(key, rule string, value any) Problem {
	p := Problem{Key: key, Rule: rule}
	if !s.leaves[listOf(key)].secret {
		p.Value = show(value)
	}
	return p
}

// listOf returns the key of the list that an item such as webhook.path_tokens[0] belongs to, or the key itself.
func listOf(key string) string {
	list, _, _ := strings.Cut(key, "[")
	return list
}

// nearest returns the known key that was probably meant by an unknown one, or "".
func (s schema) nearest(key string) string {
	best, distance := "", len(key)/3+1
	for _, known := range s.keys {
		if d := editDistance(key, known); d < distance {
			best, distance = known, d
		}
	}
	return best
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := previous
			if a[i] != b[j] {
				change++
			}
			previous = row[j+1]
			row[j+1] = min(change, previous+1, row[j]+1)
		}
	}
	return row[len(b)]
}

var durationType = reflect.TypeFor[time.Duration]()

// wants tells in words which values the key takes.
func (l leaf) wants() string {
	switch {
	case l.kind == durationType:
		return `must be a duration such as "10s" or "5m"`
	case l.kind.Kind() == reflect.String:
		return "must be a string"
	case l.kind.Kind() == reflect.Bool:
		return "must be true or false"
	case l.kind.Kind() == reflect.Float64:
		return "must be a number"
	case l.kind.Kind() == reflect.Slice:
		return "must be a list of strings"
	}
	return "must be a whole number"
}

// of converts a value as a TOML file has it into the type of the key, strictly: a number is no string.
func (l leaf) of(value any) (any, error) {
	v := reflect.ValueOf(value)
	switch {
	case l.kind == durationType:
		if s, ok := value.(string); ok {
			return l.parse(s)
		}
	case l.kind.Kind() == reflect.Slice:
		if list, ok := value.([]any); ok {
			return stringsOf(list, l)
		}
	case l.kind.Kind() == reflect.Float64:
		switch n := value.(type) {
		case int64:
			return float64(n), nil
		case float64:
			return n, nil
		}
	case v.IsValid() && v.Kind() == l.kind.Kind():
		return value, nil
	case v.IsValid() && v.Kind() == reflect.Int64 && isInteger(l.kind) && !reflect.Zero(l.kind).OverflowInt(v.Int()):
		return v.Convert(l.kind).Interface(), nil
	}
	return nil, fmt.Errorf("%s", l.wants())
}

func isInteger(t reflect.Type) bool { return t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64 }

func stringsOf(list []any, l leaf) (any, error) {
	all := make([]string, 0, len(list))
	for _, item := range list {
		s, ok := item.(string)
		if !ok {
			return nil, fmt.Errorf("%s", l.wants())
		}
		all = append(all, s)
	}
	return all, nil
}
