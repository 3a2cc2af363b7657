// Package judge holds what is on a bus against the contract: events, commands, results and dead letters against their schemas, and their
// headers against the tables of package subjects. The end-to-end tests let it judge whatever they left behind.
package judge

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxbridge/cxbridge/subjects"
	"github.com/cxbridge/cxbridge/subjects/schema"
)

// Judge knows the contract below one prefix. It is made by [New] and may be used by several goroutines.
type Judge struct {
	names   subjects.Names
	schemas map[string]*jsonschema.Schema // by name, as in [schema.All]
	events  map[string]string             // names of schemas by event
	headers map[subjects.Carrier]map[string]bool
}

// New returns a judge of the contract below a prefix.
func New(prefix string) (*Judge, error) {
	names, err := subjects.New(prefix)
	if err != nil {
		return nil, err
	}
	j := &Judge{names: names, schemas: map[string]*jsonschema.Schema{}, events: map[string]string{}, headers: map[subjects.Carrier]map[string]bool{}}
	for name, s := range schema.All() {
		if j.schemas[name], err = compile(name, s); err != nil {
			return nil, err
		}
	}
	for _, l := range schema.Layouts() {
		for _, event := range l.Events {
			j.events[event] = "event." + l.Name
		}
	}
	for _, c := range subjects.Carriers() {
		j.headers[c] = map[string]bool{}
		for _, h := range subjects.HeadersOn(c) {
			j.headers[c][h.Name] = true
		}
	}
	return j, nil
}

func compile(name string, s schema.Schema) (*jsonschema.Schema, error) {
	var b bytes.Buffer
	if err := schema.Write(&b, s); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	document, err := jsonschema.UnmarshalJSON(&b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("urn:"+name, document); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c.Compile("urn:" + name)
}

// Event tells what is wrong with an event.
func (j *Judge) Event(subject string, header nats.Header, body []byte) error {
	name := decoded(header, subjects.HeaderEvent)
	carrier := subjects.OnEvents
	if strings.HasPrefix(name, "message_") {
		carrier = subjects.OnMessageEvents
	}
	if err := j.closed(carrier, header); err != nil {
		return err
	}
	plain, keyed := j.names.Event(name), j.names.KeyedEvent(name, decoded(header, subjects.HeaderInboxID), decoded(header, subjects.HeaderConversationID))
	if subject != plain && subject != keyed {
		return fmt.Errorf("subject: %s belongs on %s or %s", name, plain, keyed)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	object, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("body: no object")
	}
	if object["event"] != name { // the configuration finds the name elsewhere
		return nil
	}
	layout, ok := j.events[name]
	if !ok {
		layout = "event.any"
	}
	return j.satisfies(layout, value)
}

// decoded returns a header's value without its percent-encoding.
func decoded(header nats.Header, name string) string {
	value, err := url.PathUnescape(header.Get(name))
	if err != nil {
		return header.Get(name)
	}
	return value
}

// Command tells what is wrong with a command: what the bridge must answer with invalid.
func (j *Judge) Command(kind subjects.Kind, header nats.Header, body []byte) error {
	if err := j.open(subjects.OnCommands, header); err != nil {
		return err
	}
	if !kind.Known() {
		return fmt.Errorf("subject: there is no command %s", kind)
	}
	return j.body("command."+string(kind), body)
}

// Scheduled tells what is wrong with a delayed command.
func (j *Judge) Scheduled(header nats.Header) error { return j.open(subjects.OnSchedules, header) }

// Result tells what is wrong with a result.
func (j *Judge) Result(subject string, header nats.Header, body []byte) error {
	if err := j.closed(subjects.OnResults, header); err != nil {
		return err
	}
	if err := j.body("result", body); err != nil {
		return err
	}
	return j.agree(subject, header, body)
}

// Letter tells what is wrong with a dead letter.
func (j *Judge) Letter(subject string, header nats.Header) error {
	if subject == j.names.DeadWebhook() {
		return j.closed(subjects.OnDeadWebhooks, header)
	}
	if err := j.open(subjects.OnDeadCommands, header); err != nil {
		return err
	}
	if history := header.Get(subjects.HeaderHistory); history != "" {
		if err := j.body("history", []byte(history)); err != nil {
			return fmt.Errorf("header %s: %w", subjects.HeaderHistory, err)
		}
	}
	if status := subjects.Status(header.Get(subjects.HeaderStatus)); !status.DeadLetter() {
		return fmt.Errorf("header %s: a command that is %s has no dead letter", subjects.HeaderStatus, status)
	}
	return nil
}

// closed wants the headers of a carrier and no others, those of NATS aside.
func (j *Judge) closed(c subjects.Carrier, header nats.Header) error {
	for name := range header {
		if !j.headers[c][name] && !subjects.OwnedByNATS(name) {
			return fmt.Errorf("header %s: a %s has none", name, c)
		}
	}
	return j.open(c, header)
}

// open wants the headers of a carrier; there may be others.
func (j *Judge) open(c subjects.Carrier, header nats.Header) error {
	object := map[string]any{}
	for name, values := range header {
		if len(values) != 1 && j.headers[c][name] {
			return fmt.Errorf("header %s: there are %d", name, len(values))
		}
		if len(values) > 0 {
			object[name] = values[0]
		}
	}
	if err := j.satisfies("headers."+schema.HeadersName(c), object); err != nil {
		return fmt.Errorf("headers: %w", err)
	}
	return nil
}

func (j *Judge) body(name string, body []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	return j.satisfies(name, value)
}

func (j *Judge) satisfies(name string, value any) error {
	if err := j.schemas[name].Validate(value); err != nil {
		return fmt.Errorf("schema %s: %w", name, err)
	}
	return nil
}
