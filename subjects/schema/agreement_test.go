package schema_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/cxbridge/cxbridge/subjects"
	"github.com/cxbridge/cxbridge/subjects/schema"
)

// TestSchemaAndDecoderAgree generates commands out of the schemas, and near-misses of them, and holds that the schema accepts what Decode
// accepts, but for what the package says a schema cannot tell. "go test -tags contract" tries many more.
func TestSchemaAndDecoderAgree(t *testing.T) {
	if err := flag.Set("rapid.checks", strconv.Itoa(cases)); err != nil {
		t.Fatal(err)
	}
	compiled := map[subjects.Kind]*jsonschema.Schema{}
	for _, k := range subjects.Kinds() {
		compiled[k] = compile(t, schema.Command(k))
	}
	var accepted, refused, silent int
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SampledFrom(subjects.Kinds()).Draw(t, "kind")
		text := body(t, schema.Command(k))
		bySchema := satisfies(compiled[k], text)
		_, err := subjects.Decode(k, []byte(text))
		switch {
		case bySchema && !sayable(text):
			silent++
			if err == nil {
				t.Fatalf("%s: Decode accepts %q, though it is written as no command may be", k, text)
			}
		case bySchema != (err == nil):
			t.Fatalf("%s %q: accepted by the schema: %t; Decode: %v", k, text, bySchema, err)
		case bySchema:
			accepted++
		default:
			refused++
		}
	})
	t.Logf("%d accepted and %d refused by both, %d beyond what a schema can tell", accepted, refused, silent)
	if accepted < cases/5 || refused < cases/5 || silent == 0 {
		t.Errorf("the cases are one-sided: %d accepted, %d refused, %d beyond", accepted, refused, silent)
	}
}

func compile(t *testing.T, s schema.Schema) *jsonschema.Schema {
	t.Helper()
	var b bytes.Buffer
	if err := schema.Write(&b, s); err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(&b)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("urn:test", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("urn:test")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func satisfies(s *jsonschema.Schema, text string) bool {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	return err == nil && s.Validate(value) == nil
}

// sayable reports whether a body that satisfies a schema is written so that Decode takes it: UTF-8, no member twice, integers as digits, and
// ids of at most 256 bytes. What is not JSON satisfies no schema and is none of its business.
func sayable(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	return plain(dec, "")
}

// plain reads one value.
func plain(dec *json.Decoder, member string) bool {
	token, err := dec.Token()
	if err != nil {
		return errors.Is(err, io.EOF)
	}
	switch v := token.(type) {
	case json.Number:
		return !strings.ContainsAny(v.String(), ".eE") && v != "-0"
	case string:
		return !strings.HasSuffix(member, "_id") || member == "source_id" || len(v) <= 256 || utf8.RuneCountInString(v) > 256
	case json.Delim:
		return plainInside(dec, v)
	}
	return true
}

func plainInside(dec *json.Decoder, open json.Delim) bool {
	ok, seen := true, map[string]bool{}
	for dec.More() {
		name := ""
		if open == '{' {
			token, err := dec.Token()
			if err != nil {
				return true
			}
			name, _ = token.(string)
			ok = ok && !seen[name]
			seen[name] = true
		}
		ok = plain(dec, name) && ok
	}
	_, err := dec.Token()
	return ok && err == nil
}
