package schema

import "github.com/cxbridge/cxbridge/subjects"

// Headers returns the schema of the headers of a carrier, as an object from names to values. It is open: other headers may be there.
func Headers(c subjects.Carrier) Schema {
	properties, required := Schema{}, []string{}
	for _, h := range subjects.HeadersOn(c) {
		properties[h.Name] = header(h)
		if h.Always {
			required = append(required, h.Name)
		}
	}
	s := Schema{"title": "headers of a " + string(c), "type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func header(h subjects.Header) Schema {
	s := Schema{"type": "string", "description": h.Meaning}
	switch h.Form {
	case subjects.HeaderTime:
		s["format"] = "date-time"
	case subjects.HeaderNumber:
		s["pattern"] = "^[0-9]+$"
	case subjects.HeaderJSON:
		s["contentMediaType"] = subjects.ContentTypeJSON
	case subjects.HeaderText, subjects.HeaderBool:
	}
	if len(h.Values) > 0 {
		s["enum"] = h.Values
	}
	return s
}
