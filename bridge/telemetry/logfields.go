package telemetry

import (
	"context"
	"log/slog"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// LogField is a key that log lines may have, and what stands there.
type LogField struct{ Key, Meaning string }

// LogFields lists every key whose value is written, by topic. What stands under any other key is not: a value is shown because somebody has
// thought about it, not because nobody has. Texts of messages, names, addresses, telephone numbers and secrets have no key.
func LogFields() []LogField {
	return []LogField{
		{"event_id", "of a webhook event: its `Nats-Msg-Id`"},
		{"command_id", "of a command"},
		{"conversation", "id of the conversation"},
		{"status", "how it ended: of a command as in its result, of a webhook the HTTP status"},
		{"reason", "why, in one word of the closed list; of a pause what the operator said"},
		{"attempts", "calls of the API; of a webhook attempts to store it"},
		{"duration", "from the first byte, or from when the command came here, to the end; seconds in JSON"},
		{"trace_id", "of the W3C trace, if there is one"},
		{"event", "the vendor's name of an event"},
		{"command", "kind of a command"},
		{"subject", "on the bus"},
		{"subjects", "of a stream"},
		{"error", "what went wrong; errors hold no secret, no text of a message and nothing of a person"},
		{"cause", "the same, of something that is mended already"},
		{"line", "message of the lines that were left out"},
		{"left_out", "how many of them in about a second"},
		{"panic", "what a panic said"},
		{"stack", "where it was"},
		{"address", "on which webhooks are taken"},
		{"admin", "address for operators"},
		{"url", "of a NATS server, without what it takes to log in"},
		{"server", "name of a NATS server"},
		{"stream", "name of a stream"},
		{"replicas", "of a stream"},
		{"dir", "a directory of the bridge"},
		{"file", "a file of the bridge"},
		{"files", "files of the configuration"},
		{"path", "a file of the configuration; where something stands in a webhook"},
		{"key", "of the configuration"},
		{"changed", "keys of the configuration"},
		{"needs_restart", "keys of the configuration"},
		{"subscriptions", "events that the vendor is asked for"},
		{"epoch", "of a term of the active bridge"},
		{"by", "who did it: a host and process, or an operator"},
		{"position", "in the stream of commands, up to which all is done with"},
		{"since", "time"},
		{"left", "time that is left of a lease"},
		{"grace", "how long a stop may take"},
		{"stopping", "whether the bridge is about to stop"},
		{"from", "state before"},
		{"to", "state after"},
		{"until", "time"},
		{"bytes", "size"},
		{"max_body_bytes", "`webhook.max_body_bytes` of the configuration"},
		{"max_payload", "bytes of the largest message that the bus takes, with its headers"},
		{"needed", "bytes of the largest message that the bus would have to take"},
		{"messages", "number of messages"},
		{"commands", "number of commands"},
		{"problems", "what keeps the bridge from being ready: names of checks"},
		{"per_second", "calls of the API that are allowed in a second"},
		{"lease", "which one"},
		{"holder", "of a lease: a host and process"},
		{"query", "what an operator asked the console to do"},
		{"remote", "address of an operator"},
		{"reply", "subject that an answer was wanted on"},
		{"kind", "of a finding about what the vendor sends"},
		{"value", "word of the vendor that the bridge does not know, of a member that has one of a few words"},
		{"lane", "of a command: its conversation, or a fingerprint of its contact"},
	}
}

const (
	notShown  = "(not shown)"
	maxValue  = 2 << 10  // bytes of a value
	maxStack  = 16 << 10 // bytes of a stack
	stackKey  = "stack"
	cutMarker = "…"
)

// shown hands on only what may be shown.
type shown struct {
	slog.Handler
	keys map[string]bool
}

func newShown(next slog.Handler) *shown {
	s := &shown{Handler: next, keys: make(map[string]bool)}
	for _, f := range LogFields() {
		s.keys[f.Key] = true
	}
	return s
}

// Handle implements [slog.Handler].
func (s *shown) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, cutTo(r.Message, maxValue), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(s.clean(a))
		return true
	})
	return s.Handler.Handle(ctx, clean)
}

// WithAttrs implements [slog.Handler].
func (s *shown) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = s.clean(a)
	}
	return &shown{Handler: s.Handler.WithAttrs(clean), keys: s.keys}
}

// WithGroup implements [slog.Handler].
func (s *shown) WithGroup(name string) slog.Handler {
	return &shown{Handler: s.Handler.WithGroup(name), keys: s.keys}
}

func (s *shown) clean(a slog.Attr) slog.Attr {
	if !s.keys[a.Key] {
		return slog.String(a.Key, notShown)
	}
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindBool, slog.KindInt64, slog.KindUint64, slog.KindFloat64, slog.KindDuration, slog.KindTime:
		return slog.Attr{Key: a.Key, Value: v}
	case slog.KindString:
		return slog.String(a.Key, cutTo(v.String(), mostOf(a.Key)))
	}
	return slog.String(a.Key, cutTo(text(v.Any()), mostOf(a.Key)))
}

// text writes what is known to hold nothing but what it says; a structure may hold anything.
func text(v any) string {
	switch v := v.(type) {
	case error:
		return v.Error()
	case []string:
		return strings.Join(v, " ")
	}
	if word := reflect.ValueOf(v); word.Kind() == reflect.String {
		return word.String()
	}
	return notShown
}

func mostOf(key string) int {
	if key == stackKey {
		return maxStack
	}
	return maxValue
}

func cutTo(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + cutMarker
}

// inSeconds writes durations as numbers of seconds, for programs that read the lines.
func inSeconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.Float64(a.Key, a.Value.Duration().Round(time.Microsecond).Seconds())
	}
	return a
}
