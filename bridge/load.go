package bridge

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	tomlparser "github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/pelletier/go-toml/v2"
)

// EnvPrefix begins the name of every environment variable that configures the bridge. The key follows in upper case, with "__" between
// levels: CXBRIDGE_CX__TENANT_DOMAIN is cx.tenant_domain.
const EnvPrefix = "CXBRIDGE_"

// Sources are where a configuration comes from. What stands later wins.
type Sources struct {
	File    string            // path of a TOML file; empty for none
	Environ []string          // as os.Environ has it; only variables that begin with EnvPrefix are read
	Ignore  []string          // variables that begin with EnvPrefix and are no configuration
	Flags   map[string]string // values by key
	APIOnly bool              // check only what calls at the API need
	BusOnly bool              // check only what is needed to find the bus

	ContractOnly bool // check only what the contract on the bus depends on
}

// LoadConfig reads a configuration: the defaults, then the file, then the environment, then flags. The error is a [*ConfigError] with all
// problems.
func LoadConfig(s Sources) (Config, error) {
	l := read(s)
	cfg := DefaultConfig()
	l.decode(&cfg)
	if !s.ContractOnly {
		l.checkTwins(cfg, s.BusOnly)
	}
	switch {
	case s.ContractOnly:
		cfg.checkContract(l.problem)
	case s.APIOnly:
		cfg.CX.check(true, section("cx", l.problem))
	case s.BusOnly:
		cfg.NATS.Check(section("nats", l.problem))
		cfg.Subjects.check(section("subjects", l.problem))
	default:
		cfg.check(l.problem)
	}
	if len(l.problems) > 0 {
		slices.SortStableFunc(l.problems, func(a, b Problem) int { return strings.Compare(a.Key, b.Key) })
		return Config{}, &ConfigError{Problems: l.problems}
	}
	return cfg, nil
}

// FlagKeys returns the keys that can be set by a flag, in the order of the documentation: all but the secrets, which are set in a file or by the
// environment, because the flags of a process are visible to all users of a machine.
func FlagKeys() []string {
	s := schemaOf(reflect.TypeFor[Config]())
	return slices.DeleteFunc(s.keys, func(key string) bool { return s.leaves[key].secret })
}

// loader gathers values and problems from all sources.
type loader struct {
	schema   schema
	values   *koanf.Koanf
	origin   map[string]string // where the value of a key was found
	bad      map[string]bool   // keys with a problem
	problems []Problem
}

func read(s Sources) *loader {
	l := &loader{schema: schemaOf(reflect.TypeFor[Config]()), values: koanf.New("."), origin: map[string]string{}, bad: map[string]bool{}}
	if s.File != "" {
		l.readFile(s.File)
	}
	l.readEnviron(s.Environ, s.Ignore)
	for _, key := range slices.Sorted(maps.Keys(s.Flags)) {
		l.text(key, s.Flags[key], "--"+key)
	}
	return l
}

// problem notes a problem of a key, unless there is one already: the first is the cause.
func (l *loader) problem(key, rule string, value any) {
	if key != "" && l.bad[key] {
		return
	}
	l.bad[key] = true
	p := l.schema.problem(key, rule, value)
	p.Source = l.origin[listOf(key)]
	l.problems = append(l.problems, p)
}

func (l *loader) readFile(path string) {
	text, err := file.Provider(path).ReadBytes()
	if err != nil {
		l.problem("", fmt.Sprintf("the configuration file cannot be read: %v", err), nil)
		return
	}
	tree, err := tomlparser.Parser().Unmarshal(text)
	if err != nil {
		l.problem("", tomlMistake(path, err), nil)
		return
	}
	lines := tomlLines(text)
	l.tree(tree, "", func(key string) string { return fmt.Sprintf("%s:%d", filepath.Base(path), lines[key]) })
}

// tomlMistake tells where a file is malformed, without the text around it, which may hold a secret.
func tomlMistake(path string, err error) string {
	var at *toml.DecodeError
	if errors.As(err, &at) {
		line, column := at.Position()
		return fmt.Sprintf("%s:%d:%d: malformed TOML: %s", filepath.Base(path), line, column, strings.TrimPrefix(at.Error(), "toml: "))
	}
	return fmt.Sprintf("%s: malformed TOML", filepath.Base(path))
}

// tree takes the values of a TOML table.
func (l *loader) tree(t map[string]any, prefix string, source func(key string) string) {
	for _, name := range slices.Sorted(maps.Keys(t)) {
		key, value := prefix+name, t[name]
		leaf, known := l.schema.leaves[key]
		table, isTable := value.(map[string]any)
		switch {
		case known:
			v, err := leaf.of(value)
			l.set(leaf, v, value, err, source(key))
		case l.schema.sections[key] && isTable:
			l.tree(table, key+".", source)
		case l.schema.sections[key]:
			l.origin[key] = source(key)
			l.problem(key, "must be a table", value)
		default:
			l.unknown(key, source(key))
		}
	}
}

// serviceLink are the variables that Kubernetes sets in every pod beside a service called cxbridge.
var serviceLink = regexp.MustCompile(`^CXBRIDGE_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

func (l *loader) readEnviron(environ, ignore []string) {
	names := map[string]string{}
	provider := env.Provider("", env.Opt{Prefix: EnvPrefix, EnvironFunc: func() []string { return environ }, TransformFunc: func(name, value string) (string, any) {
		if slices.Contains(ignore, name) || serviceLink.MatchString(name) {
			return "", nil
		}
		key := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, EnvPrefix)), "__", ".")
		names[key] = name
		return key, value
	}})
	values, err := provider.Read()
	if err != nil {
		l.problem("", fmt.Sprintf("the environment cannot be read: %v", err), nil)
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		text, _ := values[key].(string)
		l.text(key, text, names[key])
	}
}

// text takes a value from the environment or a flag.
func (l *loader) text(key, text, source string) {
	leaf, known := l.schema.leaves[key]
	if !known {
		l.unknown(key, source)
		return
	}
	if leaf.secret && strings.TrimSpace(text) == "" {
		l.origin[key] = source
		l.problem(key, emptySecretRule, nil)
		return
	}
	v, err := leaf.parse(text)
	l.set(leaf, v, text, err, source)
}

func (l *loader) unknown(key, source string) {
	rule := "there is no such key"
	if near := l.schema.nearest(key); near != "" {
		rule += fmt.Sprintf("; is %s meant?", near)
	}
	l.origin[key] = source
	l.problem(key, rule, nil)
}

// set takes the value of a key, or notes why it cannot.
func (l *loader) set(at leaf, value, found any, err error, source string) {
	l.origin[at.key] = source
	switch {
	case err != nil:
		l.problem(at.key, err.Error(), found)
	case unresolved(value):
		l.problem(at.key, "holds a placeholder that nobody replaced; variables inside of values are not expanded", found)
	case at.secret && blankSecret(value):
		l.problem(at.key, emptySecretRule, nil)
	default:
		if err := l.values.Load(confmap.Provider(map[string]any{at.key: value}, "."), nil); err != nil {
			l.problem(at.key, fmt.Sprintf("cannot be read: %v", err), nil)
		}
	}
}

// placeholder is what a template or a shell should have replaced.
var placeholder = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*\}|\{\{[^{}]*\}\}|^\$[A-Z_][A-Z0-9_]*$`)

func unresolved(value any) bool {
	switch v := value.(type) {
	case string:
		return placeholder.MatchString(v)
	case []string:
		return slices.ContainsFunc(v, placeholder.MatchString)
	}
	return false
}

func (l *loader) decode(cfg *Config) {
	err := l.values.UnmarshalWithConf("", cfg, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result: cfg, TagName: "koanf", ErrorUnused: true, ZeroFields: true,
	}})
	if err != nil {
		l.problem("", fmt.Sprintf("cannot be read: %v", err), nil)
	}
}
