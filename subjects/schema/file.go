package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cxbridge/cxbridge/subjects"
)

// Dialect is the meta-schema of all schemas.
const Dialect = "https://json-schema.org/draft/2020-12/schema"

// All returns the schemas of all bodies and headers by name: command.<kind>, event.<layout>, result, history, headers.<carrier>.
func All() map[string]Schema {
	all := map[string]Schema{"result": Result(), "history": History()}
	for _, k := range subjects.Kinds() {
		all["command."+string(k)] = Command(k)
	}
	for _, l := range Layouts() {
		all["event."+l.Name] = Event(l)
	}
	for _, c := range subjects.Carriers() {
		all["headers."+HeadersName(c)] = Headers(c)
	}
	return all
}

// HeadersName returns the name of a carrier as it stands in names of schemas.
func HeadersName(c subjects.Carrier) string {
	return strings.ReplaceAll(string(c), " ", "-")
}

// Files returns all schemas as documents of their own, by file name.
func Files() (map[string][]byte, error) {
	files := make(map[string][]byte)
	for name, s := range All() {
		s = maps.Clone(s)
		s["$schema"], s["$id"] = Dialect, "urn:cxbridge:schema:"+name
		var b bytes.Buffer
		if err := Write(&b, s); err != nil {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
		files[name+".json"] = slices.Clip(b.Bytes())
	}
	return files, nil
}

// Write writes a document as it is checked in: indented, members in the order of the alphabet, characters as they are.
func Write(b *bytes.Buffer, document any) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(document)
}
