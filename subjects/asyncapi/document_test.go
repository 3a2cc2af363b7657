package asyncapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxbridge/cxbridge/subjects"
	"github.com/cxbridge/cxbridge/subjects/asyncapi"
	"github.com/cxbridge/cxbridge/subjects/schema"
)

var update = flag.Bool("update", false, "write the documents instead of comparing them")

const docs = "../../docs"

// defaults are the settings of streams with the default configuration.
func defaults() subjects.StreamSettings {
	return subjects.StreamSettings{
		Replicas: 1, EventsMaxAge: 168 * time.Hour, ResultsMaxAge: 24 * time.Hour, DeadMaxAge: 720 * time.Hour, LedgerTTL: 72 * time.Hour,
		DuplicateWindow: time.Hour,
	}
}

func document(t *testing.T, prefix string) []byte {
	t.Helper()
	names, err := subjects.New(prefix)
	if err != nil {
		t.Fatal(err)
	}
	d, err := asyncapi.Document(names, defaults(), asyncapi.Version)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestTheCheckedInDocumentsAreCurrent fails when the contract changed and the documents did not: run "go generate ./subjects/asyncapi".
func TestTheCheckedInDocumentsAreCurrent(t *testing.T) {
	d := document(t, subjects.DefaultPrefix)
	page, err := asyncapi.Page(d)
	if err != nil {
		t.Fatal(err)
	}
	files, err := schema.Files()
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string][]byte{"asyncapi.json": d, "asyncapi.md": page}
	for name, text := range files {
		wanted[filepath.Join("schema", name)] = text
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		compare(t, filepath.Join(docs, name), wanted[name])
	}
	there, err := filepath.Glob(filepath.Join(docs, "schema", "*"))
	if err != nil || len(there) != len(files) {
		t.Errorf("docs/schema holds %d files and not %d (%v): delete what is no more", len(there), len(files), err)
	}
}

func compare(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	// A checkout may have other line ends.
	if got = bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")); !bytes.Equal(got, want) {
		t.Errorf("%s is not current: run go generate ./subjects/asyncapi\n%s", path, cmp.Diff(string(got), string(want)))
	}
}

func TestTheDocumentIsTheSameEachTime(t *testing.T) {
	first := document(t, "cx")
	for range 5 {
		if !bytes.Equal(first, document(t, "cx")) {
			t.Fatal("the document changes from call to call")
		}
	}
	if _, err := asyncapi.Document(subjects.Names{}, defaults(), "1"); err == nil {
		t.Error("names without a prefix make a document")
	}
	if _, err := asyncapi.Page([]byte("{")); err == nil {
		t.Error("a page of nothing")
	}
}

func TestAllSubjectsHaveThePrefix(t *testing.T) {
	for name, c := range read(t, document(t, "acme.chat")).Channels {
		if c.Address != nil && !strings.HasPrefix(*c.Address, "acme.chat.") {
			t.Errorf("%s: %s", name, *c.Address)
		}
	}
}

// TestEveryAddressIsInItsStream holds that a message on a channel is stored in the stream that the document tells, and in no other.
func TestEveryAddressIsInItsStream(t *testing.T) {
	names, err := subjects.New("cx")
	if err != nil {
		t.Fatal(err)
	}
	settings := defaults()
	settings.Keyed = true
	for name, c := range read(t, document(t, "cx")).Channels {
		if c.Address == nil {
			continue
		}
		subject := strings.NewReplacer("{", "x", "}", "x").Replace(*c.Address)
		var in []string
		for _, s := range names.Streams(settings) {
			if slices.ContainsFunc(s.Subjects, func(filter string) bool { return matches(filter, subject) }) {
				in = append(in, s.Name)
			}
		}
		if got := strings.Join(in, " "); got != c.Stream {
			t.Errorf("%s: %s is in %q, not in %q", name, subject, got, c.Stream)
		}
	}
}

func matches(filter, subject string) bool {
	want, have := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range want {
		if token == ">" {
			return len(have) > i
		}
		if i >= len(have) || token != "*" && token != have[i] {
			return false
		}
	}
	return len(want) == len(have)
}

// TestTheExamplesSatisfyTheirSchemas judges each example's headers and body; those of commands are decoded, too.
func TestTheExamplesSatisfyTheirSchemas(t *testing.T) {
	raw := document(t, "cx")
	d := read(t, raw)
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range d.Components.Messages {
		if len(m.Examples) != 1 {
			t.Errorf("%s: %d examples", name, len(m.Examples))
			continue
		}
		at := "#/components/messages/" + name
		if m.Headers != nil {
			validate(t, whole, at+"/headers", m.Examples[0].Headers)
		}
		if m.Payload != nil {
			validate(t, whole, at+"/payload", m.Examples[0].Payload)
		}
		if kind, found := strings.CutPrefix(name, "command."); found {
			if _, err := subjects.Decode(subjects.Kind(kind), m.Examples[0].Payload); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func validate(t *testing.T, document any, at string, value json.RawMessage) {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("urn:document", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("urn:document" + at)
	if err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("%s: %v", at, err)
	}
}

// shape is what the tests read of a document.
type shape struct {
	Channels map[string]struct {
		Address *string
		Stream  string `json:"x-stream"`
	}
	Components struct {
		Messages map[string]struct {
			Headers, Payload json.RawMessage
			Examples         []struct{ Headers, Payload json.RawMessage }
		}
	}
}

func read(t *testing.T, raw []byte) shape {
	t.Helper()
	var d shape
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return d
}
