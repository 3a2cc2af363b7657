package drift

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cxbridge/cxbridge/subjects"
)

// Kind is a sort of finding.
type Kind string

// The kinds.
const (
	Member Kind = "member" // a member that no layout has
	Value  Kind = "value"  // a value, or a type, that a known member was not known to have
	Event  Kind = "event"  // the name of an event
)

// Finding is something that was not known, and how often it came up among the events that were looked at.
type Finding struct {
	Kind      Kind            `json:"kind"`
	Event     string          `json:"event"`
	Path      string          `json:"path"`            // of the member: names joined by dots, [] for an item of an array; empty for an event
	Value     string          `json:"value,omitempty"` // of a value: the word, or the type in brackets
	Count     uint64          `json:"count"`
	FirstSeen subjects.Time   `json:"first_seen"`
	LastSeen  subjects.Time   `json:"last_seen"`
	Sample    json.RawMessage `json:"sample"` // what stands there, with the types instead of the values
}

// key tells findings apart.
type key struct {
	kind               Kind
	event, path, value string
}

// Report is what was found since the bridge started.
type Report struct {
	Examined uint64    `json:"examined"` // events that were looked at
	LeftOut  uint64    `json:"left_out"` // findings that were not kept because the list is full
	Findings []Finding `json:"findings"` // in the order in which they were found
}

// Report returns what was found. It may be called at any time.
func (w *Watch) Report() Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := Report{Examined: w.seen, LeftOut: w.left, Findings: make([]Finding, 0, len(w.order))}
	for _, f := range w.order {
		r.Findings = append(r.Findings, *f)
	}
	return r
}

// add counts a finding, and reports whether it is a new one that was kept. The sample is made only if it is needed.
func (w *Watch) add(k key, at time.Time, mayBeNew bool, sample func() json.RawMessage) bool {
	w.metrics.findings[k.kind].Inc()
	if !w.count(k, subjects.Time{Time: at}, mayBeNew, sample) {
		return false
	}
	w.log.Info("the vendor sent something that the bridge does not know; nothing breaks by it, and GET /drift tells more",
		"kind", k.kind, "event", k.event, "path", k.path, "value", k.value)
	return true
}

func (w *Watch) count(k key, at subjects.Time, mayBeNew bool, sample func() json.RawMessage) (added bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.found[k]; f != nil {
		f.Count++
		f.LastSeen = at
		return false
	}
	if !mayBeNew || len(w.order) >= MostFindings {
		w.left++
		return false
	}
	f := &Finding{Kind: k.kind, Event: k.event, Path: k.path, Value: k.value, Count: 1, FirstSeen: at, LastSeen: at, Sample: sample()}
	w.found[k], w.order = f, append(w.order, f)
	return true
}

// other stands for a name that is not shown.
const other = "(other)"

// Bounds of names that are shown: what is longer, or has more digits, is hardly a word of the vendor's.
const (
	mostName   = 64
	mostDigits = 4
)

// shown returns a name if it looks like one that a programmer chose, and else a word in its place: what people wrote, and their addresses and
// numbers, must not get into a list that operators read.
func shown(name string) string {
	digits, rest := 0, 0
	for i := range len(name) {
		switch c := name[i]; {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c == ':', c == '-':
		default:
			rest++
		}
	}
	if name == "" || len(name) > mostName || digits > mostDigits || rest > 0 {
		return other
	}
	return strings.Clone(name)
}

// Bounds of samples.
const (
	mostDepth   = 6
	mostMembers = 40
	mostSample  = 4 << 10
)

// redacted returns a value with the types instead of the values.
func redacted(value any) json.RawMessage {
	raw, err := json.Marshal(structure(value, 0))
	if err != nil || len(raw) > mostSample {
		raw, err = json.Marshal(typeOf(value))
	}
	if err != nil { // a string always has a JSON form
		return nil
	}
	return slices.Clip(raw)
}

func structure(value any, depth int) any {
	switch v := value.(type) {
	case map[string]any:
		if depth == mostDepth || len(v) > mostMembers {
			return "object"
		}
		all := make(map[string]any, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all[shown(name)] = structure(v[name], depth+1)
		}
		return all
	case []any:
		if depth == mostDepth || len(v) == 0 {
			return "array"
		}
		return []any{structure(v[0], depth+1)}
	}
	return typeOf(value)
}
